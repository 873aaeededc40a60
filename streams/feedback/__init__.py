"""Stage `feedback`: callers' words on answers are kept, and the bad ones become reviews."""
