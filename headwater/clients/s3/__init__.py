"""S3 as a source is read: keys of any form, which obstore's paths cannot carry (ADR 0118)."""
