"""`make demo`: the product on a small handbook, in eight acts, each asserted and timed."""
