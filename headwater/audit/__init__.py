"""The audit of the stores against the log: fingerprints, bisection, judgement, repair."""
