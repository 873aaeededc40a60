"""Compares the stores with the log, all the time and in the background, and repairs where it may."""
