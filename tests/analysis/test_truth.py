"""Verdicts on runs whose truth is known, because their samples were made so.

Every run goes the way of a real one: samples made from held-out data are scored by the Evaluator
at every rung and at the end, become rows, Parquet and frames, and are judged. Its signals are
what sound GANs show (medians of those that learned digits best among 36, see
`analysis.thresholds`) with a tenth of noise, unless they are the fault. Each set of samples is
judged twice, as a nonsaturating GAN's and as a WGAN-GP's, which has neither accuracies nor
probabilities.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from analysis.rule import Verdict
from analysis.schema import CONTROL, GRADIENT_SIGNALS, HISTORY, SIGNALS, STATISTICS, TRIALS
from analysis.verdict import judge
from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, GanConfig
from gan_core.data import Dataset, load_dataset
from gan_core.metrics.evaluate import Evaluation, Evaluator
from sweeps.rows import Context, Progress, control_row, history_row, trial_row

RUNGS, EVERY, CLASSES = 15, 100, 10
LOSSES = ("nonsaturating", "wgan-gp")
SOUND = {
    "nonsaturating": {
        "d_loss": 1.28,
        "g_loss": 0.87,
        "real_logit": 0.17,
        "fake_logit": -0.16,
        "real_prob": 0.54,
        "fake_prob": 0.46,
        "real_accuracy": 0.62,
        "fake_accuracy": 0.65,
        "grad_norm_d": 1.6,
        "grad_norm_g": 0.65,
    },
    "wgan-gp": {
        "d_loss": -0.61,
        "g_loss": -0.83,
        "penalty": 0.12,
        "real_logit": 1.6,
        "fake_logit": 0.94,
        "grad_norm_d": 2.7,
        "grad_norm_g": 1.8,
    },
}
# Pixel noise (of a range of 2) that leaves every class to be seen, but the Frechet distance so
# high that to lose classes does not triple it.
NOISE = {"digits": 0.6, "mnist": 0.8}

Draw = Callable[[], Tensor]
Signals = Callable[[int], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Run:
    """What is known of a run: its samples and signals by the rung, and what ought to be said."""

    at: Callable[[int], Draw]
    verdict: str | set[str]
    rule: str | None = None
    onset: int | None = None
    recovered: bool | None = None
    signals: Signals = lambda rung: {}
    diverged_step: int | None = None
    losses: tuple[str, ...] = LOSSES

    @property
    def truth(self) -> tuple:
        """What `said` has to find."""
        return self.verdict, self.rule, self.onset, self.recovered


class Samples:
    """Draws samples of a dataset: as they are, or with a fault that is known."""

    def __init__(self, dataset: Dataset, evaluator: Evaluator, seed: int = 0) -> None:
        self.dataset, self.count = dataset, evaluator.eval_images
        self.random = torch.Generator().manual_seed(seed)
        # The half that the evaluator does not compare with.
        reference = set(evaluator._reference_rows.tolist())
        rows = torch.arange(len(dataset))
        self.rows = rows[torch.tensor([row not in reference for row in range(len(dataset))])]
        assert dataset.labels is not None
        self.labels = dataset.labels[self.rows]

    def choose(self, rows: Tensor, count: int | None = None) -> Tensor:
        chosen = torch.randint(len(rows), (count or self.count,), generator=self.random)
        return rows[chosen]

    def real(self) -> Tensor:
        return self.dataset.batch(self.choose(self.rows))

    def classes(self, first: int, end: int) -> Draw:
        rows = self.rows[(self.labels >= first) & (self.labels < end)]
        return lambda: self.dataset.batch(self.choose(rows))

    def one_image(self) -> Tensor:
        return self.dataset.batch(self.rows[:1].expand(self.count))

    def few_of_each(self, count: int) -> Draw:
        def few() -> Iterator[Tensor]:
            for label in self.labels.unique():
                of_class = self.rows[self.labels == label]
                order = torch.randperm(len(of_class), generator=self.random)
                yield of_class[order[:count]]

        rows = torch.cat(list(few()))
        return lambda: self.dataset.batch(self.choose(rows))

    def shrunk(self, factor: float) -> Draw:
        """Every sample that much nearer to the mean of its class."""
        classes = self.labels.unique()
        batches = [self.dataset.batch(self.rows[self.labels == label]) for label in classes]
        centres = torch.stack([batch.mean(0) for batch in batches])

        def draw() -> Tensor:
            rows = self.choose(self.rows)
            centre = centres[self.dataset.labels[rows]]
            return centre + factor * (self.dataset.batch(rows) - centre)

        return draw

    def noisy(self, draw: Draw) -> Draw:
        def noised() -> Tensor:
            x = draw()
            noise = torch.randn(x.shape, generator=self.random)
            return (x + NOISE[self.dataset.name] * noise).clamp(-1, 1)

        return noised

    def untrained(self) -> Tensor:
        cohort = Cohort(CohortConfig(latent_dim=16), self.dataset.sample_shape, slots=1)
        (member,) = cohort.admit([GanConfig(seed=7, latent_dim=16)])
        return cohort.generate([member], self.count)[0]

    def broken(self) -> Tensor:
        x = self.real()
        x[0] = math.nan
        return x


def then(before: Draw, step: int, after: Draw, until: int | None = None) -> Callable[[int], Draw]:
    """One kind of sample up to a step, another from there on, or until another step."""
    return lambda rung: after if step <= rung * EVERY < (until or math.inf) else before


def always(draw: Draw) -> Callable[[int], Draw]:
    return lambda rung: draw


def moving(made: Samples, width: int, every: int, phase: int) -> Callable[[int], Draw]:
    """So many classes, others every so many rungs, one by one through all of them."""

    def at(rung: int) -> Draw:
        first = (rung + phase) // every * width % (CLASSES - width)
        return made.classes(first, first + width)

    return at


def of_moving_images(made: Samples) -> dict[str, Run]:
    """Runs that are never better than before but by turns, whatever the last turn is."""
    alternate = {"real": (made.real, made.classes(0, 3))}
    alternate["6"] = (made.classes(0, 6), made.classes(4, 10))
    runs = {
        f"{name}, phase {phase}": Run(
            lambda rung, draws=draws, phase=phase: draws[(rung + phase) % 2], "oscillating"
        )
        for name, draws in alternate.items()
        for phase in range(2)
    }
    # Between moves they are one-sided for longer than an evaluation: both are true of them.
    return runs | {
        f"{width} of 10, every {every}, phase {phase}": Run(
            moving(made, width, every, phase), {"oscillating", "mode_collapse"}
        )
        for width in (1, 2, 3)
        for every in (2, 3, 4)
        for phase in range(every)
    }


def from_step(step: int, **values: float) -> Signals:
    return lambda rung: values if rung * EVERY >= step else {}


def of_images(made: Samples) -> dict[str, Run]:
    few, noisy = made.classes(0, 3), made.noisy(made.real)
    gone = {"d_loss": 1e-3, "g_loss": 7.5, "real_accuracy": 1.0, "fake_accuracy": 1.0}
    return {
        "real": Run(always(made.real), "healthy"),
        "1 of 10": Run(always(made.classes(0, 1)), "mode_collapse", "few_modes", 0),
        "3 of 10": Run(always(few), "mode_collapse", "few_modes", 0),
        # Severe is less than half, so chance decides.
        "5 of 10": Run(always(made.classes(0, 5)), {"mode_collapse", "partial_collapse"}),
        "7 of 10": Run(always(made.classes(0, 7)), "partial_collapse", "fewer_modes", 0),
        "9 of 10": Run(always(made.classes(0, 9)), "partial_collapse"),
        "shrunk .8": Run(always(made.shrunk(0.8)), "partial_collapse", "narrower_within", 0),
        "shrunk .6": Run(always(made.shrunk(0.6)), "partial_collapse", "narrower_within", 0),
        "shrunk .4": Run(always(made.shrunk(0.4)), "mode_collapse", "narrow_within", 0),
        "shrunk .2": Run(always(made.shrunk(0.2)), "mode_collapse", "narrow_within", 0),
        "1 of each": Run(always(made.few_of_each(1)), "mode_collapse", "narrow_within", 0),
        "20 of each": Run(always(made.few_of_each(20)), "partial_collapse", "covers_little"),
        "one image": Run(always(made.one_image), "mode_collapse", "few_modes", 0),
        "untrained": Run(always(made.untrained), "undertrained", "untrained", 0),
        "takes turns": Run(
            lambda rung: made.classes(rung % 3 * 3, rung % 3 * 3 + 3), "oscillating"
        ),
        "collapses": Run(
            then(noisy, 700, made.noisy(few)), "mode_collapse", "few_modes", 700, False
        ),
        "collapses late": Run(then(made.real, 1200, few), "late_collapse", None, 1200, False),
        "collapses early": Run(then(made.real, 300, few), "late_collapse", None, 300, False),
        "to one image": Run(then(made.real, 600, made.one_image), "late_collapse", None, 600),
        "to noise": Run(then(made.real, 900, made.untrained), "late_collapse", None, 900),
        "narrows": Run(
            then(made.shrunk(0.65), 800, made.shrunk(0.4)),
            "mode_collapse",
            "narrow_within",
            800,
            False,
        ),
        "recovers": Run(then(made.real, 400, few, 800), "healthy", "late_collapse", 400, True),
        "dips at the end": Run(then(made.real, 1500, few), "undetermined", "decline_unconfirmed"),
        "loss not finite": Run(
            always(made.real), "diverged", "not_finite", 1034, diverged_step=1034
        ),
        "samples not finite": Run(
            then(made.real, 1100, made.broken), "diverged", "samples_not_finite", 1100
        ),
        "gradients explode": Run(
            always(noisy),
            "diverged",
            "grad_norm_g_exploded",
            signals=from_step(1300, grad_norm_g=1e5),
        ),
        "d saturated": Run(
            always(noisy),
            "d_saturated",
            "d_loss_gone",
            800,
            False,
            signals=from_step(800, **gone),
            losses=("nonsaturating",),
        ),
    }


def of_points(made: Samples) -> dict[str, Run]:
    truth = made.dataset.mixture
    assert truth is not None

    def ring() -> Tensor:
        """All around, and hardly ever near a mode."""
        angle = 2 * math.pi * torch.rand(made.count, generator=made.random)
        radius = 1 + 0.05 * torch.randn(made.count, generator=made.random)
        return torch.stack((radius * angle.cos(), radius * angle.sin()), 1)

    return {
        "real": Run(always(made.real), "healthy"),
        "1 of 8": Run(always(made.classes(3, 4)), "mode_collapse", "few_modes", 0),
        "3 of 8": Run(always(made.classes(0, 3)), "mode_collapse", "few_modes", 0),
        "7 of 8": Run(always(made.classes(0, 7)), "partial_collapse", "fewer_modes", 0),
        "shrunk .7": Run(always(made.shrunk(0.7)), "partial_collapse", "narrower_within", 0),
        "shrunk .3": Run(always(made.shrunk(0.3)), "mode_collapse", "narrow_within", 0),
        "1 of each": Run(always(made.few_of_each(1)), "mode_collapse", "narrow_within", 0),
        "smooth ring": Run(always(ring), "undertrained", "poor_points", 0),
        "rotates": Run(lambda rung: made.classes(rung % 8, rung % 8 + 1), "oscillating"),
        "untrained": Run(always(made.untrained), "undertrained", "untrained", 0),
        "collapses": Run(then(made.real, 500, made.classes(0, 2)), "late_collapse", None, 500),
        "recovers": Run(
            then(made.real, 500, made.classes(0, 1), 900), "healthy", "late_collapse", 500, True
        ),
    }


def statistics(loss: str, fault: dict[str, float], random: np.random.Generator) -> dict[str, float]:
    """A rung's signals: sound ones with a tenth of noise, but for the fault."""
    values = {"interval_steps": EVERY, "nonfinite_steps": 0}
    for name in SIGNALS:
        mean = SOUND[loss].get(name, math.nan) * random.normal(1, 0.1)
        mean = fault.get(name, mean)
        spread = 0.1 * abs(mean)
        of_interval = (mean, spread, mean - 3 * spread, mean + 3 * spread)
        values |= {f"{name}_{s}": v for s, v in zip(STATISTICS, of_interval, strict=True)}
    for name in GRADIENT_SIGNALS:
        values[f"{name}_above_100_share"] = float(values[f"{name}_mean"] > 100)
    return values


def metrics(evaluation: Evaluation, k: int) -> tuple[dict[str, float], list[float]]:
    values = {name: value[k].item() for name, value in evaluation.values.items()}
    return values, evaluation.histogram[k].tolist()


class Trained:
    """A run's way from samples to rows."""

    def __init__(self, run: Run, context: Context, evaluator: Evaluator, start: Tensor) -> None:
        self.run, self.context = run, context
        last = RUNGS if run.diverged_step is None else run.diverged_step // EVERY
        draws = [run.at(rung)() for rung in range(1, last + 1)]
        self.rungs = evaluator(torch.stack([start, *draws]))
        self.at_end = {name: v.item() for name, v in evaluator.at_end(draws[-1][None]).items()}

    def rows(self, trial: int, loss: str) -> tuple[list[dict], dict]:
        random, stop = np.random.default_rng(trial), self.run.diverged_step
        member = Progress(trial=trial, attempt=0, seed=0, hyperparameters={"loss": loss})
        history = []
        for rung in range(len(self.rungs.histogram)):
            member.rung, member.step = rung, rung * EVERY
            member.judged(*metrics(self.rungs, rung))
            seen = statistics(loss, self.run.signals(rung), random) if rung else {}
            history.append(history_row(self.context, member, seen, float(rung)))
        member.step, member.diverged_step = stop or member.step, stop
        member.at_end = {} if stop else self.at_end
        status = "diverged" if stop else "complete"
        return history, trial_row(self.context, member, status, objective="frechet_distance")


def judged(writer, runs: list[tuple[Run, str]], dataset: Dataset, evaluator: Evaluator):
    """A row of verdicts for each run and loss, by trial."""
    context = Context(
        sweep="truth",
        worker="w0",
        device="cpu",
        dataset=dataset.name,
        architecture="mlp",
        eval_images=evaluator.eval_images,
        slots=1,
    )
    start = Samples(dataset, evaluator).untrained()
    untrained = evaluator(start[None])
    controls = {"real": evaluator.real, "untrained": untrained}
    at_end = evaluator.at_end(start[None])
    rows = []
    for kind, evaluation in controls.items():
        values, histogram = metrics(evaluation, 0)
        if kind == "untrained":
            values |= {name: value.item() for name, value in at_end.items()}
        about = {"extractor": evaluator.extractor.hash, "classes": evaluator.classes}
        rows.append(control_row(context, kind, values, histogram, **about))
    writer.part("control", rows, CONTROL)
    trained: dict[int, Trained] = {}
    history, trials = [], []
    for trial, (run, loss) in enumerate(runs):
        if id(run) not in trained:
            trained[id(run)] = Trained(run, context, evaluator, start)
        course, end = trained[id(run)].rows(trial, loss)
        history += course
        trials.append(end)
    writer.part("history", history, HISTORY)
    writer.part("trials", trials, TRIALS)
    return judge(writer.load())


def said(row: pd.Series, run: Run) -> tuple:
    """What the verdict says of what is known of the run."""
    given = None if row["onset_step"] is pd.NA else int(row["onset_step"])
    verdict = run.verdict if row["verdict"] in run.verdict else row["verdict"]
    return (
        verdict,
        run.rule and row["rule"],
        given if run.onset is not None else None,
        bool(row["recovered"]) if run.recovered is not None else None,
    )


YARDS = ["digits", "ring8", pytest.param("mnist", marks=pytest.mark.slow)]  # 20 s


@pytest.fixture(scope="module")
def yard(request) -> tuple[Dataset, Evaluator]:
    root = request.getfixturevalue("mnist_root") if request.param == "mnist" else None
    dataset = load_dataset(request.param, root=root)
    return dataset, Evaluator(dataset)


@pytest.fixture(scope="module")
def judgement(yard, writer_at, tmp_path_factory) -> pd.DataFrame:
    """The verdict on every run under every loss that it is told with, beside what is known."""
    made = Samples(*yard)
    runs = of_points(made) if yard[0].mixture is not None else of_images(made)
    told = [(name, loss) for name, run in runs.items() for loss in run.losses]
    writer = writer_at(tmp_path_factory.mktemp("truth") / "sweep")
    found = judged(writer, [(runs[name], loss) for name, loss in told], *yard)
    known = [runs[name] for name, _ in told]
    return found.assign(told=told, known=known).set_index("told")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("yard", YARDS, indirect=True)
def test_verdicts_and_onsets_are_right_where_the_truth_is_known(judgement, loss):
    rows = {name: row for (name, of), row in judgement.iterrows() if of == loss}
    found = {name: said(row, row["known"]) for name, row in rows.items()}
    expected = {name: row["known"].truth for name, row in rows.items()}
    assert len(found) > 10
    assert found == expected


@pytest.mark.parametrize("yard", [YARDS[0], YARDS[2]], indirect=True)
def test_every_kind_of_verdict_is_among_those_whose_truth_is_known(judgement):
    assert set(judgement["verdict"]) == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize("yard", [YARDS[0]], indirect=True)
def test_what_moves_among_modes_is_at_no_phase_excused_as_improving(yard, writer):
    runs = of_moving_images(Samples(*yard))
    found = judged(writer, [(run, "wgan-gp") for run in runs.values()], *yard)
    verdicts = dict(zip(runs, found["verdict"], strict=True))
    wrong = {name: said for name, said in verdicts.items() if said not in runs[name].verdict}
    assert not wrong


@pytest.mark.slow  # 100 runs of 15 rungs, a minute in all
@pytest.mark.parametrize("yard", ["digits", "ring8", "mnist"], indirect=True)
def test_real_samples_raise_no_alarm_in_100_runs(writer, yard):
    is_mixture = yard[0].mixture is not None
    real = [Run(always(Samples(*yard, seed=seed).real), "healthy") for seed in range(100)]
    found = judged(writer, [(run, LOSSES[i % 2]) for i, run in enumerate(real)], *yard)
    assert found["verdict"].tolist() == ["healthy"] * 100
    # Real images are copies of themselves; nothing else is remarked on.
    assert set(found["also"]) == ({""} if is_mixture else {"copies"})
    assert set(found["unjudged"][::2]) == {""}
    assert set(found["unjudged"][1::2]) == {"d_loss_gone, g_rejected"}
