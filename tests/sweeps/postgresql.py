"""A real PostgreSQL of a test's own, in a temporary directory, on a port and socket of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, PASSWORD = "sweeper", "s3cr/t:p@ss"
"""What a URL has to escape in a password is in it."""

ESCAPED = "s3cr%2Ft%3Ap%40ss"
_STARTS_WITHIN_S = 60.0


class Server:
    """One PostgreSQL server with password authentication, which can be stopped and started."""

    def __init__(self, programs: Path, directory: Path, account: str | None) -> None:
        self._programs, self._directory, self._account = programs, directory, account
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = int(sock.getsockname()[1])
        secret = directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb",
            f"--pgdata={directory / 'data'}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
        )

    @property
    def url(self) -> str:
        """Of the database, with the password."""
        return f"postgresql://{USER}:{ESCAPED}@127.0.0.1:{self.port}/postgres"

    @property
    def url_without_password(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = [
            str(self._programs / "postgres"),
            f"-D{self._directory / 'data'}",
            f"-p{self.port}",
            f"-k{self._directory}",
            "-clisten_addresses=127.0.0.1",
            "-cfsync=off",
            "-cshared_buffers=16MB",
        ]
        log = (self._directory / "log").open("ab")
        self._process = subprocess.Popen(
            command, stdout=log, stderr=log, user=self._account, cwd=self._directory
        )
        log.close()
        end = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < end:
            if self._is_ready():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError((self._directory / "log").read_text())

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stops it: by SIGINT at once but in order, by SIGQUIT as in a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """Cuts every connection."""
        self.stop(number)
        self.start()

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Runs SQL in a connection of its own; the rows that it gives."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def cut_connections(self) -> int:
        """Ends every other connection from the server's side; returns how many there were."""
        return len(
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        )

    def _is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h127.0.0.1", f"-p{self.port}"]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            capture_output=True,
            user=self._account,
            cwd=self._directory,
        )


@contextlib.contextmanager
def postgresql_server() -> Iterator[Server]:
    """A server that runs; skips the test where there is no PostgreSQL to run."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    account = _account()
    directory = Path(tempfile.mkdtemp(prefix="gansweep-pg-", dir="/tmp"))
    try:
        if account is not None:
            shutil.chown(directory, account)
        server = Server(programs, directory, account)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: int(path.parts[-3]), default=None)
    return newest and newest.parent


def _account() -> str | None:
    """Whom it runs as: PostgreSQL refuses root."""
    return "nobody" if os.geteuid() == 0 else None
