import math

import numpy as np
import pandas as pd
import pytest

from analysis.regions import failure_map, stable_range


def grown(sweep_of, rows, **config):
    """A sweep and its verdicts from (loss, rate, verdict)."""
    members = [{"trial": t, "loss": loss, "lr_g": rate} for t, (loss, rate, _) in enumerate(rows)]
    sweep = sweep_of(members, **config)
    return sweep, sweep.trials[["trial", "seed"]].assign(verdict=[word for _, _, word in rows])


# --- failure_map


def test_the_map_counts_in_even_steps_of_magnitude(sweep_of):
    rows = [
        ("wgan", 1e-5, "healthy"),
        ("wgan", 2e-4, "healthy"),
        ("wgan", 5e-4, "diverged"),
        ("wgan", 1e-1, "oscillating"),
        ("hinge", 1e-3, "undertrained"),
        ("hinge", 1e-2, "mode_collapse"),
    ]
    table = failure_map(*grown(sweep_of, rows), bins=4)
    assert list(table) == ["variant", "low", "high", "members", "judged", "failures", "rate"]
    assert table["variant"].tolist() == ["hinge"] * 4 + ["wgan"] * 4
    for name in ("hinge", "wgan"):
        part = table[table["variant"] == name]
        assert part["low"].tolist() == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2])
        assert part["high"].tolist() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert table["members"].tolist() == [0, 0, 1, 1, 1, 2, 0, 1]
    assert table["judged"].tolist() == [0, 0, 0, 1, 1, 2, 0, 1]
    assert table["failures"].tolist() == [0, 0, 0, 1, 0, 1, 0, 1]
    assert table["rate"].fillna(-1).tolist() == [-1, -1, -1, 1, 0, 0.5, -1, 1]


@pytest.mark.parametrize(
    ("domain", "edges"),
    [
        ({"low": 1e-4, "high": 1e-2, "log": True}, [1e-4, 1e-3, 1e-2]),
        ({"low": 0.0, "high": 1.0, "log": False}, [0.0, 0.5, 1.0]),
        ({"low": 1e-6, "high": 1.0}, [1e-6, 0.5000005, 1.0]),  # the config means: not log
        ({"choices": [1e-4, 1e-2]}, [2e-4, 2e-3, 2e-2]),  # less than what there is
        (None, [2e-4, 2e-3, 2e-2]),
        (1e-3, [2e-4, 2e-3, 2e-2]),
    ],
)
def test_the_config_says_what_is_searched_and_how(sweep_of, domain, edges):
    rows = [("wgan", 2e-4, "healthy"), ("wgan", 2e-2, "healthy")]
    if domain and isinstance(domain, dict) and domain.get("log"):
        rows[1] = ("wgan", 2e-3, "healthy")
    table = failure_map(*grown(sweep_of, rows, space={"lr_g": domain}), bins=2)
    assert table["low"].tolist() == pytest.approx(edges[:-1])
    assert table["high"].tolist() == pytest.approx(edges[1:])
    assert table["members"].sum() == 2


def test_members_are_counted_once_wherever_they_are(sweep_of):
    rates = 10 ** np.random.default_rng(0).uniform(-5, -2, size=300)
    rates[:9] = np.geomspace(1e-5, 1e-2, 9)  # on the edges
    rows = [("wgan", rate, "healthy") for rate in rates.tolist()]
    table = failure_map(*grown(sweep_of, rows), bins=8)
    assert table["members"].sum() == 300
    for row in table.itertuples():
        inside = (rates >= row.low * (1 - 1e-12)) & (rates < row.high * (1 + 1e-12))
        assert abs(row.members - inside.sum()) <= 2


def test_little_of_a_range_is_cut_evenly_and_a_point_not_at_all(sweep_of):
    two = [("wgan", 1.0, "healthy"), ("wgan", 3.0, "healthy")]
    assert failure_map(*grown(sweep_of, two), bins=2)["low"].tolist() == [1, 2]
    table = failure_map(*grown(sweep_of, two[:1]))
    assert table[["low", "high", "members"]].to_numpy().tolist() == [[1, 1, 1]]


def test_what_has_no_value_of_it_is_left_out(sweep_of):
    rows = [("wgan", 1e-3, "healthy"), ("wgan", None, "healthy"), ("hinge", None, "healthy")]
    table = failure_map(*grown(sweep_of, rows))
    assert table["variant"].tolist() == ["wgan"]
    assert table["members"].tolist() == [1]


def test_other_hyperparameters_span_the_map_as_well(sweep_of):
    members = [{"trial": t, "latent_dim": d, "d_norm": n} for t, (d, n) in enumerate(
        [(8, "none"), (64, "spectral"), (8, "spectral")]
    )]  # fmt: skip
    sweep = sweep_of(members)
    verdicts = sweep.trials[["trial", "seed"]].assign(verdict="healthy")
    table = failure_map(sweep, verdicts, x="latent_dim", by="d_norm", bins=2)
    assert table["members"].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("ask", [failure_map, stable_range])
def test_what_cannot_be_an_axis_is_named(sweep_of, ask):
    sweep, verdicts = grown(sweep_of, [("wgan", 1e-3, "healthy")])
    for x in ("loss", "lr"):
        with pytest.raises(ValueError, match=f"x = '{x}': must be a hyperparameter that is a num"):
            ask(sweep, verdicts, x=x)
    with pytest.raises(ValueError, match="by = 'los'"):
        ask(sweep, verdicts, by="los")


def test_a_map_needs_a_bin(sweep_of):
    with pytest.raises(ValueError, match="bins = 0: must be > 0"):
        failure_map(*grown(sweep_of, []), bins=0)


# --- stable_range


def test_the_range_goes_as_far_as_one_in_five_fails(sweep_of):
    rows = [
        *(("wgan", 10.0**-k, "healthy") for k in (5, 4, 3)),
        ("wgan", 2e-3, "diverged"),
        ("wgan", 1e-2, "healthy"),  # with it 1 of 5 fails, and the range goes over the failure
        ("wgan", 2e-2, "diverged"),
        ("hinge", 1e-4, "healthy"),
        ("hinge", 1e-3, "mode_collapse"),
        ("hinge", 3e-3, "healthy"),
        ("lsgan", 1e-4, "oscillating"),
        ("minimax", 1e-4, "undertrained"),
    ]
    table = stable_range(*grown(sweep_of, rows))
    assert list(table) == ["variant", "low", "high", "decades", "members"]
    assert table["variant"].tolist() == ["wgan", "hinge", "lsgan", "minimax"]
    assert table.loc[0, ["low", "high", "decades", "members"]].tolist() == [1e-5, 1e-2, 3, 5]
    assert table.loc[1, ["low", "high", "decades", "members"]].tolist() == [1e-4, 1e-4, 0, 1]
    assert table.loc[2:, ["low", "high", "decades"]].isna().all(axis=None)
    assert table["members"].tolist() == [5, 1, 0, 0]


def brute(rates, failed, share):
    """Decades of the widest range, by trying all of them."""
    values = np.unique(rates)
    best = math.nan
    for i, low in enumerate(values):
        for high in values[i:]:
            ends = all(failed[rates == end].mean() <= share + 1e-12 for end in (low, high))
            inside = (rates >= low) & (rates <= high)
            if ends and failed[inside].mean() <= share + 1e-12:
                best = np.nanmax([best, math.log10(high / low)])
    return best


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_widest_of_all_ranges(sweep_of, seed):
    generator = np.random.default_rng(seed)
    rates = np.round(10 ** generator.uniform(-5, -2, size=25), 5)  # some are the same
    failed = generator.random(25) < 0.35
    share = float(generator.choice([0.0, 0.2, 1 / 3]))
    rows = [
        ("wgan", rate, "diverged" if bad else "healthy")
        for rate, bad in zip(rates.tolist(), failed, strict=True)
    ]
    table = stable_range(*grown(sweep_of, rows), failing_share=share)
    row = table.iloc[0]
    assert row["decades"] == pytest.approx(brute(rates, failed, share), nan_ok=True)
    inside = (rates >= row["low"]) & (rates <= row["high"])
    assert row["members"] == inside.sum()
    assert failed[inside].mean() <= share + 1e-12


def test_seeds_of_one_rate_stand_together(sweep_of):
    rows = [
        *[("wgan", 1e-4, word) for word in ("healthy", "diverged")],
        *[("wgan", 1e-3, word) for word in ["healthy"] * 8],
    ]
    # 1 of 10 fails in all, but half of those at the lower end.
    assert stable_range(*grown(sweep_of, rows)).loc[0, ["low", "high"]].tolist() == [1e-3, 1e-3]


def test_a_share_is_counted_in_whole_members(sweep_of):
    # In floating point 3 - 0.2 * 15 is not 0.
    rows = [
        ("wgan", 1e-5, "healthy"),
        *[("wgan", 1e-4, "diverged")] * 3,
        *[("wgan", 1e-3, "healthy")] * 11,
    ]
    table = stable_range(*grown(sweep_of, rows))
    assert table.loc[0, ["low", "high", "members"]].tolist() == [1e-5, 1e-3, 15]
    table = stable_range(*grown(sweep_of, rows[:-1]))
    assert table.loc[0, ["low", "high", "members"]].tolist() == [1e-5, 1e-5, 1]


@pytest.mark.parametrize("share", [-0.1, 1.0, 20])
def test_shares_that_are_none_are_refused(sweep_of, share):
    with pytest.raises(ValueError, match=rf"failing_share = {share}: must be in \[0, 1\)"):
        stable_range(*grown(sweep_of, []), failing_share=share)


def test_ranges_in_decades_are_of_positive_numbers(sweep_of):
    members = [{"trial": 0, "label_smoothing": 0.0}]
    sweep = sweep_of(members)
    verdicts = sweep.trials[["trial", "seed"]].assign(verdict="healthy")
    with pytest.raises(ValueError, match="x = 'label_smoothing': must be positive"):
        stable_range(sweep, verdicts, x="label_smoothing")


def test_without_members_there_is_no_map_and_no_range(sweep_of):
    sweep, verdicts = grown(sweep_of, [])
    assert failure_map(sweep, verdicts).empty
    assert list(failure_map(sweep, verdicts))[-1] == "rate"
    assert stable_range(sweep, verdicts).empty
    assert isinstance(stable_range(sweep, verdicts), pd.DataFrame)
