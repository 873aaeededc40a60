"""One parser per format: bytes to ParsedText. Pure: no clock, no network, no settings."""
