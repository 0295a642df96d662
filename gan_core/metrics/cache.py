"""Weights that are made at first use, kept in the user's cache directory.

`$XDG_CACHE_HOME/gansweep`, or `~/.cache/gansweep`: anything in it may be deleted. A file
appears whole or not at all, and the first one stays: of several processes that make it at once,
all go on with the same. Where the directory cannot be written, each makes its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

__all__ = ["cache_directory", "cached_weights"]

_log = logging.getLogger(__name__)


def cache_directory() -> Path:
    """Where the files are; it need not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    home = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return home / "gansweep"


def cached_weights(name: str, make: Callable[[], bytes]) -> tuple[dict[str, Tensor], str]:
    """Reads a file of weights, after making it if it is absent or damaged.

    Args:
        name: of the file; must change with everything that its content depends on.
        make: returns the content, a safetensors file.

    Returns:
        tensors by name, and the sha256 of the file, hexadecimal.
    """
    file = cache_directory() / f"{name}.safetensors"
    with contextlib.suppress(OSError, SafetensorError):
        return _unpacked(file.read_bytes())
    content = make()
    try:
        _put_once(file, content)
        return _unpacked(file.read_bytes())
    except (OSError, SafetensorError) as error:
        _log.warning("cannot keep weights in %s (%s): made again when next needed", file, error)
        return _unpacked(content)


def _unpacked(content: bytes) -> tuple[dict[str, Tensor], str]:
    return load(content), hashlib.sha256(content).hexdigest()


def _put_once(file: Path, content: bytes) -> None:
    """Writes the file whole, unless a sound one has come to be there meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, file)  # unlike a rename it replaces nothing
        except OSError:
            # One is there, or the file system has no links.
            if not _is_sound(file):
                os.replace(temporary, file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _is_sound(file: Path) -> bool:
    try:
        load(file.read_bytes())
    except (OSError, SafetensorError):
        return False
    return True
