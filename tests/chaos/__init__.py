"""Sweeps on a real Ray cluster of several nodes, while its processes are killed.

    pytest -m slow tests/chaos                  # what CI runs too
    pytest -m chaos tests/chaos                 # all other seeds: 27 over three backends
    pytest -m "slow or chaos" tests/chaos -k "directory and 7-"         # one of them
    CHAOS_RECORD=chaos.jsonl pytest ...         # appends a line for each run to a file

A run is `gansweep run --address` with 60 trials of two seeds on ring8, over two nodes beside a
head. A seed draws six moments, each a share of the trials that have ended, so that they fall where
they fall on slow machines too, and what is killed at each with SIGKILL (`schedule`): a worker, the
owner of the study, a node with all its processes, which is begun again then or later, the driver,
after which `gansweep resume` goes on. Each of the four at least once. What is killed is found among
the descendants of what the test itself began (`processes`), never by name alone.

At the end, and not before, tables and study are read with plain pandas and Optuna (`evidence`), and
`analysis.load` must read the same. Then (`checking`):

- Every trial is in the study once, ended, told its end once, and nothing is RUNNING or WAITING.
- Every member has one row of `trials`, and of `history` each rung up to its end once.
- What the study heard at a rung is what the rows of that rung come to.
- Every member that ended has one picture, and each that trained to the end its networks.
- Every row of the history of every member, whether its trial was touched by a kill or not, is that
  of the same (configuration, seed) trained undisturbed in one process (`undisturbed`), bitwise in
  every column but the names, the seconds and the number of members beside it. Bitwise, because on a
  CPU members round alike in any cohort of two or more; one that was alone for a while is trained
  again alone for as long.

`test_checking.py` hands the checks tables that are wrong in each of these ways.

`backends` says where results and study are: a directory and a journal, an S3 that fails one request
in twenty, a study on PostgreSQL.
"""
