import math
import warnings

import pytest
import scipy.stats
import torch

from gan_core.metrics.bins import Bins, bin_js, bins_for, fit_bins, ndb_share


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def bins():
    return fit_bins(normal(20_000, 4), bins_for(1000))


def four_bins(counts):
    """Bins around 0, 10, 20 and 30 on a line, and as many reference samples in each."""
    centres = torch.tensor([[0.0], [10], [20], [30]]).double()
    return Bins(centres, on_line(counts)[0])


def on_line(*members):
    """Samples, as many in each bin as a member's counts say: [K, N, 1]."""
    points = torch.tensor([0.0, 10, 20, 30])
    rows = [points.repeat_interleave(torch.tensor(counts)) for counts in members]
    return torch.stack(rows).unsqueeze(-1)


def test_a_hundred_bins_but_20_samples_for_each_and_no_single_one():
    found = {n: bins_for(n) for n in (10_000, 2000, 1999, 1000, 898, 40, 39, 0)}
    assert found == {10_000: 100, 2000: 100, 1999: 99, 1000: 50, 898: 44, 40: 2, 39: 0, 0: 0}


def test_shares_are_those_of_the_nearest_centre():
    bins = four_bins([1, 1, 1, 1])
    samples = torch.tensor([[[-50.0], [4.9], [5.1], [26]], [[9], [10], [11], [12]]])
    assert bins.shares(samples).tolist() == [[0.5, 0.25, 0, 0.25], [0, 1, 0, 0]]
    assert bins.shares(samples).dtype == torch.float64


def test_bins_differ_where_the_test_of_two_proportions_says_so():
    reference, counts = [100, 200, 300, 400], [121, 156, 300, 423]
    bins, differ = four_bins(reference), []
    for seen, expected in zip(counts, reference, strict=True):
        # scipy's chi-squared without continuity correction is the square of z
        table = [[seen, 1000 - seen], [expected, 1000 - expected]]
        differ.append(scipy.stats.chi2_contingency(table, correction=False).pvalue < 0.05)
    assert differ == [False, True, False, False]
    shares = bins.shares(on_line(counts, reference))
    assert ndb_share(shares, 1000, bins).tolist() == [0.25, 0]


def test_the_level_is_05_on_both_sides():
    # of 10,000 against 10,000 at .5 the error is sqrt(.5 / 10,000) = .00707; 1.96 of it .01386
    bins = four_bins([5000, 5000, 0, 0])
    for more, differs in ((138, False), (140, True)):
        for sign in (1, -1):
            seen = [5000 + sign * more, 5000 - sign * more, 0, 0]
            shares = bins.shares(on_line(seen))
            assert ndb_share(shares, 10_000, bins).item() == (0.5 if differs else 0)


def test_bins_that_both_leave_empty_do_not_differ():
    bins = four_bins([10, 10, 0, 0])
    shares = bins.shares(on_line([10, 10, 0, 0]))
    assert ndb_share(shares, 20, bins).item() == 0
    assert bin_js(shares, bins).item() == 0


def test_of_equal_distributions_one_bin_in_twenty_seems_to_differ(bins):
    shares = bins.shares(normal(100, 1000, 4, seed=1))
    # 5,000 bins of which .05 +- .003; the reference's own 10,000 samples shift all draws alike,
    # by a tenth of the error's square, and counts of 20 are not quite normal
    assert ndb_share(shares, 1000, bins).mean().item() == pytest.approx(0.05, abs=0.02)
    # (B - 1) / 8 (1 / N + 1 / R)
    floor = 49 / 8 * (1 / 1000 + 1 / 10_000)
    assert bin_js(shares, bins).mean().item() == pytest.approx(floor, rel=0.2)


def test_counted_on_what_they_were_fitted_to_too_few_bins_would_seem_to_differ():
    # why one part of the reference is for the centres and another for the shares
    found = []
    for seed in range(10):
        reference, fresh = normal(2000, 32, seed=2 * seed), normal(5, 1000, 32, seed=2 * seed + 1)
        honest = fit_bins(reference, 50)
        bent = Bins(honest.centres, reference[:1000])
        found += [[ndb_share(b.shares(fresh), 1000, b).mean() for b in (honest, bent)]]
    apart, together = torch.tensor(found).mean(0).tolist()
    # .052 and .021, with errors of .005 and .003
    assert apart == pytest.approx(0.05, abs=0.02)
    assert together < 0.035


def test_losing_modes_makes_more_bins_differ():
    centres = 8 * torch.eye(8).double()
    mode = torch.arange(4000) % 8
    of_modes = fit_bins(centres[mode] + normal(4000, 8), 40)
    ladder = torch.stack(
        [centres[mode[:800] % k] + normal(800, 8, seed=seed) for seed, k in enumerate((8, 6, 4, 1))]
    )
    shares = of_modes.shares(ladder)
    assert (ndb_share(shares, 800, of_modes).diff() > 0).all()
    assert (bin_js(shares, of_modes).diff() > 0).all()
    assert ndb_share(shares, 800, of_modes)[-1] > 0.9


def test_the_divergence_has_its_closed_forms():
    bins = four_bins([50, 50, 0, 0])
    shares = bins.shares(on_line([50, 50, 0, 0], [0, 0, 70, 30], [100, 0, 0, 0]))
    # none in common: ln 2; half of it: (ln(4/3) + (ln(2/3) + ln 2) / 2) / 2
    half = (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    expected = [0, math.log(2), half]
    torch.testing.assert_close(bin_js(shares, bins), torch.tensor(expected).double())


def test_the_divergence_is_symmetric():
    a, b = [10, 20, 30, 40], [25, 25, 25, 25]
    there = bin_js(four_bins(a).shares(on_line(b)), four_bins(a))
    back = bin_js(four_bins(b).shares(on_line(a)), four_bins(b))
    torch.testing.assert_close(there, back, rtol=1e-14, atol=0)


def test_bins_follow_their_seed():
    reference = normal(2000, 4)
    a, b, c = (fit_bins(reference, 20, seed=seed).centres for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_fitting_draws_nothing_from_the_global_stream():
    before = torch.random.get_rng_state()
    fit_bins(normal(200, 2), 5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("distinct", "bins"), [(1, 1), (3, 3)])
def test_no_more_bins_are_made_than_there_are_distinct_samples(distinct, bins):
    reference = normal(distinct, 2)[torch.arange(400) % distinct]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_bins(reference, 10)
    assert len(found.centres) == bins


def test_a_reference_too_small_for_bins_leaves_all_untold():
    empty = fit_bins(normal(5, 2), bins_for(5))
    shares = empty.shares(normal(3, 5, 2))
    assert shares.shape == (3, 0)
    assert ndb_share(shares, 5, empty).isnan().all()
    assert bin_js(shares, empty).isnan().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(bins, value):
    samples = normal(4, 100, 4)
    broken = samples.clone()
    broken[2, 7, 3] = value
    others = torch.tensor([0, 1, 3])
    for score in (lambda s: ndb_share(s, 100, bins), lambda s: bin_js(s, bins)):
        sound, with_broken = score(bins.shares(samples)), score(bins.shares(broken))
        assert with_broken.dtype == torch.float64
        assert with_broken[2].isnan()
        assert torch.equal(with_broken[others], sound[others])


def test_no_members_have_no_scores(bins):
    shares = bins.shares(normal(0, 9, 4))
    assert ndb_share(shares, 9, bins).shape == bin_js(shares, bins).shape == (0,)
