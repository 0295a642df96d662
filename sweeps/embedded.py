"""A Ray of our own on this machine, for as long as a sweep runs.

It is private: behind a token of this process, since Ray listens on every interface, and with its
sockets in a temporary directory that only this user can enter. It is quiet: what Ray and Tune have
to say goes to log files.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweeps.import_path import worker_variables

__all__ = ["NAMESPACE", "embedded_ray", "worker_environment"]

NAMESPACE = "gansweep"
"""Ray namespace of the actors that have names."""

_TOKEN = secrets.token_hex(32)

# Ray's default is 30% of the memory. Our objects are a few kilobytes each, and containers often
# have a /dev/shm of 64 MB; Ray refuses less than 75 MiB.
_OBJECT_STORE_BYTES = 128 * 2**20

_PREFIX = "gansweep-"

# Unix sockets have paths of at most 107 bytes, of which Ray's session takes about 65.
_LONGEST_TEMPORARY = 30

_DRIVER_VARIABLES = {
    # Explicit, because with the mode unset Ray writes a token to ~/.ray, which changes how every
    # other Ray of this user starts.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Under `uv run` Ray would pack the user's directory and build a new environment from it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Without it Tune moves workers into its trial directory, where the user's paths end.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Tune's own CSV, JSON and TensorBoard files: our results are Parquet.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The new output engine prints a table of its settings even at verbose=0; the old one is silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    # The runner decides what Ctrl-C does.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def worker_environment() -> dict[str, Any]:
    """Ray's `runtime_env` for our workers: our packages, the driver's paths, one CPU thread.

    One thread, because workers share the cores; the user's own OMP_NUM_THREADS stands.
    """
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    return {
        "env_vars": worker_variables() | threads,
        "worker_process_setup_hook": "sweeps.import_path.settle_worker",
    }


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
        token = {} if "RAY_AUTH_TOKEN_PATH" in os.environ else {"RAY_AUTH_TOKEN": _TOKEN}
        stack.enter_context(_environment(_DRIVER_VARIABLES | token))
        import ray  # after the variables, some of which it reads as it is imported

        if ray.is_initialized():
            raise RuntimeError(
                "Ray is already running in this process: call ray.shutdown() first, or give its "
                "address"
            )
        _reload_authentication()
        restore_handler = stack.enter_context(_terminate_handler_kept())
        stack.enter_context(_logged_to(log_dir / "ray-driver.log"))
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
            job_config=_job_config(),
            runtime_env=worker_environment(),
            _temp_dir=str(temporary),
            _node_ip_address="127.0.0.1",  # Ray then outlives a change of network
        )
        restore_handler()
        yield _link_logs(temporary, log_dir)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set what the user has not set; afterwards the environment is as it was, Ray's marks too.

    Ray leaves PYTHONBREAKPOINT pointing at its own debugger.
    """
    before = dict(os.environ)
    os.environ.update({name: value for name, value in variables.items() if name not in before})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _reload_authentication() -> None:
    """Let a Ray that was imported before the variables were set read them now.

    Ray does the same where it turns tokens on by itself (ray/_private/authentication). Older
    releases have no tokens.
    """
    raylet: Any = importlib.import_module("ray._raylet")
    if hasattr(raylet, "AuthenticationTokenLoader"):
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _job_config() -> Any:
    """A job whose workers do not get the driver's directories at the front of `sys.path`.

    Ray leaves them out for a job that says it brings a working directory; `settle_worker` puts
    them at the end. Should the private method go, our packages are still found first.
    """
    from ray.job_config import JobConfig

    class OwnPath(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return OwnPath()


@contextlib.contextmanager
def _terminate_handler_kept() -> Iterator[Callable[[], None]]:
    """Undo `ray.init`'s handler of SIGTERM at the end; a handler of the caller's at once.

    Ray's, which raises SystemExit, is better than the system's default, which would skip our
    cleaning up.

    Yields:
        What to call after `ray.init`.
    """
    before = signal.getsignal(signal.SIGTERM)

    def restore() -> None:
        # Not outside the main thread, where Ray sets no handler either.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, before)

    try:
        yield restore if callable(before) else lambda: None
    finally:
        restore()


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Send what Ray and Tune log in this process to a file instead of the terminal."""
    logger = logging.getLogger("ray")
    handlers, level = logger.handlers[:], logger.level
    file = logging.FileHandler(path, delay=True, encoding="utf-8")
    logger.handlers[:] = [file]
    try:
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        file.close()


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
