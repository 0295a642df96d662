"""Reads and judges what a sweep wrote, in pandas."""
