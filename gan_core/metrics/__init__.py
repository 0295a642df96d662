"""Samples to numbers, for all members of a cohort at once."""
