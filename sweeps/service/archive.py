"""A sweep's directory as one stream, made as it is sent."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path

from sweeps.parcel import travelling

__all__ = ["archive"]


class _Chunks:
    """What is written and not sent yet."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, chunk: bytes) -> int:
        self._waiting.append(bytes(chunk))
        return len(chunk)

    def take(self) -> bytes:
        content = b"".join(self._waiting)
        self._waiting.clear()
        return content


def archive(directory: Path) -> Iterator[bytes]:
    """A tar.gz of the files of a sweep, also while it runs.

    Args:
        directory: of the sweep; names in the archive are below it.
    """
    chunks = _Chunks()
    with (
        gzip.GzipFile(fileobj=chunks, mode="wb", compresslevel=1, filename="") as packed,  # type: ignore[call-overload]
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path in travelling(directory):
            # Parts go where they are compacted, and others are written meanwhile.
            with contextlib.suppress(FileNotFoundError):
                tar.add(path, str(path.relative_to(directory)), recursive=False)
            if chunk := chunks.take():
                yield chunk
    yield chunks.take()
