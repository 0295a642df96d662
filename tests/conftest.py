"""Set before any test module imports torch."""

import os

# Two tests run at once, and OpenMP threads of several processes on busy cores run up to 10x slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
