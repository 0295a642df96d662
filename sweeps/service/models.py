"""What goes over HTTP besides the state of a sweep."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from sweeps.service.states import SweepState

__all__ = [
    "Confirmation",
    "ErrorMessage",
    "Extension",
    "Plan",
    "SampleList",
    "SamplePlace",
    "SweepList",
    "SweepName",
]

SweepName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$",
        description="Name of a sweep",
    ),
]
"""A name in the path of a request."""


class ErrorMessage(BaseModel):
    """Every answer of 4xx and 5xx."""

    error: str = Field(description="One line that names the key, the value and what is right")


class SweepList(BaseModel):
    """All sweeps of the storage."""

    sweeps: list[SweepState]
    ray: str = Field(default="", description="Why Ray's jobs cannot be asked; else empty")


class Extension(BaseModel):
    """How much further a sweep is to go."""

    model_config = ConfigDict(extra="forbid", strict=True)

    trials: int = Field(ge=1, le=100_000, description="Beside those that it has")


class Confirmation(BaseModel):
    """What to send with the second request to delete a sweep."""

    confirm: str = Field(description="Good for two minutes, while the results stay as they are")
    warning: str


class Plan(BaseModel):
    """What a config would begin."""

    name: str = Field(description="As given, or the next that is free")
    dataset: str
    architecture: str
    trials: int
    seeds: int
    steps: int
    objective: str


class SamplePlace(BaseModel):
    """A grid of samples that there is."""

    trial: int
    seed: int
    step: int


class SampleList(BaseModel):
    """All grids of a sweep."""

    samples: list[SamplePlace]
