"""The directory on this machine of a sweep that lies in an object store.

It holds what must be a file on the disk of whoever runs the sweep: the study's journal, locks and
logs. Nothing in it is needed elsewhere: see `sweeps.study_copy`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from sweeps.uri import last_part, without_secrets

__all__ = ["home_of"]


def home_of(uri: str) -> Path:
    """`$XDG_STATE_HOME/gansweep/<sweep>-<hash of the URI>`; creates nothing.

    Credentials do not count, so that a sweep keeps its home when they change; the endpoint does.

    Args:
        uri: of the sweep.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    # As the XDG specification has it, a relative path there is none.
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    place = hashlib.sha256(without_secrets(uri).encode()).hexdigest()[:8]
    return base / "gansweep" / f"{last_part(uri)}-{place}"
