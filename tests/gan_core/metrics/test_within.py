import math

import pytest
import torch

from gan_core.metrics.modes import NO_MODE, hq_modes
from gan_core.metrics.within import mixture_traces, mode_traces, within_class_spread
from gan_core.mixtures import mixture


def drawn(n=600, members=3, features=4, classes=3, seed=0):
    """Features whose standard deviation in class c is c + 1, far from the origin; and modes."""
    random = torch.Generator().manual_seed(seed)
    modes = torch.arange(n).expand(members, n) % classes
    noise = torch.randn(members, n, features, generator=random, dtype=torch.float64)
    return 50 + 10 * modes[..., None] + (modes[..., None] + 1) * noise, modes


def exactly(features, modes, c):
    return torch.cov(features[modes == c].T).trace().item()


def test_a_modes_trace_is_that_of_its_samples_covariance():
    features, modes = drawn()
    traces, numbers = mode_traces(features, modes, 3)
    assert traces.shape == numbers.shape == (3, 3)
    for k in range(3):
        for c in range(3):
            assert traces[k, c].item() == pytest.approx(exactly(features[k], modes[k], c), rel=1e-9)
    assert (numbers == 200).all()


def test_a_mode_of_fewer_than_two_samples_has_no_trace():
    features = torch.randn(1, 3, 2)
    traces, numbers = mode_traces(features, torch.tensor([[0, 0, 1]]), 3)
    assert traces[0].isnan().tolist() == [False, True, True]
    assert numbers[0].tolist() == [2, 1, 0]


def test_samples_without_a_mode_count_for_none():
    features, modes = drawn(members=1)
    with_bad = torch.cat((features, torch.full((1, 9, 4), 1e4)), 1)
    theirs = torch.cat((modes, torch.full((1, 9), NO_MODE)), 1)
    expected, _ = mode_traces(features, modes, 3)
    traces, numbers = mode_traces(with_bad, theirs, 3)
    torch.testing.assert_close(traces, expected, rtol=1e-9, atol=0)
    assert (numbers == 200).all()


def test_the_reference_itself_scores_one_and_half_its_deviation_a_half():
    features, modes = drawn(members=1)
    reference = mode_traces(features, modes, 3)[0][0]
    assert within_class_spread(features, modes, reference).item() == pytest.approx(1, rel=1e-9)
    centres = 50 + 10.0 * modes[..., None]
    means = torch.stack([features[modes == c].mean(0) for c in range(3)])[modes]
    halved = centres + (features - means) / 2
    assert within_class_spread(halved, modes, reference).item() == pytest.approx(0.5, rel=1e-9)


def test_one_image_for_each_class_has_no_spread_however_many_classes_it_has():
    features, modes = drawn(members=1)
    reference = mode_traces(features, modes, 3)[0][0]
    one_each = features[:, :3].repeat(1, 200, 1)
    assert within_class_spread(one_each, modes, reference).item() < 1e-6


def test_each_class_weighs_by_its_share_of_the_samples():
    features, modes = drawn(members=1)
    reference = torch.tensor([4.0, 16.0, 36.0], dtype=torch.float64)
    kept = (modes[0] == 0) | (modes[0] == 2) & (torch.arange(600) < 300)
    features, modes = features[:, kept], modes[:, kept]
    traces = [exactly(features[0], modes[0], c) for c in (0, 2)]
    expected = math.sqrt((200 * traces[0] + 100 * traces[1]) / (200 * 4 + 100 * 36))
    spread = within_class_spread(features, modes, reference)
    assert spread.item() == pytest.approx(expected, rel=1e-9)


def test_a_class_that_the_reference_cannot_tell_or_of_one_sample_is_left_out():
    features, modes = drawn(members=1)
    reference = torch.tensor([4.0, math.nan, 36.0], dtype=torch.float64)
    kept = (modes[0] < 2) | (torch.arange(600) == 2)
    spread = within_class_spread(features[:, kept], modes[:, kept], reference)
    expected = math.sqrt(exactly(features[0], modes[0], 0) / 4)
    assert spread.item() == pytest.approx(expected, rel=1e-9)


def test_where_no_class_can_be_told_of_there_is_no_spread():
    features = torch.randn(2, 3, 2)
    modes = torch.tensor([[0, 1, 2], [NO_MODE] * 3])
    assert within_class_spread(features, modes, torch.ones(3).double()).isnan().all()


def test_a_member_with_nan_has_no_spread_and_its_neighbours_are_bitwise_unchanged():
    features, modes = drawn()
    reference = mode_traces(features, modes, 3)[0][0]
    broken = features.clone()
    broken[1, 7] = torch.nan
    before, after = (within_class_spread(f, modes, reference) for f in (features, broken))
    assert after.isnan().tolist() == [False, True, False]
    assert torch.equal(before[[0, 2]], after[[0, 2]])


@pytest.mark.parametrize("name", ["ring8", "grid25", "mixture1200"])
def test_a_mixtures_traces_are_exactly_those_of_its_points_of_high_quality(name):
    truth = mixture(name)
    modes, dimensions = truth.means.shape
    random = torch.Generator().manual_seed(0)
    n = 400_000 // dimensions
    noise = truth.std * torch.randn(n, dimensions, generator=random, dtype=torch.float64)
    points = truth.means[0] + noise
    traces, _ = mode_traces(points[None], hq_modes(points, truth)[None], modes)
    exact = mixture_traces(truth)
    assert exact.shape == (modes,)
    # The variance of |x|^2 over its square is 2 / d for each point.
    tolerance = 4 * math.sqrt(2 / (dimensions * n))
    assert traces[0, 0].item() == pytest.approx(exact[0].item(), rel=tolerance)
    if dimensions == 2:
        share = 1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))
        assert exact[0].item() == pytest.approx(2 * truth.std**2 * share, rel=1e-9)
