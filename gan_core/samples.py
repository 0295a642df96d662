"""Samples as a picture."""

from __future__ import annotations

import io
import math

import torch
from PIL import Image
from torch import Tensor

__all__ = ["grid_png", "points_png"]

_GAP_PIXELS = 1
_GAP_GREY = 64  # told apart from MNIST's black and from a broken sample's mid-grey
_BROKEN_GREY = 128


def grid_png(samples: Tensor, columns: int = 8, *, scale: int = 1) -> bytes:
    """Draws samples row by row on a grid, as PNG. The same samples give the same bytes.

    Values beyond [-1, 1] are clipped. A sample with a NaN or inf anywhere is drawn wholly in
    mid-grey, so that a broken generator is seen to be broken and half a sample is not taken
    for a whole one.

    Args:
        samples: [N, channels, height, width], in [-1, 1], 1 channel (grey) or 3 (RGB).
        columns: samples in a row, >= 1; fewer where there are fewer samples.
        scale: pixels of the picture along each side of a sample's pixel, >= 1.

    Raises:
        ValueError: no samples, another number of channels, columns or scale below 1.
    """
    if samples.dim() != 4 or samples.shape[0] < 1 or samples.shape[1] not in (1, 3):
        shape = list(samples.shape)
        raise ValueError(f"samples has shape {shape}: must be [N >= 1, 1 or 3, height, width]")
    if columns < 1 or scale < 1:
        raise ValueError(f"columns = {columns} and scale = {scale}: both must be >= 1")
    tiles = _bytes(samples.detach()).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    image = Image.fromarray(_grid(tiles, min(columns, len(tiles))).squeeze(-1).numpy())
    png = io.BytesIO()
    image.save(png, format="PNG")
    return png.getvalue()


def points_png(points: Tensor, *, extent: float, side: int = 256) -> bytes:
    """Draws points of the plane as dots, as PNG; of more dimensions the first two.

    Points that are not finite or lie beyond the extent are left out.

    Args:
        points: [N, dimensions >= 2].
        extent: what the picture shows: [-extent, extent] in both directions, > 0.
        side: of the picture, in pixels.

    Raises:
        ValueError: fewer than two dimensions.
    """
    if points.dim() != 2 or points.shape[1] < 2:
        raise ValueError(f"points has shape {list(points.shape)}: must be [N, dimensions >= 2]")
    x, y = points.detach().double().cpu()[:, :2].unbind(1)
    columns, rows = (x / extent + 1) * side / 2, (1 - y / extent) * side / 2
    shown = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    sheet = torch.zeros(side, side, dtype=torch.uint8)
    sheet[rows[shown].long(), columns[shown].long()] = 255
    png = io.BytesIO()
    Image.fromarray(sheet.numpy()).save(png, format="PNG")
    return png.getvalue()


def _bytes(samples: Tensor) -> Tensor:
    finite = samples.isfinite().flatten(1).all(1).view(-1, 1, 1, 1)
    grey = ((samples.double().clamp(-1, 1) + 1) * 127.5).round()
    return torch.where(finite, grey, _BROKEN_GREY).to(torch.uint8).cpu()


def _grid(tiles: Tensor, columns: int) -> Tensor:
    """Puts tiles [N, c, h, w] on one sheet [rows * (h + gap) + gap, ..., c]."""
    n, c, h, w = tiles.shape
    rows = math.ceil(n / columns)
    height, width = h + _GAP_PIXELS, w + _GAP_PIXELS
    sheet = torch.full(
        (rows * height + _GAP_PIXELS, columns * width + _GAP_PIXELS, c),
        _GAP_GREY,
        dtype=torch.uint8,
    )
    for i, tile in enumerate(tiles):
        top, left = i // columns * height + _GAP_PIXELS, i % columns * width + _GAP_PIXELS
        sheet[top : top + h, left : left + w] = tile.movedim(0, -1)
    return sheet
