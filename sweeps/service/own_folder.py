"""What a service keeps for itself: its token, and where its Ray is. Nothing of a sweep."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from pathlib import Path
from typing import Self

from sweeps.mistakes import SweepFailure

__all__ = ["OwnFolder"]


class OwnFolder:
    """A folder of this user's for services on one storage, which nobody else can enter.

    It lies in `$XDG_STATE_HOME`, `~/.local/state` by default, and may be deleted when no service
    runs: the next makes another token.

    Args:
        path: where it is; made if it is not there.

    Raises:
        SweepFailure: it cannot be made, or is somebody else's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
        except OSError as error:
            raise SweepFailure(f"{self.path}: cannot be made: {error.strerror}") from None

    @classmethod
    def of(cls, storage: Path) -> Self:
        """The folder for services on a storage."""
        place = hashlib.sha256(str(storage).encode()).hexdigest()[:12]
        return cls(_state_home() / "gansweep" / place)

    def token(self, name: str) -> str:
        """A secret of this name, made when it is first asked for; it stays over restarts."""
        path = self.path / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            made = secrets.token_urlsafe(32).replace("-", "_").lstrip("_")
            temporary = path.with_name(f".{name}.{secrets.token_hex(4)}")
            temporary.touch(mode=0o600)
            temporary.write_text(made)
            try:
                os.link(temporary, path)  # unless another service was quicker
            except FileExistsError:
                return path.read_text().strip()
            finally:
                temporary.unlink()
            return made

    def locked(self, name: str, *, shared: bool = False, wait: bool = False) -> int | None:
        """Takes a lock of this name, which goes with the process.

        Args:
            name: of the lock's file.
            shared: with all others who share it.
            wait: until it is free.

        Returns:
            An open file that holds it, None if others do.
        """
        file = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file

    def is_held(self, name: str) -> bool:
        """Whether some process holds a lock, alone or with others."""
        file = self.locked(name)
        if file is None:
            return True
        os.close(file)
        return False


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
