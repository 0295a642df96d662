"""A real Ray of a head and two nodes on this machine, with tokens, whose parts can be killed."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .processes import descendants, kill, titled

__all__ = ["Cluster", "begun_cluster", "wait_for"]

LIMIT_S = 600
"""For whatever is waited for: a machine that is busy with other things is slow."""

_PROGRAM = Path(__file__).parents[1] / "sweeps" / "local_cluster.py"


class Cluster:
    def __init__(self, process: subprocess.Popen[str], port: int, environment: dict[str, str]):
        self._process, self.environment = process, environment
        self.address = f"127.0.0.1:{port}"
        self._nodes = [0, 1]  # their numbers, of those that live
        self._begun = 2
        self._asked = 0  # nodes that begin

    def workers(self) -> list[int]:
        return titled(self._descendants(), "ray::", "Trainable")

    def owners(self) -> list[int]:
        return titled(self._descendants(), "ray::", "StudyOwner")

    def nodes(self) -> list[int]:
        """Their numbers, not the head's; those that begin are waited for."""
        for _ in range(self._asked):
            self._hear("add")
            self._nodes.append(self._begun)
            self._begun += 1
        self._asked = 0
        return list(self._nodes)

    def kill_node(self, node: int) -> int:
        """Ends all its processes at once; returns how many they were."""
        raylet = int(self._tell(f"pid {node}"))
        assert raylet in self._descendants()
        ended = [raylet, *descendants(raylet)]
        kill(ended)
        self._tell(f"kill {node}")  # takes it off its list
        self._nodes.remove(node)
        return len(ended)

    def add_node(self) -> None:
        """Lets one begin, which takes a while."""
        self._say("add")
        self._asked += 1

    def begin(self, *arguments: str, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
        """Begins a command of gansweep."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "sweeps", *arguments],
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _descendants(self) -> list[int]:
        return descendants(self._process.pid)

    def _tell(self, line: str) -> str:
        self.nodes()
        self._say(line)
        return self._hear(line)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _hear(self, line: str) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"the cluster ended at {line!r}"
        return answer.strip()


@contextlib.contextmanager
def begun_cluster(home: Path, variables: dict[str, str]) -> Iterator[Cluster]:
    """Begins one, and ends all of it.

    Args:
        home: of Ray, and where its log and its token go.
        variables: of its processes and of the commands, besides.
    """
    (home / "token").write_text(secrets.token_hex(32))
    port = _free_port()
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", "TUNE_"))}
    environment = inherited | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home / "token"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
        # Of a busy machine, on which workers would get what others leave.
        "RAY_worker_register_timeout_seconds": "120",
        "RAY_worker_niceness": "0",
        **variables,
    }
    # A short path: the sockets in it may have 107 characters.
    temporary = tempfile.mkdtemp(prefix="gsk-", dir="/tmp")
    with (home / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), temporary, str(port), "0"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n", (home / "cluster.log").read_text()
        yield Cluster(process, port, environment)
    finally:
        left = descendants(process.pid)
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        # Ray's workers end with their node, a moment later.
        _wait_until_gone(left)
        subprocess.run(["rm", "-rf", temporary], check=True)


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.1)


def _wait_until_gone(processes: list[int], limit_s: float = 15) -> None:
    end = time.monotonic() + limit_s
    while (left := _living(processes)) and time.monotonic() < end:
        time.sleep(0.1)
    kill(left)


def _living(processes: list[int]) -> list[int]:
    """Of those that are Ray's still: an id may be another's by now."""
    return titled(processes, "ray")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
