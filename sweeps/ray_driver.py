"""What a process that drives a sweep on Ray sets up, whichever Ray it is, and undoes again.

It is quiet: what Ray and Tune have to say goes to log files. Variables that the user has set in
the environment are left as they are.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweeps.import_path import worker_variables

__all__ = [
    "DRIVER_VARIABLES",
    "NAMESPACE",
    "environment",
    "job_config",
    "logged_to",
    "reload_authentication",
    "terminate_handler_kept",
    "worker_environment",
]

NAMESPACE = "gansweep"
"""Ray namespace of the actors that have names."""

DRIVER_VARIABLES = {
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
    # Within a Ray job, whose variables ours are added to, and replace.
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
}
"""For `environment`; how to authenticate comes on top."""


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
def environment(variables: dict[str, str]) -> Iterator[None]:
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


def reload_authentication() -> None:
    """Let a Ray that was imported before the variables were set read them now.

    Ray does the same where it turns tokens on by itself (ray/_private/authentication). Older
    releases have no tokens.
    """
    raylet: Any = importlib.import_module("ray._raylet")
    if hasattr(raylet, "AuthenticationTokenLoader"):
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def job_config() -> Any:
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
def terminate_handler_kept() -> Iterator[Callable[[], None]]:
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


class _QuietFile(logging.FileHandler):
    """A log that cannot be written, such as on a full disk, must not hide why the sweep ends."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 the library's name
        """Says nothing."""


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Send what Ray and Tune log in this process to a file instead of the terminal.

    So too what Ray prints there of a worker or node that died: up to a page for each, in the midst
    of what the command says. Should the private name go, that is printed again.
    """
    logger = logging.getLogger("ray")
    handlers, level = logger.handlers[:], logger.level
    file = _QuietFile(path, delay=True, encoding="utf-8")
    logger.handlers[:] = [file]
    driver: Any = importlib.import_module("ray._private.worker")
    printed = vars(driver).get("print_to_stdstream")

    def log(data: dict[str, Any], *_: Any, **__: Any) -> None:
        logger.warning("\n".join(data["lines"]))

    if printed is not None:
        driver.print_to_stdstream = log
    try:
        yield
    finally:
        if printed is not None:
            driver.print_to_stdstream = printed
        logger.handlers[:] = handlers
        logger.setLevel(level)
        with contextlib.suppress(OSError):
            file.close()
