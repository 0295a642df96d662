"""`gansweep serve`: sweeps over HTTP, to submit, watch and stop them from anywhere.

It has no state of its own. Which sweeps there are and how far they are is read from the storage
and from Ray's jobs, so it can be killed and begun again at any moment. Needs the extra `service`.
"""
