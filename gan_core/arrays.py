"""An array of the user's own, from a .npz or .npy file. Free of torch.

    images: [n, h, w], [n, c, h, w] or [n, h, w, c] with 1 or 3 channels; uint8, or floats in
            [0, 1] or, if any is negative, in [-1, 1]
    points: [n, d], floats of any finite value, used as they are

A .npz file holds it as "x" (or as its only array) and may hold labels [n] as "y": whole numbers
or names. A 4-dimensional array that could be read both ways is read as [n, c, h, w]. Pickled
objects are never loaded.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.lib import format as npy

from gan_core.config import ConfigError

__all__ = ["UserArray", "array_sample_shape", "read_array", "read_classes"]

_CHANNELS = (1, 3)
LEAST_SAMPLES = 4  # two halves, each with a covariance
_SHAPES = "[n, h, w], [n, 1 or 3, h, w], [n, h, w, 1 or 3] or [n, d]"
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class UserArray:
    """What the file held."""

    data: np.ndarray
    """[n, c, h, w], uint8 or float32 in [-1, 1]; or [n, d], float32."""
    labels: np.ndarray | None
    """[n], int64: indices into `classes`; None for fewer than two classes."""
    classes: tuple[str, ...]
    """The labels' values, sorted."""


def array_sample_shape(file: Path) -> tuple[int, ...]:
    """(c, h, w) or (d,), from the headers alone.

    Raises:
        ConfigError: no such file, or an array in it of the wrong shape or type.
    """
    shapes = _on_each(file, _header)
    shape, dtype = shapes["x"]
    _check_header(file, shape, dtype)
    if "y" in shapes:
        _check_labels(file, *shapes["y"], n=shape[0])
    if len(shape) == 2:
        return (shape[1],)
    if len(shape) == 3:
        return (1, *shape[1:])
    return shape[1:] if _channels_first(shape) else (shape[3], shape[1], shape[2])


def read_classes(file: Path) -> tuple[str, ...]:
    """The values of the labels, sorted, as text; () for fewer than two or without labels.

    Raises:
        ConfigError: as `array_sample_shape`.
    """
    array_sample_shape(file)
    return _classes(_on_each(file, _content, only="y").get("y"))[1]


def read_array(file: Path) -> UserArray:
    """Reads and checks everything.

    Raises:
        ConfigError: naming the file and what is wrong with it.
    """
    sample_shape = array_sample_shape(file)
    arrays = _on_each(file, _content)
    x = arrays["x"]
    if x.ndim == 4 and not _channels_first(x.shape):
        x = x.transpose(0, 3, 1, 2)
    if x.dtype != np.uint8:
        x = _floats(file, x)
    labels, classes = _classes(arrays.get("y"))
    return UserArray(np.ascontiguousarray(x).reshape(-1, *sample_shape), labels, classes)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return shape[1] in _CHANNELS


def _check_header(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    fits = len(shape) in (2, 3) or (
        len(shape) == 4 and (_channels_first(shape) or shape[3] in _CHANNELS)
    )
    if not fits or 0 in shape[1:]:
        raise _refusal(file, f"has shape {list(shape)}, must have {_SHAPES}")
    if shape[0] < LEAST_SAMPLES:
        raise _refusal(file, f"holds {shape[0]} samples, must hold at least {LEAST_SAMPLES}")
    if len(shape) == 2 and dtype.kind != "f":
        raise _refusal(file, f"has points of type {dtype}, must have floats")
    if dtype != np.uint8 and dtype.kind != "f":
        raise _refusal(file, f"has type {dtype}, must have uint8 or floats")


def _check_labels(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, n: int) -> None:
    if shape != (n,):
        raise _refusal(file, f"has labels y of shape {list(shape)}, must have [{n}]")
    if dtype.kind not in "iuU":
        raise _refusal(file, f"has labels y of type {dtype}, must have whole numbers or names")


def _floats(file: Path, x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large is refused as inf
        x = x.astype(np.float32)
    broken = x.size - np.isfinite(x).sum()
    if broken:
        raise _refusal(file, f"holds {broken} values that are NaN or not finite in float32")
    if x.ndim == 2:
        return x
    low, high = x.min(), x.max()
    if low < -1 or high > 1:
        right = "must have floats in [-1, 1] or [0, 1], or uint8"
        raise _refusal(file, f"has pixels in [{low:g}, {high:g}], {right}")
    return x if low < 0 else 2 * x - 1


def _classes(y: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if y is None:
        return None, ()
    values, labels = np.unique(y, return_inverse=True)
    if len(values) < 2:
        return None, ()
    return labels.astype(np.int64), tuple(map(str, values))


def _on_each(
    file: Path, read: Callable[[IO[bytes]], _Result], *, only: str | None = None
) -> dict[str, _Result]:
    """What `read` makes of the data, as "x", and of the labels, as "y", if there are any."""
    with _refused(file), file.open("rb") as stream:
        if file.suffix == ".npy":
            return {} if only == "y" else {"x": read(stream)}
        if file.suffix != ".npz":
            raise _refusal(file, "must be a .npz or .npy file")
        with zipfile.ZipFile(stream) as archive:
            results = {}
            for key, member in _members(file, archive.namelist()).items():
                if only in (None, key):
                    with archive.open(member) as array:
                        results[key] = read(array)
            return results


def _members(file: Path, entries: list[str]) -> dict[str, str]:
    names = {entry.removesuffix(".npy"): entry for entry in entries}
    others = [name for name in names if name != "y"]
    x = "x" if "x" in names else others[0] if len(others) == 1 else None
    if x is None:
        held = ", ".join(map(repr, names)) or "nothing"
        raise _refusal(file, f"holds {held}, must hold the data as 'x' (and labels as 'y')")
    return {"x": names[x]} | ({"y": names["y"]} if "y" in names else {})


@contextmanager
def _refused(file: Path) -> Iterator[None]:
    """Turns whatever a damaged file makes numpy and zipfile say into one line."""
    try:
        yield
    except ConfigError:
        raise
    except FileNotFoundError:
        raise _refusal(file, "there is no such file: must be a .npz or .npy file") from None
    except OSError as error:
        raise _refusal(file, f"cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, SyntaxError) as error:
        # numpy's advice to allow pickles runs over several lines
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refusal(file, f"is damaged or not of numpy's making ({reason})") from None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    else:
        # 3.0 differs in the names of fields alone, and a dtype with fields is refused anyway.
        shape, _, dtype = npy.read_array_header_2_0(stream)
    return shape, dtype


def _content(stream: IO[bytes]) -> np.ndarray:
    return npy.read_array(stream, allow_pickle=False)


def _refusal(file: Path, right: str) -> ConfigError:
    return ConfigError("data.root", os.fspath(file), right)
