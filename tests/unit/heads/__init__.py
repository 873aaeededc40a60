"""Admission and heads."""
