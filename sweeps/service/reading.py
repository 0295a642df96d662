"""The process that reads sweeps with pandas, beside the one that answers.

It has no higher priority than the workers of sweeps on the machine, and is begun anew now and then,
so that what libraries keep does not add up.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeps.memory import trim_heap
from sweeps.service.refusals import Refusal

if TYPE_CHECKING:
    import pandas as pd

    from analysis.report.tables import Tables
    from analysis.sweep import Sweep

__all__ = ["Content", "Reading", "View", "begin", "compute", "give_back", "warm"]

_KEPT = 3
"""Sweeps that are held in memory."""
_LOWER = 15  # as Ray's workers
_LOOKS_EVERY_S = 2.0
_SMALL_BYTES = 1000

_kept: OrderedDict[tuple[str, str], Reading] = OrderedDict()


@dataclass(frozen=True)
class Content:
    """What a view makes."""

    content: bytes | str
    media_type: str = "application/json"

    @property
    def encoded(self) -> bytes:
        """As bytes."""
        return self.content.encode() if isinstance(self.content, str) else self.content


class Reading:
    """A sweep as it was at some version, read as far as it is looked at.

    Args:
        directory: of the sweep.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name = os.path.basename(directory)
        self.made: dict[str, Any] = {}
        """What views have made of it, and other views need too."""

    @cached_property
    def sweep(self) -> Sweep:
        """All that it has written."""
        from analysis.load import load

        return load(self.directory)

    @cached_property
    def tables(self) -> Tables:
        """All that analysis makes of it."""
        from analysis.report.tables import gather

        return gather(self.sweep)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One for every GAN that has ended."""
        from analysis.verdict import judge

        return judge(self.sweep)


View = Callable[..., Content]
"""`(params, *readings) -> Content`; raises `Refusal` for what is not there."""


def compute(
    view: str, sweeps: Sequence[tuple[str, str]], params: Mapping[str, str]
) -> tuple[bytes, bool, str, float]:
    """What a view makes of sweeps.

    Args:
        view: `module:function`.
        sweeps: directory and version of each.
        params: the view's own.

    Returns:
        The content, whether it was compressed, its media type, and the seconds of a processor
        that it took.

    Raises:
        Refusal: it cannot be made.
    """
    module, _, function = view.partition(":")
    made: View = getattr(importlib.import_module(module), function)
    begun = time.process_time()
    with _plain_errors():
        found = made(params, *(_reading(directory, version) for directory, version in sweeps))
    content, kind = found.encoded, found.media_type
    if len(content) < _SMALL_BYTES or not kind.startswith(("text/", "application/json")):
        return content, False, kind, time.process_time() - begun
    content = gzip.compress(content, 5)
    return content, True, kind, time.process_time() - begun


def warm() -> None:
    """Imports what views need, before the first is asked for."""
    importlib.import_module("sweeps.service.pages_sweep")


def give_back() -> None:
    """Gives the system the memory that an answer took: of a quarter of a gigabyte a third."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim_heap()


def begin(parent: int) -> None:
    """What the process does first.

    Args:
        parent: the process that answers; this one ends with it, however that ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    with contextlib.suppress(OSError):
        os.nice(_LOWER)
    import pyarrow as pa

    pa.set_cpu_count(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKS_EVERY_S)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _reading(directory: str, version: str) -> Reading:
    found = _kept.pop((directory, version), None)
    if found is None:
        for key in [key for key in _kept if key[0] == directory]:
            del _kept[key]  # an older version
        found = Reading(directory)
    _kept[directory, version] = found
    while len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return found


@contextlib.contextmanager
def _plain_errors() -> Any:
    """What is wrong with the files, in one line without the place where they lie."""
    from analysis.parts import PartError, SchemaVersionError

    try:
        yield
    except (PartError, SchemaVersionError) as error:
        raise Refusal(409, f"SWEEP: cannot be read: {_short(error)}") from None
    except FileNotFoundError:
        raise Refusal(404, "SWEEP: it is gone, or has no results yet") from None


def _short(error: Exception) -> str:
    """Paths as they are below the storage."""
    words = str(error).split()
    return " ".join("/".join(w.split("/")[-3:]) if w.startswith("/") else w for w in words)
