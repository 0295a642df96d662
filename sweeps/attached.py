"""A Ray cluster that runs already, for as long as a sweep runs on it.

The process must be on one of the cluster's nodes: from elsewhere, `gansweep submit` starts it on
the head.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gan_core.config import ConfigError
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

__all__ = ["access_variables", "attached_ray", "check_address", "reach"]

_TOKEN_FILE = Path("~/.ray/auth_token")
_ADDRESS = re.compile(r"auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_ANSWERS_WITHIN_S = 20.0
_IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray's name of what it tells the process of a job

# In a process of its own: where nothing answers, Ray tries for two minutes and then ends the
# process that asked. Should these private names go, `ray.init` is left to find out.
_ASK = """
import socket, sys
try:
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient
except ImportError:
    sys.exit(0)
address = canonicalize_bootstrap_address(sys.argv[1])
if address is None:
    sys.exit(1)
print(address, flush=True)
host, _, port = address.rpartition(":")
socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
GcsClient(address=address)
"""


def check_address(address: str) -> str:
    """The address, if it can be one of a running cluster.

    Raises:
        ConfigError: it has another form.
    """
    if _ADDRESS.fullmatch(address):
        return address
    if "://" in address:
        right = 'must be "auto" or HOST:PORT, on a node of the cluster; a URL is for `submit`'
    else:
        right = 'must be "auto" or HOST:PORT'
    raise ConfigError("--address", address, right)


def access_variables() -> dict[str, str]:
    """How to authenticate: by the token that this user has, else not at all.

    Explicit, because with the mode unset a token that is found is used for some connections and
    for others not.
    """
    named = os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    has_token = bool(named) or _TOKEN_FILE.expanduser().is_file()
    return {"RAY_AUTH_MODE": "token" if has_token else "disabled"}


def reach(address: str) -> None:
    """Sees whether a cluster answers, and takes the token that this user has.

    Raises:
        ConfigError: the address cannot be one, nothing answers there, or it asks for another
            token.
    """
    check_address(address)
    access = access_variables() | dict(os.environ)
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            env=access,
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
        )
    except subprocess.TimeoutExpired as late:
        raise _silent(address, _text(late.stdout)) from None
    if asked.returncode == 0:
        return
    if "AuthenticationError" in asked.stderr:
        found = access["RAY_AUTH_MODE"] == "token"
        what = "another token than the one found" if found else "a token, and none was found"
        right = (
            f"the cluster{_at(address, asked.stdout)} asks for {what}: RAY_AUTH_TOKEN_PATH must "
            f"name the file of its token, or {_TOKEN_FILE} hold it"
        )
        raise ConfigError("--address", address, right)
    raise _silent(address, asked.stdout)


@contextlib.contextmanager
def attached_ray(address: str, *, log_dir: Path) -> Iterator[None]:
    """Connect to a running cluster, and leave it whatever happens inside.

    What runs there besides is not touched: named actors have a namespace of their own.

    Args:
        address: "auto" for the cluster that this machine is a node of, or HOST:PORT of its head;
            one that `reach` has tried.
        log_dir: Gets `ray-driver.log`.

    Raises:
        ConfigError: This machine is no node of the cluster.
        RuntimeError: Ray is already running in this process.
    """
    log_dir = Path(log_dir).absolute()
    log_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment(DRIVER_VARIABLES | access_variables()))
        import ray  # after the variables, some of which it reads as it is imported

        if ray.is_initialized():
            raise RuntimeError("Ray is already running in this process: call ray.shutdown() first")
        reload_authentication()
        restore_handler = stack.enter_context(terminate_handler_kept())
        stack.enter_context(logged_to(log_dir / "ray-driver.log"))
        stack.callback(ray.shutdown)
        stack.callback(_leave_directory)
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                namespace=NAMESPACE,
                job_config=job_config(),
                runtime_env=worker_environment(),
            )
        except (ConnectionError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            right = f"cannot be joined from this machine, which must be one of its nodes: {reason}"
            raise ConfigError("--address", address, right) from None
        restore_handler()
        yield


def _silent(address: str, resolved: str) -> ConfigError:
    if not resolved.strip():
        right = "no Ray cluster runs on this machine: `ray start --head` starts one"
    else:
        right = f"no Ray cluster answers{_at(address, resolved)}"
    return ConfigError("--address", address, right)


def _at(address: str, resolved: str) -> str:
    """Which cluster, where the address does not say it."""
    return f" at {resolved.strip()}" if address == "auto" else ""


def _text(output: bytes | str | None) -> str:
    return output.decode() if isinstance(output, bytes) else output or ""


def _leave_directory() -> None:
    """Goes where it can stay: Ray removes the directory of a job once the job has left Ray."""
    if _IN_A_JOB in os.environ:
        os.chdir("/")
