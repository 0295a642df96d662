"""A sweep's results as text, and back: so that they come through a job's log.

What `gansweep fetch` runs on the head: `python -m sweeps.parcel DIRECTORY`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
import tarfile
from pathlib import Path

from sweeps.mistakes import SweepFailure

__all__ = ["LARGEST_BYTES", "main", "pack", "travelling", "unpack"]

LARGEST_BYTES = 512 * 2**20
"""Of what goes through a log; more is a matter for rsync or an object store."""

_LEFT_OUT = ("logs", "members")
_LINE = 16 * 1024
_FRAME = re.compile(r"^PARCEL ([0-9a-f]{64})$\n(.*?)^END$", re.MULTILINE | re.DOTALL)


def pack(directory: Path) -> str:
    """The files of a sweep, without logs, unfinished parts and members in training.

    Raises:
        SweepFailure: there is no such directory, or it is too large.
    """
    if not directory.is_dir():
        raise SweepFailure(f"{directory}: there is no such directory")
    files = travelling(directory)
    total = sum(path.stat().st_size for path in files)
    if total > LARGEST_BYTES:
        raise SweepFailure(f"{directory} holds {total >> 20} MiB, too much to fetch: copy it")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        for path in files:
            archive.add(path, str(path.relative_to(directory)), recursive=False)
    data = content.getvalue()
    text = base64.b64encode(data).decode()
    lines = (text[start : start + _LINE] for start in range(0, len(text), _LINE))
    return "\n".join([f"PARCEL {hashlib.sha256(data).hexdigest()}", *lines, "END", ""])


def travelling(directory: Path) -> list[Path]:
    """The files of a sweep that leave the machine: no logs, no members in training, no links."""
    return [path for path in sorted(directory.rglob("*")) if _travels(path, directory)]


def unpack(text: str, directory: Path) -> None:
    """Puts the files of a parcel into a directory.

    Args:
        text: with the parcel somewhere in it.
        directory: nothing can get out of it.

    Raises:
        SweepFailure: there is no parcel, or it is damaged.
    """
    found = _FRAME.search(text)
    if found is None:
        raise SweepFailure("the results did not arrive whole")
    data = base64.b64decode("".join(found[2].split()))
    if hashlib.sha256(data).hexdigest() != found[1]:
        raise SweepFailure("the results arrived damaged")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        archive.extractall(directory, filter="data")


def main(arguments: list[str]) -> int:
    """Prints the parcel of a directory."""
    try:
        sys.stdout.write(pack(Path(arguments[0])))
    except SweepFailure as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


def _travels(path: Path, directory: Path) -> bool:
    inner = path.relative_to(directory)
    hidden = any(part.startswith(".") for part in inner.parts)
    return (
        path.is_file() and not path.is_symlink() and not hidden and inner.parts[0] not in _LEFT_OUT
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
