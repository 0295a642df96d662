import time

import pytest
import torch

from analysis.schema import METRICS as CONTRACT
from gan_core.data import load_dataset
from gan_core.datasets import DatasetName
from gan_core.metrics.evaluate import METRICS, Evaluator, _halves
from gan_core.metrics.features import extractor

EVAL_IMAGES = 300


@pytest.fixture(scope="module")
def evaluator(digits):
    return Evaluator(digits, EVAL_IMAGES)


def drawn(dataset, members, n=EVAL_IMAGES, seed=0, below=10):
    """Real images, drawn anew for each member."""
    indices = (dataset.labels < below).nonzero().flatten()
    random = torch.Generator().manual_seed(seed)
    return dataset.batch(indices[torch.randint(len(indices), (members, n), generator=random)])


def scores(evaluation, k=0):
    return {name: value[k].item() for name, value in evaluation.values.items()}


def test_the_metrics_are_those_of_the_contract():
    assert METRICS == CONTRACT


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
    again = evaluator(digits.batch(control[:EVAL_IMAGES]).unsqueeze(0))
    assert scores(again) == scores(evaluator.real)
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


def test_the_extractor_is_named_by_its_hash(evaluator):
    assert evaluator.extractor.hash == extractor("digits").hash


def test_a_generator_of_one_image_has_one_mode_and_no_spread(digits, evaluator):
    one = drawn(digits, 2)[:, :1].expand(2, EVAL_IMAGES, 1, 8, 8)
    collapsed = scores(evaluator(one))
    assert collapsed["mode_entropy"] == 1
    assert collapsed["modes_1pct"] == 1
    assert collapsed["feature_spread"] < 1e-6
    assert collapsed["mode_kl"] > 2
    assert collapsed["frechet_distance"] > 30 * scores(evaluator.real)["frechet_distance"]


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
    for name in METRICS:
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
        for name in METRICS:
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
