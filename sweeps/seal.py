"""A digest within a file, by which a reader tells whether a byte of it has changed since.

A disk, or whoever copies a sweep, may change a number in the middle of a file that still reads as
before. What is read only to be shown may bear that; training that goes on from it may not.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["BLANK", "is_whole", "sealed"]

_MARK = b"sha256:"
BLANK = f"{_MARK.decode()}{'0' * 64}"
"""To be somewhere in what will be sealed, the digest's place; nothing like it before it."""

_DIGEST = re.compile(_MARK + rb"[0-9a-f]{64}")


def sealed(content: bytes) -> bytes:
    """The content with its digest in the place of `BLANK`.

    Raises:
        ValueError: it has no such place.
    """
    if BLANK.encode() not in content:
        raise ValueError(f"there is no {BLANK} to be replaced")
    return content.replace(BLANK.encode(), _digest(content), 1)


def is_whole(content: bytes) -> bool:
    """Whether it is just what `sealed` returned."""
    found = _DIGEST.search(content)
    if found is None:
        return False
    blank = content[: found.start()] + BLANK.encode() + content[found.end() :]
    return _digest(blank) == found[0]


def _digest(content: bytes) -> bytes:
    return _MARK + hashlib.sha256(content).hexdigest().encode()
