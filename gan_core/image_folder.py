"""A directory of images as one array of bytes. Free of torch.

Either the images lie in the directory itself and have no labels, or they lie in folders in it
(or below these), each of which is a class. A single class is none. Files that do not end like
images and those whose name begins with a dot are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gan_core.config import ConfigError

__all__ = ["ImageFiles", "check_image_folder", "list_images", "read_images"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
                       ".webp"})  # fmt: skip
# Headers that a check opens: enough to see a folder of something else, too few to wait for.
_CHECKED = 64
LEAST_IMAGES = 4  # two halves, each with a covariance


@dataclass(frozen=True)
class ImageFiles:
    """Images in the order of their paths."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    """Of each image an index into `classes`."""
    classes: tuple[str, ...]
    """Names of the class folders, sorted; () where there are none."""


def list_images(root: Path) -> ImageFiles:
    """Finds the images.

    Args:
        root: the directory.

    Raises:
        ConfigError: no directory, too few images, or images beside class folders.
    """
    shown = os.fspath(root)
    if not root.is_dir():
        raise ConfigError("data.root", shown, "must be a directory of images")
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    beside = [entry for entry in entries if _is_image(entry)]
    below = {entry.name: _images_below(entry) for entry in entries if entry.is_dir()}
    below = {name: paths for name, paths in below.items() if paths}
    if beside and below:
        right = f"holds images ({beside[0].name}, ...) beside class folders ({min(below)}, ...)"
        raise ConfigError("data.root", shown, f"{right}: must hold either")
    paths = tuple(beside) + tuple(path for group in below.values() for path in group)
    if len(paths) < LEAST_IMAGES:
        kinds = ", ".join(sorted(_SUFFIXES))
        right = f"holds {len(paths)} images, must hold at least {LEAST_IMAGES} ({kinds})"
        raise ConfigError("data.root", shown, right)
    if len(below) < 2:
        return ImageFiles(paths, None, ())
    labels = tuple(k for k, group in enumerate(below.values()) for _ in group)
    return ImageFiles(paths, labels, tuple(below))


def check_image_folder(root: Path) -> None:
    """Refuses a directory whose images cannot be listed, or the first of some that are unreadable.

    Opens the headers of up to 64 images, evenly spaced: `read_images` sees the others.

    Args:
        root: the directory.

    Raises:
        ConfigError: naming the directory or the file.
    """
    paths = list_images(root).paths
    for path in paths[:: max(1, len(paths) // _CHECKED)]:
        try:
            with Image.open(path):
                pass
        except _UNREADABLE as error:
            raise _refusal(path, error) from None


def read_images(paths: Sequence[Path], image_size: int) -> np.ndarray:
    """Reads images, each scaled so that the largest centred square of it has the size asked for.

    Grey and palette images become RGB, transparency is dropped, and photographs are turned as
    their camera was held. Scaling is Pillow's bicubic filter, which does not alias (Parmar et
    al. 2022, arXiv:2104.11222).

    Args:
        paths: the files.
        image_size: height and width, >= 1.

    Returns:
        [n, 3, image_size, image_size], uint8.

    Raises:
        ConfigError: naming the first file that cannot be read.
    """
    images = np.empty((len(paths), 3, image_size, image_size), np.uint8)

    def read(i: int) -> None:
        images[i] = _read(paths[i], image_size)

    # Pillow decodes and scales outside the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(read, range(len(paths))):
            pass
    return images


# Pillow's own errors are OSErrors; SyntaxError is what a broken PNG chunk raises.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def _read(path: Path, image_size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"has pixels of mode {image.mode}: must have 8 bits a channel")
            upright = ImageOps.exif_transpose(image).convert("RGB")
            square = ImageOps.fit(upright, (image_size, image_size), Image.Resampling.BICUBIC)
    except _UNREADABLE as error:
        raise _refusal(path, error) from None
    return np.asarray(square).transpose(2, 0, 1)


def _refusal(path: Path, error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())
    return ConfigError("data.root", os.fspath(path), f"cannot be read as an image ({reason})")


def _is_image(path: Path) -> bool:
    named = path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    return named and path.is_file()


def _images_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_image(path))
