"""Removes the rows that a newer revision has made superfluous, durably and after a grace."""
