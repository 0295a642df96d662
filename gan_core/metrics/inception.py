"""FID as the literature has it: features of the Inception v3 of 2015, through torch-fidelity.

Nothing needs it to train or to judge. It wants the extra `inception`, and weights of 96 MB that
are fetched once, or come from a file.

torch-fidelity has the network and its resizing just as the TensorFlow graph that FIDs have been
reported with since Heusel et al. 2017, arXiv:1706.08500. The distance is that of
`gan_core.metrics.frechet`, which agrees with torch-fidelity's to 2e-7 of itself and keeps to
symmetric matrices.
"""

from __future__ import annotations

import hashlib
import http.client
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.config import ConfigError
from gan_core.metrics.frechet import Reference, frechet_distance, moments

__all__ = ["PUBLISHED_SHA256", "Inception", "inception_fid"]

PUBLISHED_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the weights that published FIDs were measured with, as torch-fidelity and pytorch-fid offer
them; the files' names have its first eight digits."""

_LAYER = "2048"  # the last pooling's, named for its length
_BATCH_SIZE = 32


class Inception:
    """The network up to its last pooling, with 2,048 features.

    Args:
        weights: a file in torch-fidelity's layout; None takes the published one, which is fetched
            into PyTorch's hub directory unless it is there. Nothing but tensors is read of it.
        device: where the network runs.

    Raises:
        ConfigError: torch-fidelity is not installed, or the weights cannot be had.
    """

    def __init__(self, weights: Path | None = None, *, device: str | torch.device = "cpu") -> None:
        library = _library()
        self.file = weights or _fetched(library.URL_INCEPTION_V3)
        """Of the weights."""
        self._network = _network(library, self.file).to(device)
        self._device = device
        with self.file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        self.is_published = digest == PUBLISHED_SHA256
        """Whether the weights are those that FIDs were published with."""

    def features(
        self,
        images: Tensor,
        *,
        batch_size: int = _BATCH_SIZE,
        on_batch: Callable[[int], object] | None = None,
    ) -> Tensor:
        """What Inception sees, after rounding to bytes as image files do.

        Args:
            images: [N, 1 or 3, height, width] in [-1, 1], what is beyond is clipped; any size,
                for 299 x 299 is made of it.
            batch_size: images at once, which changes the rounding alone.
            on_batch: called with the number of images after each batch.

        Returns:
            [N, 2048], float32, on the CPU; NaN for an image with a NaN or inf.
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            right = "must be [N, 1 or 3, height, width]: gray or RGB images"
            raise ConfigError("images", tuple(images.shape), right)
        parts = []
        # TensorFloat-32, the default of convolutions on a GPU, keeps 10 of 23 bits.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for batch in images.split(batch_size):
                (seen,) = self._network(_as_bytes(batch.to(self._device)))
                finite = batch.isfinite().flatten(1).all(1)
                parts.append(torch.where(finite.cpu()[:, None], seen.cpu(), torch.nan))
                if on_batch is not None:
                    on_batch(len(batch))
        return torch.cat(parts)

    def fid(
        self,
        samples: Tensor,
        real: Tensor,
        *,
        batch_size: int = _BATCH_SIZE,
        on_batch: Callable[[int], object] | None = None,
    ) -> float:
        """See `inception_fid`."""
        for name, images in (("samples", samples), ("real", real)):
            if len(images) < 2:
                raise ConfigError(name, len(images), "must be at least 2 images")
        seen, reference = (
            moments(self.features(images, batch_size=batch_size, on_batch=on_batch))
            for images in (samples, real)
        )
        if not reference.finite:
            return float("nan")
        return frechet_distance(seen, Reference(reference)).item()


def inception_fid(
    samples: Tensor,
    real: Tensor,
    *,
    weights: Path | None = None,
    batch_size: int = _BATCH_SIZE,
    device: str | torch.device = "cpu",
    on_batch: Callable[[int], object] | None = None,
) -> float:
    """Frechet distance of two sets of images in Inception's features (FID).

    It is too high by an amount that shrinks with N and depends on the generator (Chong & Forsyth
    2020, arXiv:1911.07023): compare at the same N, of both sets, alone. Reports take 10,000 or
    50,000.

    Args:
        samples: [N, 1 or 3, height, width] in [-1, 1]; gray images are seen as RGB of equal
            channels.
        real: of any number, height and width.
        weights: see `Inception`.
        batch_size: images at once.
        device: where Inception runs.
        on_batch: called with the number of images after each batch of either set.

    Returns:
        At least 0; NaN if any image has a NaN or inf.

    Raises:
        ConfigError: torch-fidelity is not installed, the weights cannot be had, or these are no
            images.
    """
    inception = Inception(weights, device=device)
    return inception.fid(samples, real, batch_size=batch_size, on_batch=on_batch)


def _as_bytes(images: Tensor) -> Tensor:
    """uint8 [N, 3, h, w]; of images that were bytes they are the same bytes."""
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255)
    # What is not finite has no byte; its features are made NaN later.
    return levels.where(levels.isfinite(), 0).to(torch.uint8).expand(-1, 3, -1, -1)


def _library() -> Any:
    try:
        import torch_fidelity.feature_extractor_inceptionv3 as library
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch_fidelity":
            raise
        right = 'needs torch-fidelity: pip install "gansweep[inception]"'
        raise ConfigError("features", "inception", right) from None
    return library


def _fetched(url: str) -> Path:
    """The file where torch-fidelity itself keeps it, after fetching it if it is not there."""
    name = url.rpartition("/")[2]
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if file.exists():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(file), hash_prefix=PUBLISHED_SHA256, progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())
        right = f"cannot be fetched ({reason}): bring the file from elsewhere, and name it"
        raise ConfigError("weights", url, right) from None
    return file


def _network(library: Any, file: Path) -> Any:
    if not file.is_file():
        raise ConfigError("weights", str(file), "there is no such file")
    try:
        # torch-fidelity would unpickle whatever is in the file.
        torch.load(file, map_location="cpu", weights_only=True)
        return library.FeatureExtractorInceptionV3(
            "inception-v3-compat", [_LAYER], feature_extractor_weights_path=str(file)
        )
    # A file that is something else breaks PyTorch's reader in whatever way.
    except Exception as error:
        right = f"holds no Inception v3 in torch-fidelity's layout ({type(error).__name__})"
        published = library.URL_INCEPTION_V3
        raise ConfigError("weights", str(file), f"{right}; that is {published}") from None
