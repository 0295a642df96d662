"""Measurements of what the README and the docstrings claim, each run as `python -m`."""
