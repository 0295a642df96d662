"""Files of published datasets as torchvision lays them out: which, where, and of what size.

Free of torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gan_core.config import ConfigError

__all__ = [
    "FASHION_MNIST_FILES",
    "KMNIST_FILES",
    "MNIST_FILES",
    "CifarFiles",
    "IdxFiles",
    "check_files",
]

_MISSING = "missing"
_IDX_UBYTE = 0x08


@dataclass(frozen=True)
class IdxFiles:
    """Arrays of bytes in the IDX format, both splits: torchvision wants all four files.

    The dimensions stand in each file's header, so a file's size is known.
    """

    folder: Path
    train: int
    """Images of the train split."""
    test: int
    """Images of the test split."""
    height: int = 28
    width: int = 28

    @property
    def pattern(self) -> str:
        """Which files there must be, for a person."""
        return f"{self.folder.as_posix()}/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, below the root."""
        return tuple(self.folder / name for name in self._shapes)

    def faults(self, root: Path) -> Iterator[tuple[str, str]]:
        """Each file's name and what is wrong with it, or ""."""
        for name, shape in self._shapes.items():
            yield name, _idx_fault(root / self.folder / name, shape)

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            f"{split}-{kind}-ubyte": shape
            for split, n in (("train", self.train), ("t10k", self.test))
            for kind, shape in (
                ("images-idx3", (n, self.height, self.width)),
                ("labels-idx1", (n,)),
            )
        }


@dataclass(frozen=True)
class CifarFiles:
    """The "python version" of CIFAR-10, unpacked.

    Its files are pickles. torchvision compares their checksums before it opens them; here their
    sizes are compared with that of the pixels which they must hold.
    """

    folder: Path = Path("cifar-10-batches-py")
    batch_images: int = 10_000

    @property
    def pattern(self) -> str:
        """Which files there must be, for a person."""
        return f"{self.folder.as_posix()}/{{data_batch_1..5,test_batch,batches.meta}}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, below the root."""
        return tuple(self.folder / name for name in self._least_bytes)

    def faults(self, root: Path) -> Iterator[tuple[str, str]]:
        """Each file's name and what is wrong with it, or ""."""
        for name, least in self._least_bytes.items():
            yield name, _size_fault(root / self.folder / name, least)

    @property
    def _least_bytes(self) -> dict[str, int]:
        batches = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
        return dict.fromkeys(batches, self.batch_images * 3 * 32 * 32) | {"batches.meta": 1}


MNIST_FILES = IdxFiles(Path("MNIST", "raw"), 60_000, 10_000)
FASHION_MNIST_FILES = IdxFiles(Path("FashionMNIST", "raw"), 60_000, 10_000)
KMNIST_FILES = IdxFiles(Path("KMNIST", "raw"), 60_000, 10_000)


def check_files(
    files: IdxFiles | CifarFiles, root: str | os.PathLike[str] | None, download: bool
) -> None:
    """Refuses a root in which a file is damaged or, unless it may be downloaded, missing.

    Args:
        files: what must be there.
        root: directory that holds `files.folder`.
        download: whether a file may be missing.

    Raises:
        ConfigError: with key "data.root".
    """
    if root is None or not os.fspath(root):
        raise ConfigError("data.root", root, f"must be the directory that holds {files.pattern}")
    shown = os.fspath(root)
    if any(path.exists() and not path.is_dir() for path in (Path(root), *Path(root).parents)):
        right = f"must be a directory, the one that holds {files.pattern}"
        raise ConfigError("data.root", shown, right)
    faults = dict(files.faults(Path(root)))
    damaged = [f"{file} {fault}" for file, fault in faults.items() if fault not in ("", _MISSING)]
    missing = [file for file, fault in faults.items() if fault == _MISSING]
    if damaged:
        right = f"delete it and set data.download = true, or put right {files.folder.as_posix()}"
        raise ConfigError("data.root", shown, f"{'; '.join(damaged)}: {right}")
    if missing and not download:
        right = f"must hold {files.pattern} ({len(missing)} of {len(faults)} missing)"
        raise ConfigError("data.root", shown, f"{right}, or set data.download = true")


def _idx_fault(path: Path, shape: tuple[int, ...]) -> str:
    """What is wrong with a file that should hold one array of bytes of this shape, or ""."""
    header = bytes([0, 0, _IDX_UBYTE, len(shape)])
    header += b"".join(n.to_bytes(4, "big") for n in shape)
    size = len(header) + math.prod(shape)
    try:
        with path.open("rb") as file:
            start, actual = file.read(len(header)), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if actual != size:
        return f"has {actual} bytes instead of {size}"
    return "" if start == header else f"begins with {start.hex()} instead of {header.hex()}"


def _size_fault(path: Path, least_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            actual = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if actual >= least_bytes else f"has {actual} bytes, fewer than {least_bytes}"
