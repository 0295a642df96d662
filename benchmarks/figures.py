"""The figures of a file of results, by name, as tables and targets take them; None where absent."""

from __future__ import annotations

from benchmarks.ratios import (
    Values,
    best,
    median_of,
    median_ratio,
    reached_s,
    trainings_per_hour,
)
from benchmarks.results import Key, Results
from benchmarks.trainer import MATMUL

__all__ = [
    "device_of",
    "matmul_share",
    "outside_training",
    "rate",
    "rate_ratio",
    "seconds_to_reach",
    "speed_of_search",
    "speed_ratio",
    "time_ratio",
]

TRIALS = 64
"""Of the search that trainings per hour are of."""


def device_of(results: Results) -> str:
    """The device that was measured."""
    return results.sessions[0]["device"] if results.sessions else "cpu"


def rate(results: Results, key: Key) -> float | None:
    """Member-steps per second."""
    return median_of(results.of(key), lambda values: values["per_s"])


def rate_ratio(results: Results, key: Key, other: Key) -> float | None:
    """How many times the other's member-steps per second."""
    return median_ratio(
        results.of(key), results.of(other), lambda own, its: own["per_s"] / its["per_s"]
    )


def matmul_share(results: Results, key: Key) -> float | None:
    """Share of the rate of a large float32 product that the steps' own products come to."""
    products = results.of(Key(figure="rates", case=key.case, contender=MATMUL))
    return median_ratio(
        results.of(key),
        products,
        lambda own, its: own["per_s"] * own["flops"] / (its["per_s"] * its["flops"]),
    )


def speed_of_search(results: Results, key: Key) -> float | None:
    """Trainings per hour of a whole search without pruning."""
    return median_of(results.of(key), _speed)


def speed_ratio(results: Results, key: Key, other: Key) -> float | None:
    """How many times the other's trainings per hour."""
    return median_ratio(
        results.of(key), results.of(other), lambda own, its: _speed(own) / _speed(its)
    )


def _speed(values: Values) -> float:
    return trainings_per_hour(values, max(TRIALS, values["trials"]))


def seconds_to_reach(results: Results, key: Key, other: Key) -> float | None:
    """Seconds until the search had what was the other's best in the end."""
    return median_ratio(
        results.of(key), results.of(other), lambda own, its: reached_s(own, best(its)[0])
    )


def time_ratio(results: Results, key: Key, other: Key, *, whole: bool = False) -> float | None:
    """How many times faster the search had the other's best; 0 if it never had.

    Args:
        results: the measurements.
        key: the search.
        other: whose best it is.
        whole: take the other's time to its end, where it is known to be its best, and not to the
            moment that it came by it.
    """
    return median_ratio(
        results.of(key),
        results.of(other),
        lambda own, its: (its["wall_s"] if whole else best(its)[1]) / reached_s(own, best(its)[0]),
    )


def outside_training(results: Results, key: Key, *, running: bool = False) -> float | None:
    """Share of wall time x workers that is not training.

    Args:
        results: the measurements.
        key: the search.
        running: of the time between a worker's first rung and its last alone, without the start
            and the end of the command.
    """

    def share(values: Values) -> float:
        shares: dict[str, float] = values["shares"]
        if not running:
            return 1 - shares["training"]
        return 1 - shares["training"] / (1 - shares["start"] - shares["end"])

    return median_of(results.of(key), share)
