"""The config of a sweep: what `sweep.toml` may hold. Free of torch, ray and optuna."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from gan_core.config import Activation, Architecture, ConfigError, Noise, Precision
from gan_core.datasets import DatasetName
from sweeps.domain import (
    HYPERPARAMETERS,
    Choices,
    Domain,
    Range,
    Value,
    as_written,
    contains,
    parse_point,
    parse_space,
)
from sweeps.mistakes import SweepConfigError, first_mistake
from sweeps.naming import DEFAULT_STORAGE, check_name
from sweeps.objective import direction
from sweeps.settings import Pruner, Sampler, StudySettings
from sweeps.study_url import JOURNAL, StudyUrl, parse_study
from sweeps.uri import check_storage, without_secrets
from sweeps.weights import KeepWeights

__all__ = [
    "TUTORIAL_RECIPE",
    "ConfirmsConfig",
    "DataConfig",
    "ModelConfig",
    "ResourcesConfig",
    "SearchConfig",
    "SweepConfig",
    "TrainConfig",
    "parse_config",
]

TUTORIAL_RECIPE: dict[str, Value] = {
    "loss": "nonsaturating",
    "lr_g": 2e-4,
    "lr_d": 2e-4,
    "beta1": 0.5,
    "latent_dim": 64,
    "label_smoothing": 0.1,
}
"""What most tutorials train: Radford et al. 2016, arXiv:1511.06434, sec. 4, for Adam; Salimans et
al. 2016, arXiv:1606.03498, sec. 3.4, for the smoothing."""

_MAY_CHANGE = frozenset({"data.download", "train.keep_weights", "train.checkpoint_every_s"})
"""Keys of [data], [model] and [train] that no value depends on."""

_OWN_DATA = (DatasetName.IMAGE_FOLDER, DatasetName.NPZ)
"""Datasets that are what lies at `data.root`; the others may be moved."""


def _auto_or_count(given: object) -> object:
    if given == "auto" or (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
        return given
    raise ValueError('must be "auto" or a whole number >= 1')


def _never_or_seconds(given: object) -> object:
    if given == "never":
        return given
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf:
        return float(given)
    raise ValueError('must be "never" or seconds >= 0')


def _architecture(given: str) -> str:
    if given in list(Architecture) or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", given):
        return given
    known = ", ".join(f'"{architecture.value}"' for architecture in Architecture)
    raise ValueError(f'must be {known}, or "package.module:factory" for your own')


def _objective(given: str) -> str:
    direction(given)
    return given


def _absolute(given: str | None) -> str | None:
    # A worker runs in another directory than the one that the command was given in.
    return str(Path(given).expanduser().absolute()) if given else given


NeverOrSeconds = Annotated[float | Literal["never"], PlainValidator(_never_or_seconds)]
AutoOrCount = Annotated[int | Literal["auto"], PlainValidator(_auto_or_count)]
Count = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Annotated[int, Field(strict=True, ge=1)], ...], Field(strict=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(_Section):
    """[data]: what is learnt."""

    dataset: Annotated[DatasetName, Field(strict=False)] = DatasetName.DIGITS
    root: Annotated[str | None, AfterValidator(_absolute)] = None
    """Directory of the dataset's files; digits needs none."""
    download: bool = False
    """Whether absent files may be fetched."""
    image_size: Count = 32
    """Height and width that the images of an image_folder get."""


class ModelConfig(_Section):
    """[model]: the two networks, the same for all trials."""

    architecture: Annotated[str, AfterValidator(_architecture)] = "mlp"
    """A `gan_core.config.Architecture`, or "package.module:factory"."""
    generator_widths: Widths = (256, 512)
    """Units of G's hidden layers, where they are fully connected."""
    discriminator_widths: Widths = (512, 256)
    """Units of D's hidden layers, likewise."""
    activation: Annotated[Activation, Field(strict=False)] = Activation.LEAKY_RELU
    """Of those layers."""
    channels: Count = 64
    """Width of convolutional networks."""
    conditional: bool = False
    """Whether G and D are told the class of each image; needs a dataset with labels."""
    noise: Annotated[Noise, Field(strict=False)] = Noise.NORMAL
    """Distribution of z."""


class TrainConfig(_Section):
    """[train]: how long and how each member trains."""

    steps: Count = 2000
    """G updates per member; a multiple of `eval_every`."""
    batch_size: Count = 64
    """Images in each batch."""
    eval_every: Count = 100
    """Steps between rungs."""
    seeds: Count = 2
    """Members per trial."""
    precision: Annotated[Precision, Field(strict=False)] = Precision.FLOAT32
    eval_images: Annotated[int, Field(ge=2)] = 1000
    """Samples that a rung judges, at most half of the dataset."""
    keep_weights: Annotated[KeepWeights, Field(strict=False)] = KeepWeights.COMPLETE
    """Whose networks are kept, for export, sample and further use: 4 bytes for each parameter (8
    in float64), which is 0.2 MB a member for the preset digits and 4.4 MB for mnist."""
    checkpoint_every_s: NeverOrSeconds = 60.0
    """Least seconds between two times that a worker keeps its members in training, to go on from
    there after a crash; also when it stops. 0: at every rung, whatever that costs; otherwise it
    takes at most a twentieth of the time. On disk four times their weights, until they end."""

    @property
    def checkpoint_seconds(self) -> float | None:
        """None for never."""
        return None if self.checkpoint_every_s == "never" else self.checkpoint_every_s


class ConfirmsConfig(_Section):
    """search.confirms: what a sweep trains again instead of searching; see `sweeps.confirm`."""

    sweep: Annotated[str, AfterValidator(check_name)]
    """Name of a sweep in the same storage."""
    trials: Annotated[tuple[Annotated[int, Field(strict=True, ge=0)], ...], Field(strict=False)]
    """Of that sweep: trial i of this one has the hyperparameters of the i-th."""


class SearchConfig(_Section):
    """[search]: who proposes, who ends early, what is better."""

    trials: Count = 64
    """Hyperparameter configurations to train."""
    sampler: Annotated[Sampler, Field(strict=False)] = Sampler.TPE
    pruner: Annotated[Pruner, Field(strict=False)] = Pruner.RUNGS
    pruner_keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of trials that go on at a pruning rung."""
    objective: Annotated[str, AfterValidator(_objective)] = "frechet_distance"
    """A key of `sweeps.objective.DIRECTIONS`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Key of the proposals and of the members' own seeds."""
    allowed_diverged_share: Share = 0.0
    """Greatest share of diverged seeds of a trial that may still be the best."""
    max_in_flight: AutoOrCount = "auto"
    """Most trials begun and not ended."""
    baseline: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Known recipes to try first. Not given, it is the tutorials' if that lies in the space."""
    confirms: ConfirmsConfig | None = None
    """Written by `gansweep confirm`, whose baselines are all that there is to train."""


class ResourcesConfig(_Section):
    """[resources]: what of this machine, or of a cluster, is used."""

    workers: AutoOrCount = "auto"
    """Processes that train, each with its own cohort."""
    slots: AutoOrCount = "auto"
    """Members per worker, at least `train.seeds`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpus_per_worker: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a GPU that a worker on a cluster claims; on one machine they share its GPUs."""
    cpu_nodes: bool = False
    """Whether nodes without a GPU train too in a cluster that has GPUs."""


class SweepConfig(_Section):
    """A whole sweep, as `sweep.toml` holds it."""

    name: Annotated[str, AfterValidator(check_name)] | None = None
    """Name of the sweep's directory; None takes the dataset's with the next free suffix."""
    storage: Annotated[
        str, AfterValidator(check_storage), PlainSerializer(without_secrets), Field(repr=False)
    ] = DEFAULT_STORAGE
    """Directory that holds sweeps, or a URI such as `s3://bucket/prefix`. A user and password in
    it are in no text that is made of the config."""
    study: Annotated[str, PlainValidator(parse_study)] = JOURNAL
    """Where the study is kept: beside the results, or in a database; see `sweeps.study_url`. Its
    password is in no text that is made of the config."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    space: Annotated[dict[str, Domain], PlainValidator(parse_space)]
    """What each hyperparameter may be."""
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        train, slots = self.train, self.resources.slots
        if train.steps % train.eval_every:
            below = train.steps // train.eval_every * train.eval_every
            near = " or ".join(f"{n}" for n in (below, below + train.eval_every) if n)
            right = f"must be a multiple of train.eval_every = {train.eval_every}, like {near}"
            raise ConfigError("train.steps", train.steps, right)
        if slots != "auto" and slots < train.seeds:
            right = f"must be >= train.seeds = {train.seeds}: a trial's seeds train together"
            raise ConfigError("resources.slots", slots, right)
        confirms = self.search.confirms
        if confirms and self.search.trials != len(confirms.trials):
            right = f"must be {len(confirms.trials)}, what it confirms of {confirms.sweep}"
            raise ConfigError("search.trials", self.search.trials, right)
        # Pydantic has no other way for a default that depends on a later field.
        resolved = self.search.model_copy(update={"baseline": self._baselines()})
        object.__setattr__(self, "search", resolved)
        return self

    def _baselines(self) -> tuple[dict[str, Value], ...]:
        if "baseline" in self.search.model_fields_set:
            given = enumerate(self.search.baseline)
            return tuple(parse_point(self.space, p, f"search.baseline.{i}") for i, p in given)
        recipe = {name: v for name, v in TUTORIAL_RECIPE.items() if name in self.space}
        inside = all(contains(self.space[name], value) for name, value in recipe.items())
        return (recipe,) if inside else ()

    @property
    def searched(self) -> dict[str, Range | Choices]:
        """The hyperparameters of the space that are not fixed."""
        return {n: d for n, d in self.space.items() if isinstance(d, Range | Choices)}

    def for_workers(self) -> SweepConfig:
        """The same without the secrets of the study, which workers have no business with."""
        if not isinstance(self.study, StudyUrl):
            return self
        return self.model_copy(update={"study": self.study.bare()})

    def fixed(self) -> dict[str, Any]:
        """What a sweep keeps from its begin to its end, by key: see `StudySettings.fixed`."""
        sections = self.model_dump(mode="json", include={"data", "model", "train"})
        may_change = _MAY_CHANGE if self.data.dataset in _OWN_DATA else {*_MAY_CHANGE, "data.root"}
        keys = {f"{s}.{name}": v for s, values in sections.items() for name, v in values.items()}
        space = {f"space.{name}": as_written(domain) for name, domain in self.space.items()}
        return {key: value for key, value in keys.items() if key not in may_change} | space

    def settings(self, max_in_flight: int | None = None) -> StudySettings:
        """What the owner of the study has to know.

        Args:
            max_in_flight: as planned for the machine; by default what the config says.
        """
        search, given = self.search, self.search.max_in_flight
        points = ({n: v for n, v in p.items() if n in self.searched} for p in search.baseline)
        return StudySettings(
            trials=search.trials,
            sampler=search.sampler,
            pruner=search.pruner,
            pruner_keep=search.pruner_keep,
            objective=search.objective,
            seed=search.seed,
            allowed_diverged_share=search.allowed_diverged_share,
            max_in_flight=max_in_flight or (None if given == "auto" else given),
            baselines=tuple(point for point in points if point),
            steps=self.train.steps,
            eval_every=self.train.eval_every,
            seeds=self.train.seeds,
            fixed=self.fixed(),
        )


def parse_config(document: Mapping[str, Any]) -> SweepConfig:
    """The config in a parsed TOML.

    Raises:
        SweepConfigError: the first thing that is wrong with it, without a place.
    """
    for key in HYPERPARAMETERS:
        if key in document:
            right = "there is no such key here: it belongs under [space]"
            raise SweepConfigError(key, document[key], right)
    try:
        return SweepConfig.model_validate(document)
    except ValidationError as error:
        raise first_mistake(error, SweepConfig) from None
