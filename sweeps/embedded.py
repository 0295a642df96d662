"""A Ray of our own on this machine, for as long as a sweep runs.

It is private: behind a token of this process, since Ray listens on every interface, and with its
sockets in a temporary directory that only this user can enter. It is quiet: what Ray and Tune have
to say goes to log files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sweeps.ray_driver import (
    DRIVER_VARIABLES,
    NAMESPACE,
    environment,
    job_config,
    logged_to,
    reload_authentication,
    terminate_handler_kept,
    worker_environment,
)

__all__ = ["embedded_ray"]

_TOKEN = secrets.token_hex(32)

# Ray's default is 30% of the memory. Our objects are a few kilobytes each, and containers often
# have a /dev/shm of 64 MB; Ray refuses less than 75 MiB.
_OBJECT_STORE_BYTES = 128 * 2**20

# Ray records every call of an actor, for a dashboard that this one does not have: 100,000 of them.
_FORGETFUL = {"RAY_task_events_report_interval_ms": "0"}

_PREFIX = "gansweep-"

# Unix sockets have paths of at most 107 bytes, of which Ray's session takes about 65.
_LONGEST_TEMPORARY = 30


@contextlib.contextmanager
def embedded_ray(*, cpus: int, gpus: int, log_dir: Path) -> Iterator[Path]:
    """Start Ray on this machine, and stop it whatever happens inside.

    Ctrl-C does not reach Ray's processes: they block SIGINT, and workers lead process groups of
    their own. A driver that is killed takes its workers with it at once, the last of Ray's agents
    within two minutes. Variables that the user has set in the environment are left as they are.

    Args:
        cpus: What workers may claim in all; it reserves nothing.
        gpus: Likewise.
        log_dir: Gets `ray-driver.log` and the folder `session_*` of Ray's logs (a link to it
            while Ray runs).

    Yields:
        The folder of Ray's logs.

    Raises:
        RuntimeError: Ray is already running in this process.
    """
    log_dir = Path(log_dir).absolute()
    log_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Explicit, because with the mode unset Ray writes a token to ~/.ray, which changes how
        # every other Ray of this user starts.
        access = {"RAY_AUTH_MODE": "token"}
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            access["RAY_AUTH_TOKEN"] = _TOKEN
        stack.enter_context(environment(DRIVER_VARIABLES | _FORGETFUL | access))
        import ray  # after the variables, some of which it reads as it is imported

        if ray.is_initialized():
            raise RuntimeError(
                "Ray is already running in this process: call ray.shutdown() first, or give its "
                "address"
            )
        reload_authentication()
        restore_handler = stack.enter_context(terminate_handler_kept())
        stack.enter_context(logged_to(log_dir / "ray-driver.log"))
        _collect_killed(log_dir)
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_temporary()))
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        stack.callback(_keep_logs, temporary, log_dir)
        stack.callback(ray.shutdown)
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            namespace=NAMESPACE,
            job_config=job_config(),
            runtime_env=worker_environment(),
            _temp_dir=str(temporary),
            _node_ip_address="127.0.0.1",  # Ray then outlives a change of network
        )
        restore_handler()
        yield _link_logs(temporary, log_dir)


def _collect_killed(log_dir: Path) -> None:
    """Take the logs of runs that were killed before they could, and their temporary directories."""
    for link in log_dir.glob("session_*"):
        if not link.is_symlink() or _is_alive(int(link.name.rpartition("_")[2])):
            continue
        temporary = link.readlink().parents[1]
        if temporary.name.startswith(_PREFIX):
            _keep_logs(temporary, log_dir)
            shutil.rmtree(temporary, ignore_errors=True)


def _is_alive(driver: int) -> bool:
    try:
        os.kill(driver, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _short_temporary() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder.encode()) <= _LONGEST_TEMPORARY else "/tmp"


def _link_logs(temporary: Path, log_dir: Path) -> Path:
    session = (temporary / "session_latest").resolve()
    link = log_dir / session.name
    link.symlink_to(session / "logs", target_is_directory=True)
    return link


def _keep_logs(temporary: Path, log_dir: Path) -> None:
    """Put Ray's logs in the place of the link to them; a full disk must not hide the results."""
    session = (temporary / "session_latest").resolve()
    if not (session / "logs").is_dir():
        return
    with contextlib.suppress(OSError, shutil.Error):
        (log_dir / session.name).unlink(missing_ok=True)
        shutil.copytree(session / "logs", log_dir / session.name, symlinks=True)
