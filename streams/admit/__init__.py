"""Admission: the one fenced writer per partition that decides what becomes truth."""
