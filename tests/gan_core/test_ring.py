"""A negative and a positive control: what collapses without a penalty, and what holds with one.

Eight Gaussians of std 0.05 on the unit circle. G and D are MLPs of 3 x 128 ReLU, z is 16-dim
N(0, I), batches are of 256, Adam's rates are 1e-3 for both and each is updated once in turn, for
10,000 iterations. R1 (Mescheder et al. 2018, arXiv:1801.04406, sec. 4.1) and RpGAN + R1 + R2
(R3GAN, Huang et al. 2024, arXiv:2501.05441) have gamma 0.1, as a plane that is 2 units wide asks
for. Scores are of 2,500 samples and are means over the last 10 of 20 evaluations: the share of
good samples dips now and then even where all is well, so the last point alone says little.

The weights start as He et al. draw them. From torch's start, which is the package's own, an
unpenalised GAN may cover this ring, and one with R1 has been seen to drop modes for a moment after
6,000 iterations. It takes six minutes on one core.

Training is chaotic, so another processor's rounding is as good as another seed. Measured on one of
them, KL of the seeds 3, 4, 5: 1.14, 1.28, 1.23 without a penalty; .005, .007, .007 with R1; .011,
.004, .003 of r3gan; each on its own on its side of .3 and .05. Of 18 unpenalised GANs on two
processors 16 came to more than .3 and two to .20 and .25, of 24 penalised ones 23 to less than .05
and one to .062: so means over the seeds are held to these bounds, and each seed to what one lost
mode would be.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import pytest
from torch.nn.init import kaiming_normal_

from gan_core.cohort import Cohort
from gan_core.config import Activation, CohortConfig, GanConfig
from gan_core.data import load_dataset
from gan_core.loop import run_interval
from gan_core.metrics.evaluate import Evaluator
from gan_core.networks.catalog import Players
from gan_core.networks.initial import initialise
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator

pytestmark = pytest.mark.slow

SEEDS = range(3, 6)
STEPS, INTERVAL, WINDOW = 10_000, 500, 10
RECIPES = {
    "nonsaturating": {"loss": "nonsaturating", "beta1": 0.5, "beta2": 0.999},
    "r1": {"loss": "r1", "r1_gamma": 0.1, "beta1": 0.5, "beta2": 0.999},
    "r3gan": {"loss": "r3gan", "r1_gamma": 0.1, "beta1": 0.0, "beta2": 0.99},
}
PENALISED = {"r1": 2 * math.log(2), "r3gan": math.log(2)}
"""What D's loss is where it has logits of 0."""
COHORT = CohortConfig(latent_dim=16, batch_size=256, architecture=f"{__name__}:he_mlp")


def he_mlp(latent_dim: int, sample_shape: tuple[int, ...]) -> Players:
    """G and D of 3 x 128 ReLU, weights N(0, 2 / inputs) (He et al. 2015, arXiv:1502.01852).

    The package's own start is torch's, whose weights have a sixth of this variance.
    """
    widths = (128, 128, 128)
    G = MlpGenerator(latent_dim, widths, sample_shape, activation=Activation.RELU)
    D = MlpDiscriminator(widths, sample_shape, activation=Activation.RELU)
    for network in (G, D):
        initialise(network, lambda layer: kaiming_normal_(layer.weight, nonlinearity="relu"))
    return G, D


@dataclass
class Course:
    """What was seen at each of the last evaluations, by name."""

    scores: dict[str, list[float]]

    def mean(self, name: str) -> float:
        return sum(self.scores[name]) / len(self.scores[name])


def gan(recipe: str, seed: int) -> GanConfig:
    return GanConfig(seed=seed, lr_g=1e-3, lr_d=1e-3, latent_dim=16, **RECIPES[recipe])


@pytest.fixture(scope="module")
def ring() -> dict[tuple[str, int], Course]:
    """All nine GANs, trained as one cohort; by recipe and seed."""
    dataset = load_dataset("ring8_std05")
    evaluator = Evaluator(dataset, eval_images=2500)
    cohort = Cohort(COHORT, dataset.sample_shape, slots=len(RECIPES) * len(SEEDS))
    names = [(recipe, seed) for recipe in RECIPES for seed in SEEDS]
    members = cohort.admit([gan(*name) for name in names])
    courses = {name: Course(defaultdict(list)) for name in names}
    for interval in range(STEPS // INTERVAL):
        records = {record.member: record for record in run_interval(cohort, dataset, INTERVAL)}
        if interval < STEPS // INTERVAL - WINDOW:
            continue
        values = evaluator(cohort.generate(members, 2500)).values
        for row, (name, member) in enumerate(zip(names, members, strict=True)):
            assert records[member].diverged_step is None
            seen = {score: value[row].item() for score, value in values.items()}
            for score, value in (seen | records[member].statistics).items():
                courses[name].scores[score].append(value)
    return courses


def test_without_a_penalty_modes_are_lost(ring):
    scores = [ring["nonsaturating", seed].mean("mode_kl") for seed in SEEDS]
    assert sum(scores) / len(scores) > 0.3
    # Less even than eight modes of which one is missing and the rest are alike.
    assert min(scores) > math.log(8 / 7)


@pytest.mark.parametrize("recipe", PENALISED)
def test_with_a_penalty_all_eight_modes_are_held_evenly(ring, recipe):
    courses = [ring[recipe, seed] for seed in SEEDS]
    assert [course.mean("modes_hit") for course in courses] == [8] * len(SEEDS)
    scores = [course.mean("mode_kl") for course in courses]
    assert sum(scores) / len(scores) < 0.05
    assert max(scores) < math.log(8 / 7)


@pytest.mark.parametrize(("recipe", "anchor"), PENALISED.items())
@pytest.mark.parametrize("seed", SEEDS)
def test_with_a_penalty_d_is_left_guessing(ring, recipe, anchor, seed):
    assert ring[recipe, seed].mean("d_loss_mean") == pytest.approx(anchor, rel=0.01)
