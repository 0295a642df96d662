import dataclasses
import math
import time

import numpy as np
import pytest
import torch

from analysis.schema import END_METRICS as CONTRACT_AT_END
from analysis.schema import METRICS as CONTRACT
from gan_core.data import load_dataset
from gan_core.datasets import DatasetName, untold_metrics
from gan_core.metrics.evaluate import END_METRICS, METRICS, Evaluator, _halves
from gan_core.metrics.features import extractor

EVAL_IMAGES = 300
OF_CLASSES = METRICS[:6]


@pytest.fixture(scope="module")
def evaluator(digits):
    return Evaluator(digits, EVAL_IMAGES)


def drawn(dataset, members, n=EVAL_IMAGES, seed=0, below=10):
    """Real images, drawn anew for each member."""
    indices = (dataset.labels < below).nonzero().flatten()
    random = torch.Generator().manual_seed(seed)
    return dataset.batch(indices[torch.randint(len(indices), (members, n), generator=random)])


def scores(evaluation, k=0):
    """What can be told of member k."""
    values = {name: value[k].item() for name, value in evaluation.values.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def test_the_metrics_are_those_of_the_contract():
    assert METRICS == CONTRACT
    assert END_METRICS == CONTRACT_AT_END


# --- digits


def test_an_evaluation_holds_each_metric_and_the_histogram_for_each_member(digits, evaluator):
    evaluation = evaluator(drawn(digits, 3))
    assert tuple(evaluation.values) == METRICS
    for value in evaluation.values.values():
        assert value.shape == (3,)
        assert value.dtype == torch.float64
    assert evaluation.histogram.shape == (3, len(evaluator.classes))
    assert evaluation.histogram.dtype == torch.float64
    torch.testing.assert_close(evaluation.histogram.sum(1), torch.ones(3).double())


def test_held_out_real_images_score_as_perfect_as_their_number_allows(evaluator):
    real = scores(evaluator.real)
    assert real["mode_entropy"] > 9.8
    assert real["modes_1pct"] == 10
    assert real["feature_spread"] == pytest.approx(1, abs=0.05)
    assert real["mode_kl"] < 0.04  # 9 / (2 * 300) of it is chance, and as much the reference's
    assert evaluator.real.histogram.shape == (1, 10)


def test_the_real_control_goes_through_the_same_path_as_samples(digits):
    evaluator = Evaluator(digits, EVAL_IMAGES, seed=3)
    _, control = _halves(digits, seed=3)
    held_out = control[:EVAL_IMAGES]
    again = evaluator(digits.batch(held_out).unsqueeze(0), digits.labels[held_out])
    real = scores(evaluator.real)
    assert scores(again) == {name: real[name] for name in METRICS if name in real}
    assert torch.equal(again.histogram, evaluator.real.histogram)


def test_the_halves_are_disjoint_and_together_all_images(digits):
    reference, control = _halves(digits, seed=0)
    assert (len(reference), len(control)) == (899, 898)
    assert torch.equal(torch.cat([reference, control]).sort().values, torch.arange(1797))


def test_the_split_follows_its_seed(digits):
    a, b, c = (Evaluator(digits, EVAL_IMAGES, seed=seed) for seed in (0, 0, 1))
    assert scores(a.real) == scores(b.real)
    assert scores(a.real) != scores(c.real)


def test_eval_images_are_capped_at_the_control_half(digits):
    assert Evaluator(digits).eval_images == 898
    assert Evaluator(digits, 10_000).eval_images == 898
    assert Evaluator(digits, 100).eval_images == 100


def test_the_extractor_is_named_by_its_hash(digits, evaluator):
    assert evaluator.extractor.hash == extractor(digits).hash


def test_a_generator_of_one_image_has_one_mode_and_no_spread(digits, evaluator):
    one = drawn(digits, 2)[:, :1].expand(2, EVAL_IMAGES, 1, 8, 8)
    collapsed = scores(evaluator(one))
    assert collapsed["mode_entropy"] == 1
    assert collapsed["modes_1pct"] == 1
    assert collapsed["feature_spread"] < 1e-6
    assert collapsed["mode_kl"] > 2
    assert collapsed["frechet_distance"] > 30 * scores(evaluator.real)["frechet_distance"]


def test_one_image_for_each_class_has_all_modes_and_no_spread_within_them(digits, evaluator):
    index = torch.stack([(digits.labels == c).nonzero()[0, 0] for c in range(10)])
    collapsed = scores(evaluator(digits.batch(index.repeat(EVAL_IMAGES // 10))[None]))
    assert collapsed["modes_1pct"] == 10
    assert collapsed["mode_entropy"] == pytest.approx(10)
    assert collapsed["feature_spread"] > 0.7
    assert collapsed["within_class_spread"] < 1e-6
    assert scores(evaluator.real)["within_class_spread"] == pytest.approx(1, abs=0.05)


def test_losing_classes_costs_more_the_more_are_lost(digits, evaluator):
    ladder = [scores(evaluator(drawn(digits, 1, below=k))) for k in (10, 8, 5, 2, 1)]
    for name, rising in {"frechet_distance": 1, "mode_kl": 1, "mode_entropy": -1}.items():
        steps = torch.tensor([rising * s[name] for s in ladder]).diff()
        assert (steps > 0).all(), name
    # the classifier's few mistakes stay below 1%
    assert [s["modes_1pct"] for s in ladder] == [10, 8, 5, 2, 1]


def test_noise_costs_more_the_stronger_it_is(digits, evaluator):
    images = drawn(digits, 1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.cat([(images + std * noise).clamp(-1, 1) for std in (0, 0.2, 0.4, 0.8)])
    assert (evaluator(noisy).values["frechet_distance"].diff() > 0).all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("pixels", ["one", "all"])
def test_a_broken_member_gets_nan_throughout_and_its_neighbours_are_bitwise_unchanged(
    digits, evaluator, value, pixels
):
    samples = drawn(digits, 4)
    broken = samples.clone()
    if pixels == "one":
        broken[2, 7, 0, 3, 4] = value
    else:
        broken[2] = value
    sound, with_broken = evaluator(samples), evaluator(broken)
    others = torch.tensor([0, 1, 3])
    for name in OF_CLASSES:
        assert with_broken.values[name][2].isnan()
        assert torch.equal(with_broken.values[name][others], sound.values[name][others])
    assert with_broken.histogram[2].isnan().all()
    assert torch.equal(with_broken.histogram[others], sound.histogram[others])


def test_samples_too_large_for_float32_are_as_broken_as_inf(digits, evaluator):
    samples = drawn(digits, 2).double()
    samples[0, 0, 0, 0, 0] = 1e300
    assert evaluator(samples).values["frechet_distance"].isnan().tolist() == [True, False]


def test_a_member_scores_what_it_scores_alone_however_many_there_are(digits, evaluator):
    # 40 x 300 images make two chunks; BLAS may sum another way in another shape
    samples = drawn(digits, 40)
    together = evaluator(samples)
    for k in (0, 26, 27, 39):
        alone = evaluator(samples[k : k + 1])
        for name in OF_CLASSES:
            expected = together.values[name][k].item()
            assert alone.values[name].item() == pytest.approx(expected, rel=1e-4), name


def test_float64_samples_score_as_their_float32_do(digits, evaluator):
    samples = drawn(digits, 2)
    assert scores(evaluator(samples.double())) == scores(evaluator(samples))


def test_scoring_leaves_samples_and_graph_alone(digits, evaluator):
    samples = drawn(digits, 1).requires_grad_()
    before = samples.detach().clone()
    assert not any(v.requires_grad for v in evaluator(samples).values.values())
    assert torch.equal(samples, before)


def test_no_members_have_no_scores(evaluator):
    evaluation = evaluator(torch.empty(0, EVAL_IMAGES, 1, 8, 8))
    assert evaluation.values["frechet_distance"].shape == (0,)
    assert evaluation.histogram.shape == (0, 10)


def test_another_number_of_samples_is_refused_because_the_distance_depends_on_it(evaluator):
    with pytest.raises(ValueError, match=r"\[2, 64, 1, 8, 8\]: must be \[members, 300, "):
        evaluator(torch.zeros(2, 64, 1, 8, 8))
    with pytest.raises(ValueError, match="must be"):
        evaluator(torch.zeros(300, 1, 8, 8))


def test_fewer_than_two_images_are_refused(digits):
    with pytest.raises(ValueError, match="eval_images = 1: must be >= 2"):
        Evaluator(digits, 1)


def test_real_mnist_scores_as_perfect_as_a_thousand_images_allow(mnist_root):
    evaluator = Evaluator(load_dataset("mnist", root=mnist_root))
    real = scores(evaluator.real)
    assert evaluator.eval_images == 1000
    assert real["modes_1pct"] == 10
    assert real["mode_kl"] < 0.02
    assert real["feature_spread"] == pytest.approx(1, abs=0.05)
    noise = torch.rand(1, 1000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert scores(evaluator(noise))["frechet_distance"] > 50 * real["frechet_distance"]


@pytest.mark.parametrize(("name", "members"), [("digits", 16), ("mnist", 8)])
def test_a_rung_costs_little(name, members, request):
    root = request.getfixturevalue("mnist_root") if name == DatasetName.MNIST else None
    dataset = load_dataset(name, root=root)
    evaluator = Evaluator(dataset)
    samples = drawn(dataset, members, evaluator.eval_images)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        evaluator(samples)
        seconds.append(time.perf_counter() - start)
    # 25 and 60 ms on one idle core of 2024; ten times that on a busy one is still no hindrance
    assert min(seconds) < 1


# --- at the end of a member


def test_the_real_control_is_judged_at_its_end_too_by_the_same_path(digits, evaluator):
    assert tuple(evaluator.real.values) == (*METRICS, *END_METRICS)
    held_out = _halves(digits, seed=0)[1][:EVAL_IMAGES]
    again = evaluator.at_end(digits.batch(held_out)[None], rows=held_out)
    for name in END_METRICS:
        assert torch.equal(again[name], evaluator.real.values[name])
    # Copies of training images, unless they are known to be those themselves.
    as_samples = evaluator.at_end(digits.batch(held_out)[None])
    assert as_samples["nearest_train_ratio"] == 0
    assert again["nearest_train_ratio"].item() == pytest.approx(1, abs=0.1)


def test_an_end_is_judged_in_chunks_as_each_member_would_be_alone(digits, evaluator):
    samples = drawn(digits, 40)  # two chunks
    together = evaluator.at_end(samples)
    assert tuple(together) == END_METRICS
    for k in (0, 27, 39):
        alone = evaluator.at_end(samples[k : k + 1])
        for name in END_METRICS:
            assert together[name].shape == (40,)
            assert alone[name].item() == pytest.approx(together[name][k].item(), rel=1e-3, abs=1e-6)


def test_no_members_have_no_end_and_other_shapes_are_refused(evaluator):
    nothing = evaluator.at_end(torch.empty(0, EVAL_IMAGES, 1, 8, 8))
    assert all(value.shape == (0,) for value in nothing.values())
    with pytest.raises(ValueError, match=r"\[2, 64, 1, 8, 8\]: must be \[members, 300, "):
        evaluator.at_end(torch.zeros(2, 64, 1, 8, 8))


def test_a_rung_does_not_pay_for_the_end(digits):
    evaluator = Evaluator(digits, EVAL_IMAGES)
    evaluator(drawn(digits, 1))
    assert not {"_end_scores", "real"} & vars(evaluator).keys()


# --- mixtures

MIXTURE_SAMPLES = 2500


@pytest.fixture(scope="module", params=["ring8", "grid25"])
def mixed(request):
    """(dataset, evaluator of 2,500 points)."""
    dataset = load_dataset(request.param)
    return dataset, Evaluator(dataset, MIXTURE_SAMPLES)


def of_modes(dataset, modes, n=MIXTURE_SAMPLES):
    """Real points of these modes, in equal numbers: [1, n, d]."""
    each = [(dataset.labels == mode).nonzero().flatten() for mode in modes]
    return dataset.batch(torch.stack([index[: n // len(modes)] for index in each], 1).flatten())[
        None
    ]


def test_real_points_score_what_a_perfect_generator_does(mixed):
    dataset, evaluator = mixed
    count = len(evaluator.classes)
    # 1 - exp(-4.5) with its standard deviation over 2,500 points, and the known floor of the
    # divergence, (K - 1) / 2N of those, with the standard deviations simulated: 30 disjoint draws
    samples = dataset.batch(torch.randperm(75_000, generator=torch.Generator().manual_seed(0)))
    values = evaluator(samples.view(30, MIXTURE_SAMPLES, 2)).values
    floor, std = {8: (0.00144, 0.00075), 25: (0.00483, 0.0014)}[count]
    assert (values["hq_share"] - 0.98889).abs().max() < 4 * 0.0021
    assert values["hq_share"].mean().item() == pytest.approx(0.98889, abs=4 * 0.0021 / 30**0.5)
    assert values["mode_kl"].mean().item() == pytest.approx(floor, abs=4 * std / 30**0.5)
    assert (values["modes_hit"] == count).all()
    assert (values["modes_1pct"] == count).all()
    assert values["feature_spread"].mean().item() == pytest.approx(1, abs=0.01)
    assert evaluator.real.values["hq_share"].item() == pytest.approx(0.98889, abs=4 * 0.0021)
    assert evaluator.eval_images == MIXTURE_SAMPLES


def test_a_variance_that_shrank_shows_within_the_modes_alone(mixed):
    dataset, evaluator = mixed
    points = torch.arange(MIXTURE_SAMPLES)
    centres = dataset.mixture.means[dataset.labels[points]].float()
    real = dataset.batch(points)
    shrunk = [centres + share * (real - centres) for share in (1, 0.5, 0)]
    values = evaluator(torch.stack(shrunk)).values
    # 1 / sqrt(4 * 2500) is the standard deviation of an estimate from so many points in the plane
    assert values["within_class_spread"][0].item() == pytest.approx(1, abs=0.04)
    assert values["within_class_spread"][2] < 1e-4  # rounding, of means a hundred deviations apart
    # Halved, none is cut off at three of the data's deviations, where a real one is.
    whole = (1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))) ** 0.5
    assert values["within_class_spread"][1].item() == pytest.approx(0.5 / whole, rel=0.04)
    assert (values["hq_share"][1:] == 1).all()
    assert values["mode_kl"].max() < 0.01


def test_the_frechet_distance_to_a_mixture_is_to_its_exact_moments(mixed):
    dataset, evaluator = mixed
    # a shift by s costs s^2; all points at the centre cost the whole variance
    centre = dataset.mixture.mean.float().expand(1, MIXTURE_SAMPLES, 2)
    total = dataset.mixture.covariance.trace().item()
    scored = evaluator(centre).values
    assert scored["frechet_distance"].item() == pytest.approx(total)
    assert scored["feature_spread"] == 0
    real = dataset.batch(torch.arange(MIXTURE_SAMPLES))[None]
    shifted = evaluator(real + torch.tensor([3.0, 4.0])).values["frechet_distance"]
    # the sample's own mean is off by some hundredths
    assert shifted.item() == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_a_collapse_to_k_modes_costs_the_log_of_all_over_k(mixed, k):
    dataset, evaluator = mixed
    count = len(evaluator.classes)
    # one point for each mode, so that all are good and none is more frequent
    points = dataset.mixture.means[:k].float().repeat(MIXTURE_SAMPLES // k + 1, 1)
    collapsed = scores(evaluator(points[None, :MIXTURE_SAMPLES]))
    assert collapsed["mode_kl"] == pytest.approx(math.log(count / k), abs=1e-12)
    assert collapsed["mode_entropy"] == pytest.approx(k, rel=1e-12)
    assert collapsed["modes_hit"] == collapsed["modes_1pct"] == k
    assert collapsed["hq_share"] == 1


def test_published_figures_of_a_collapse():
    ring, grid = load_dataset("ring8"), load_dataset("grid25")
    one = scores(Evaluator(ring, 2500)(of_modes(ring, [3])))
    five = scores(Evaluator(grid, 2500)(of_modes(grid, range(5))))
    assert one["mode_kl"] == pytest.approx(2.0794, abs=5e-5)
    assert one["mode_entropy"] == one["modes_hit"] == 1
    # real points of five modes: as many are good of each but for chance
    assert five["mode_kl"] == pytest.approx(1.6094, abs=2e-3)
    assert five["modes_hit"] == 5


def test_points_beside_the_modes_are_bad_and_of_no_mode(mixed):
    _, evaluator = mixed
    count = len(evaluator.classes)
    far = scores(evaluator(torch.full((1, MIXTURE_SAMPLES, 2), 50.0)))
    assert far["hq_share"] == far["modes_hit"] == far["modes_1pct"] == far["mode_entropy"] == 0
    assert far["mode_kl"] == pytest.approx(math.log(count))
    assert evaluator(torch.full((1, MIXTURE_SAMPLES, 2), 50.0)).histogram.sum() == 0


def test_half_bad_points_halve_the_quality_and_leave_the_spread_over_modes(mixed):
    dataset, evaluator = mixed
    points = dataset.batch(torch.arange(MIXTURE_SAMPLES))[None]
    points[:, ::2] += 50
    half = evaluator(points)
    assert scores(half)["hq_share"] == pytest.approx(0.98889 / 2, abs=4 * 0.01)
    assert scores(half)["mode_kl"] < 0.02
    assert half.histogram.sum().item() == pytest.approx(scores(half)["hq_share"])


def test_a_mixtures_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(mixed):
    dataset, evaluator = mixed
    samples = dataset.batch(torch.arange(4 * MIXTURE_SAMPLES).view(4, MIXTURE_SAMPLES))
    broken = samples.clone()
    broken[1, 7, 0] = torch.nan
    broken[2] = torch.inf
    labels = dataset.labels[:MIXTURE_SAMPLES]
    sound, with_broken = evaluator(samples, labels), evaluator(broken, labels)
    others = torch.tensor([0, 3])
    for name in METRICS:
        assert with_broken.values[name].isnan().tolist() == [False, True, True, False]
        assert torch.equal(with_broken.values[name][others], sound.values[name][others])
    assert with_broken.histogram[1:3].isnan().all()
    assert torch.equal(with_broken.histogram[others], sound.histogram[others])


def test_1200_dimensions_are_judged_as_two_are():
    dataset = load_dataset("mixture1200")
    evaluator = Evaluator(dataset, 500)
    real = scores(evaluator.real)
    assert real["hq_share"] == pytest.approx(0.98889, abs=4 * (0.98889 * 0.01111 / 500) ** 0.5)
    assert real["modes_hit"] == 10
    assert real["mode_kl"] < 0.03  # 9 / (2 * 500) of it is chance
    one = scores(evaluator(of_modes(dataset, [6], 500)))
    assert one["mode_kl"] == pytest.approx(math.log(10))
    assert one["frechet_distance"] > 10 * real["frechet_distance"]


# --- what cannot be told


@pytest.fixture
def saved(tmp_path):
    """Writes arrays of a user's own and says where."""

    def save(**arrays):
        np.savez(tmp_path / "own.npz", **arrays)
        return tmp_path / "own.npz"

    return save


def bytes_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("digits", {}),
        ("ring8", {}),
        ("npz", {"x": np.random.default_rng(0).normal(size=(200, 5))}),
        ("npz", {"x": np.random.default_rng(0).normal(size=(200, 5)), "y": np.arange(200) % 2}),
        ("npz", {"x": np.random.default_rng(0).random((200, 6, 6))}),
        ("npz", {"x": bytes_of(200, 4, 4, 3)}),
        ("npz", {"x": bytes_of(200, 4, 4), "y": np.zeros(200, int)}),
        ("npz", {"x": bytes_of(200, 4, 4), "y": np.arange(200) % 2}),
    ],
    ids=[
        "digits",
        "mixture",
        "points",
        "points with labels",
        "float images",
        "images",
        "images of one class",
        "images with labels",
    ],
)
def test_what_cannot_be_told_of_a_dataset_is_nan_for_all_and_known_beforehand(name, arrays, saved):
    root = saved(**arrays) if arrays else None
    dataset = load_dataset(name, root=root)
    evaluator = Evaluator(dataset, 100)
    evaluation = evaluator(dataset.batch(torch.arange(200).view(2, 100)))
    untold = {name for name, value in evaluation.values.items() if value.isnan().all()}
    assert untold == untold_metrics(name, root=root)
    for metric in set(METRICS) - untold:
        assert evaluation.values[metric].isfinite().all()
    assert evaluation.histogram.shape == (2, len(evaluator.classes))
    assert evaluator.classes == (() if "mode_kl" in untold else dataset.classes)


def test_digits_have_no_quality_and_no_count_of_hits(evaluator):
    for name in ("hq_share", "modes_hit"):
        assert evaluator.real.values[name].isnan().all()


def test_unlabelled_images_cost_more_the_noisier_and_the_fewer_they_are(digits):
    unlabelled = dataclasses.replace(digits, name="npz", labels=None, classes=())
    evaluator = Evaluator(unlabelled, EVAL_IMAGES)
    real = drawn(digits, 1)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.cat([(real + std * noise).clamp(-1, 1) for std in (0, 0.2, 0.4, 0.8)])
    assert (evaluator(noisy).values["frechet_distance"].diff() > 0).all()
    fewer = torch.cat([real[:, torch.arange(EVAL_IMAGES) % k] for k in (300, 30, 3, 1)])
    assert (evaluator(fewer).values["frechet_distance"].diff() > 0).all()
    assert evaluator(fewer).values["feature_spread"][3] < 1e-6


def test_real_stacked_mnist_scores_as_published_real_data_does(mnist_root):
    dataset = load_dataset("stacked_mnist", root=mnist_root)
    evaluator = Evaluator(dataset, 26_000)
    control = _halves(dataset, seed=0)[1][:26_000]
    real = scores(evaluator(dataset.batch(control)[None], dataset.labels[control]))
    assert set(METRICS) - set(real) == untold_metrics("stacked_mnist", conditional=True)
    assert real["modes_hit"] == 1000
    # 999 / 2N of chance and 0.0043 of the digits' own frequencies, +- 0.001
    assert real["mode_kl"] == pytest.approx(0.0236, abs=0.004)
    assert real["mode_entropy"] == pytest.approx(977, abs=4)
    assert evaluator.classes[123] == "123"


def test_samples_of_another_shape_are_refused(mixed):
    with pytest.raises(ValueError, match=r"\[2, 2500, 3\]: must be \[members, 2500, 2\]"):
        mixed[1](torch.zeros(2, MIXTURE_SAMPLES, 3))


def test_agreement_is_told_where_classes_are_asked_for_and_there_alone(digits):
    evaluator = Evaluator(digits, eval_images=200)
    order = torch.arange(200)
    samples, labels = digits.batch(order), digits.labels[order]
    asked = torch.stack((samples, samples.flip(0), torch.full_like(samples, torch.nan)))
    values = evaluator(asked, labels).values
    right, shuffled, broken = values["class_agreement"].tolist()
    # The classifier knows almost all real digits; in another order a tenth agrees by chance.
    assert right > 0.97
    assert shuffled < 0.3
    assert math.isnan(broken)
    assert values["least_class_agreement"][0] <= values["class_agreement"][0]
    assert evaluator.real.values["class_agreement"].item() > 0.95
    assert evaluator(asked).values["class_agreement"].isnan().all()
