"""A Ray of the service's own, as a process that outlives it while sweeps run.

`python -m sweeps.service.head FOLDER` begins Ray with its dashboard on this machine alone, behind a
token, and ends it when for two minutes no service has looked after it and no sweep has run: so
nothing is left for ever, whatever was killed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from sweeps.jobs import jobs_at
from sweeps.machine import this_machine
from sweeps.ray_driver import DRIVER_VARIABLES, environment, reload_authentication
from sweeps.service.own_folder import OwnFolder

__all__ = ["ADDRESS_NAME", "HEAD_LOCK", "RAY_TOKEN", "SERVICE_LOCK", "access_to_head", "main"]

ADDRESS_NAME = "head.json"
HEAD_LOCK, SERVICE_LOCK = "head.lock", "service.lock"
"""Held by the head, alone; by all services, together."""
RAY_TOKEN = "ray.token"

_IDLE_S = 120.0
_LOOKS_EVERY_S = 5.0
_OBJECT_STORE_BYTES = 128 * 2**20  # as in `sweeps.embedded`
_PREFIX = "gansweep-"
_LONGEST_TEMPORARY = 30  # for the same reason as there


def access_to_head(folder: OwnFolder) -> dict[str, str]:
    """Environment variables by which a process is let into the Ray of a folder."""
    folder.token(RAY_TOKEN)
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder.path / RAY_TOKEN),
    }


def main(folder: OwnFolder, idle_s: float = _IDLE_S) -> int:
    """Runs Ray until nobody needs it any more.

    Args:
        folder: of the services that use it.
        idle_s: how long nobody has to have needed it.

    Returns:
        0; at once if another head runs already.
    """
    if folder.locked(HEAD_LOCK) is None:
        return 0
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        asked.set()

    _clear_up(folder)
    os.environ.pop("RAY_AUTH_TOKEN", None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment(DRIVER_VARIABLES))
        os.environ.update(access_to_head(folder))
        url = _begin(folder, stack)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handle)
        _wait(folder, url, idle_s, asked)
        (folder.path / ADDRESS_NAME).unlink(missing_ok=True)
    return 0


def _begin(folder: OwnFolder, stack: contextlib.ExitStack) -> str:
    """Begins Ray and writes down where it is."""
    temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_temporary()))
    stack.callback(shutil.rmtree, temporary, ignore_errors=True)
    _write(folder, {"temporary": str(temporary)})
    import ray  # after the variables, some of which it reads as it is imported

    reload_authentication()
    machine = this_machine("auto")
    stack.callback(ray.shutdown)
    with _agent_at(_free_port()):
        context = ray.init(
            address="local",
            num_cpus=machine.cores,
            num_gpus=machine.cuda_devices,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            dashboard_port=_free_port(),
            log_to_driver=False,
            _temp_dir=str(temporary),
            _node_ip_address="127.0.0.1",
        )
    url = f"http://{context.dashboard_url}"
    joined = context.address_info["address"]
    _write(
        folder,
        {"temporary": str(temporary), "url": url, "joined": joined, "process": os.getpid()},
    )
    return url


@contextlib.contextmanager
def _agent_at(port: int) -> Iterator[None]:
    """Lets the agent that begins jobs listen on a port of its own.

    With Ray's usual one it could not while there is another Ray on the machine, even that of a
    `gansweep run`, and no job would ever begin. `ray start` has an option for it, `ray.init` none.
    """
    from ray._private.parameter import RayParams

    usual = RayParams.__init__
    own = functools.partialmethod(usual, dashboard_agent_listen_port=port)
    setattr(RayParams, "__init__", own)  # noqa: B010  mypy takes an assignment for a mistake
    try:
        yield
    finally:
        setattr(RayParams, "__init__", usual)  # noqa: B010


def _wait(folder: OwnFolder, url: str, idle_s: float, asked: threading.Event) -> None:
    """Until a signal, or until nobody has needed it for so long."""
    needed = time.monotonic()
    while not asked.wait(_LOOKS_EVERY_S):
        if folder.is_held(SERVICE_LOCK) or _sweeps_run(url):
            needed = time.monotonic()
        # Kept to the end of the process: a service that begins now waits, and begins another.
        elif time.monotonic() - needed > idle_s and folder.locked(SERVICE_LOCK) is not None:
            return


def _sweeps_run(url: str) -> bool:
    try:
        with jobs_at(url) as jobs:
            return any(not job.is_over for job in jobs.all())
    except Exception:  # whatever Ray raises: it cannot be of use to anybody then
        return False


def _clear_up(folder: OwnFolder) -> None:
    """Takes away what a head that was killed has left."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        before = json.loads((folder.path / ADDRESS_NAME).read_text())
        temporary = Path(before["temporary"])
        if temporary.name.startswith(_PREFIX):
            shutil.rmtree(temporary, ignore_errors=True)
    (folder.path / ADDRESS_NAME).unlink(missing_ok=True)


def _write(folder: OwnFolder, document: dict[str, object]) -> None:
    temporary = folder.path / f".{ADDRESS_NAME}"
    temporary.write_text(json.dumps(document))
    temporary.replace(folder.path / ADDRESS_NAME)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _short_temporary() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder.encode()) <= _LONGEST_TEMPORARY else "/tmp"


if __name__ == "__main__":
    sys.exit(main(OwnFolder(Path(sys.argv[1])), *map(float, sys.argv[2:])))
