import math

import pytest
import torch

from gan_core.data import load_dataset, stack_digits
from gan_core.metrics.modes import (
    NO_MODE,
    class_agreement,
    hq_modes,
    hq_share,
    mode_entropy,
    mode_kl,
    mode_shares,
    modes_1pct,
    modes_hit,
)
from gan_core.mixtures import MIXTURES, Mixture, mixture

PLANAR = [name for name in MIXTURES if mixture(name).means.shape[1] == 2]

UNIFORM = torch.full((8,), 1 / 8, dtype=torch.float64)


def equal_shares(k, of=8):
    return torch.tensor([1 / k] * k + [0.0] * (of - k), dtype=torch.float64)


def test_shares_are_counts_over_samples():
    classes = torch.tensor([[0, 0, 2, 1], [3, 3, 3, 3]])
    shares = mode_shares(classes, 5)
    assert shares.dtype == torch.float64
    assert shares.tolist() == [[0.5, 0.25, 0.25, 0, 0], [0, 0, 0, 1, 0]]


@pytest.mark.parametrize("k", [1, 2, 4, 7, 8])
def test_a_collapse_to_some_of_equal_modes_costs_the_log_of_all_over_some(k):
    kl = mode_kl(equal_shares(k), data=UNIFORM)
    assert kl.item() == pytest.approx(math.log(8 / k), abs=1e-15)
    assert mode_entropy(equal_shares(k)).item() == pytest.approx(k, rel=1e-14)
    assert modes_1pct(equal_shares(k)).item() == k


def test_shares_like_the_datas_cost_nothing_whatever_they_are():
    data = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    assert mode_kl(UNIFORM, data=UNIFORM) == 0
    assert mode_kl(data, data=data) == 0


def test_kl_is_not_symmetric_and_is_of_the_samples_to_the_data():
    p, q = torch.tensor([0.9, 0.1]).double(), torch.tensor([0.5, 0.5]).double()
    assert mode_kl(p, data=q).item() == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert mode_kl(q, data=p).item() == pytest.approx(0.5 * math.log(25 / 9))


def test_a_missing_mode_is_finite_and_a_mode_that_the_data_lacks_is_infinite():
    lacking = torch.tensor([1.0, 0.0], dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert mode_kl(lacking, data=half).item() == pytest.approx(math.log(2))
    assert mode_kl(half, data=lacking) == torch.inf


def test_a_single_mode_is_exactly_one_effective_mode():
    for k in range(8):
        shares = torch.nn.functional.one_hot(torch.tensor(k), 8).double()
        assert mode_entropy(shares) == 1
        assert modes_1pct(shares) == 1


def test_a_mode_counts_from_exactly_1_percent_on():
    for samples, enough in ((100, 1), (898, 9), (1000, 10)):
        for count, modes in ((enough, 2), (enough - 1, 1)):
            classes = torch.tensor([1] * count + [0] * (samples - count))
            assert modes_1pct(mode_shares(classes, 3)).item() == modes


def test_perfect_samples_cost_about_half_a_mode_fewer_than_all_per_sample():
    # Half the expectation of a chi-square with K - 1 degrees, over N; its sd over 400 draws
    # is 2.7%
    n, members, k = 2500, 400, 8
    random = torch.Generator().manual_seed(0)
    shares = mode_shares(torch.randint(k, (members, n), generator=random), k)
    mean = mode_kl(shares, data=UNIFORM).mean().item()
    assert mean == pytest.approx((k - 1) / (2 * n), rel=0.1)


def test_members_of_nan_get_nan_and_the_others_what_they_get_alone():
    shares = torch.stack([equal_shares(3), torch.full((8,), torch.nan).double(), UNIFORM])
    scores = (lambda p: mode_kl(p, data=UNIFORM), mode_entropy, modes_1pct, modes_hit, hq_share)
    for score in scores:
        values = score(shares)
        assert values.dtype == torch.float64
        assert values.isnan().tolist() == [False, True, False]
        assert torch.equal(values[[0, 2]], torch.stack([score(shares[0]), score(shares[2])]))


def near(mixture, mode, stds, n=50):
    """Points exactly that many std from a mode's mean, in directions all around."""
    angles = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    return mixture.means[mode] + stds * mixture.std * torch.stack((angles.cos(), angles.sin()), 1)


@pytest.mark.parametrize("name", PLANAR)
def test_quality_ends_three_std_from_the_nearest_mode(name):
    truth = mixture(name)
    for mode in range(len(truth.means)):
        assert (hq_modes(near(truth, mode, 2.999), truth) == mode).all()
        assert (hq_modes(near(truth, mode, 3.001), truth) == NO_MODE).all()


def test_the_bound_itself_is_outside():
    truth = Mixture(torch.tensor([[0.0, 0.0], [8.0, 0.0]]).double(), 1.0)
    points = torch.tensor([[3.0, 0.0], [2.9999, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0001, 0.0]])
    assert hq_modes(points, truth).tolist() == [NO_MODE, 0, 0, NO_MODE, 1]


def test_a_point_between_modes_belongs_to_the_nearer():
    truth = Mixture(torch.tensor([[0.0], [1.0]]).double(), 1.0)
    assert hq_modes(torch.tensor([[0.4], [0.6]]), truth).tolist() == [0, 1]


def test_points_of_many_members_keep_their_shape_and_broken_ones_have_no_mode():
    truth = mixture("grid25")
    points = truth.means.float().expand(3, 25, 2).clone()
    points[1, 4, 0], points[2, 5, 1], points[2, 6] = torch.nan, torch.inf, -torch.inf
    modes = hq_modes(points, truth)
    assert modes.shape == (3, 25)
    assert modes[0].tolist() == list(range(25))
    assert (modes == NO_MODE).nonzero().tolist() == [[1, 4], [2, 5], [2, 6]]


def test_samples_of_no_mode_count_in_the_denominator_alone():
    shares = mode_shares(torch.tensor([0, 0, NO_MODE, 2]), 3)
    assert shares.tolist() == [0.5, 0, 0.25]
    assert hq_share(shares) == 0.75
    assert modes_hit(shares) == 2
    # how good samples are does not change how they are spread
    equal = torch.full((3,), 1 / 3).double()
    assert mode_kl(shares, data=equal).item() == pytest.approx(
        mode_kl(shares / 0.75, data=equal).item()
    )
    assert mode_entropy(shares).item() == pytest.approx(mode_entropy(shares / 0.75).item())


def test_a_generator_of_nothing_good_hits_no_mode_and_costs_what_a_single_mode_does():
    shares = mode_shares(torch.full((100,), NO_MODE), 8)
    assert hq_share(shares) == 0
    assert modes_hit(shares) == 0
    assert modes_1pct(shares) == 0
    assert mode_entropy(shares) == 0
    assert mode_kl(shares, data=UNIFORM).item() == math.log(8)


def test_one_hit_is_a_mode_but_not_one_of_1_percent():
    shares = mode_shares(torch.tensor([0] * 2499 + [5]), 8)
    assert modes_hit(shares) == 2
    assert modes_1pct(shares) == 1


def test_agreement_with_the_classes_asked_for_is_counted_over_all_and_for_the_worst_class():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 3, 3])
    modes = torch.stack(
        [
            labels,
            torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]),  # never the last class
            torch.tensor([0, 0, 1, 1, 1, 1, 3, 0]),
        ]
    )
    expected = torch.tensor([[1, 1], [6 / 8, 0], [5 / 8, 1 / 2]], dtype=torch.float64)
    assert torch.equal(class_agreement(modes, labels), expected)


# --- what a perfect generator of stacked MNIST scores, by the true labels

EQUAL = torch.full((1000,), 1e-3, dtype=torch.float64)
# of the 70,000 digits
FREQUENCIES = torch.tensor([6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958]).double()


def triples(frequencies, draws, n):
    """Shares of three digits drawn alone: [draws, 1000]."""
    random = torch.Generator().manual_seed(0)
    digits = torch.multinomial(frequencies, draws * n * 3, replacement=True, generator=random)
    modes = (digits.view(draws, n, 3) * torch.tensor([100, 10, 1])).sum(-1)
    return torch.stack([mode_shares(one[None], 1000)[0] for one in modes])


@pytest.mark.parametrize(
    ("frequencies", "n", "kl", "std"),
    [
        # 999 / 2N; and with the digits' own frequencies .00435 more
        (torch.ones(10).double(), 26_000, 0.01925, 0.0008),
        (FREQUENCIES, 26_000, 0.0236, 0.0010),
        (FREQUENCIES, 10_000, 0.0553, 0.0025),
    ],
    ids=["equal digits", "published number", "fewer"],
)
def test_the_floor_of_stacked_mnist_is_the_one_computed(frequencies, n, kl, std):
    shares = triples(frequencies, 4, n)
    found = mode_kl(shares, data=EQUAL)
    assert found.mean().item() == pytest.approx(kl, abs=4 * std / 4**0.5)
    assert (found - kl).abs().max() < 4 * std
    if n == 26_000:
        assert (modes_hit(shares) == 1000).all()


def test_real_stacked_mnist_has_1000_modes_and_that_floor_by_its_labels(mnist_root, mnist):
    test = load_dataset("mnist", root=mnist_root, train=False)
    labels = torch.cat((mnist.labels, test.labels))
    assert torch.equal(torch.bincount(labels), FREQUENCIES.long())
    # images of one pixel: the labels are those of the real ones, whatever the digits look like
    blank = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    modes = stack_digits(blank, labels, n=4 * 26_000, seed=0)[1].view(4, 26_000)
    for draw in modes:
        shares = mode_shares(draw[None], 1000)
        assert modes_hit(shares) == 1000
        assert mode_kl(shares, data=EQUAL).item() == pytest.approx(0.0236, abs=4 * 0.0010)
        assert mode_entropy(shares).item() == pytest.approx(976.7, abs=4)


@pytest.mark.parametrize(("k", "kl"), [(1, 6.908), (99, 2.313), (150, 1.897), (693, 0.367)])
def test_k_of_a_thousand_modes_cost_what_is_published(k, kl):
    found = mode_kl(equal_shares(k, 1000), data=EQUAL).item()
    assert found == pytest.approx(math.log(1000 / k), abs=1e-12)
    assert found == pytest.approx(kl, abs=5e-4)
