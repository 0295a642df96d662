"""What is measured of members: at a rung, at their end, and of the control beside them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gan_core.cohort import Cohort, Member
from gan_core.data import Dataset
from gan_core.metrics.evaluate import Evaluation, Evaluator
from gan_core.samples import grid_png, points_png
from gan_core.singular import spectral_norms
from sweeps.rows import Progress

__all__ = ["judge_at_end", "judge_rung", "pictures", "untrained"]

_GRID_IMAGES = 64
_POINTS = 2500  # in a picture of points
_GRID_PIXELS = 32  # least height of an image in a grid: 8x8 digits are hard to see as they are


def judge_rung(
    cohort: Cohort, evaluator: Evaluator, seeds: Sequence[tuple[Progress, Member]]
) -> None:
    """Takes a rung's metrics into each seed's progress.

    Args:
        cohort: where the members stand.
        evaluator: of the dataset.
        seeds: whom to judge, together.
    """
    if not seeds:
        return
    members = [member for _, member in seeds]
    samples = cohort.generate(members, evaluator.eval_images)
    evaluation = evaluator(samples, cohort.evaluation_labels(evaluator.eval_images))
    metrics, norms = _rows(evaluation.values), spectral_norms(cohort, members)
    shares = evaluation.histogram.tolist()
    for index, (seed, _) in enumerate(seeds):
        seed.judged(metrics[index], shares[index])
        seed.spectral_norms = {name: column[index] for name, column in norms.items()}


def judge_at_end(
    cohort: Cohort, evaluator: Evaluator, seeds: Sequence[tuple[Progress, Member]]
) -> None:
    """Takes what is measured of members that end into each seed's progress.

    One that diverged is left without: its weights are those before it did.

    Args:
        cohort: where the members still stand.
        evaluator: of the dataset.
        seeds: who ends, together.
    """
    sound = [(seed, member) for seed, member in seeds if not seed.diverged]
    if not sound:
        return
    samples = cohort.generate([member for _, member in sound], evaluator.eval_images)
    for (seed, _), values in zip(sound, _rows(evaluator.at_end(samples)), strict=True):
        seed.at_end = values


def untrained(fresh: Cohort, evaluator: Evaluator) -> Evaluation:
    """What the only member of a fresh cohort scores, as `Evaluator.real` does for real samples."""
    samples = fresh.generate(fresh.members, evaluator.eval_images)
    rung = evaluator(samples, fresh.evaluation_labels(evaluator.eval_images))
    return Evaluation(rung.values | evaluator.at_end(samples), rung.histogram)


def pictures(cohort: Cohort, members: Sequence[Member], dataset: Dataset) -> list[bytes]:
    """A PNG of samples of each member.

    Args:
        cohort: where they stand.
        members: whose.
        dataset: as far as its points go, the axes of a picture of points go.
    """
    is_image = len(cohort.sample_shape) == 3
    samples = cohort.generate(members, _GRID_IMAGES if is_image else _POINTS)
    if not is_image:
        extent = 1.2 * dataset.data.abs().max().item()
        return [points_png(own, extent=extent) for own in samples]
    scale = max(1, _GRID_PIXELS // cohort.sample_shape[-2])
    return [grid_png(own, scale=scale) for own in samples]


def _rows(values: dict[str, Tensor]) -> list[dict[str, float]]:
    """From columns by name, [K] each, to each member's values."""
    columns = [column.tolist() for column in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
