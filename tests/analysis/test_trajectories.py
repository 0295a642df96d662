import numpy as np
import pytest

from analysis.trajectories import bands, class_coverage, mode_coverage, with_verdicts


def said(sweep, verdict="healthy"):
    """Verdicts as `judge` gives them, which is not what is tested here."""
    return sweep.trials[["trial", "seed"]].assign(verdict=verdict)


def loaded(writer, *members, control=True):
    writer.members(*members)
    if control:
        writer.control()
    sweep = writer.load()
    return sweep, said(sweep)


def level(value):
    return lambda rung: float(value)


def test_a_band_is_the_quartiles_of_the_members_of_a_verdict(writer):
    members = [
        writer.member(0, seed=s, frechet=level(v), hyperparameters={"loss": "hinge"})
        for s, v in enumerate((1.0, 2.0, 3.0, 4.0, 5.0))
    ]
    sweep, verdicts = loaded(writer, *members)
    table = bands(sweep, verdicts, columns=["frechet_distance"])
    last = table.iloc[-1]
    assert (last["low"], last["median"], last["high"], last["members"]) == (2, 3, 4, 5)
    assert last["variant"] == "all"


def test_members_that_ended_before_a_step_do_not_count_at_it(writer):
    sweep, verdicts = loaded(
        writer,
        writer.member(0, seed=0, rungs=20, frechet=level(4)),
        writer.member(0, seed=1, rungs=10, frechet=level(2)),
    )
    table = bands(sweep, verdicts, columns=["frechet_distance"])
    by_step = table.set_index("step")
    assert by_step.loc[1000, ["members", "median"]].tolist() == [2, 3]
    assert by_step.loc[1100, ["members", "median"]].tolist() == [1, 4]


def test_numbers_that_are_not_finite_count_as_not_measured(writer):
    def broken(rung):
        return np.inf if rung == 5 else np.nan if rung == 6 else 3.0

    sweep, verdicts = loaded(writer, writer.member(0, frechet=broken))
    steps = set(bands(sweep, verdicts, columns=["frechet_distance"])["step"])
    assert not steps & {500, 600}
    assert {400, 700} <= steps


def test_losses_are_kept_apart_where_asked_and_metrics_keep_their_order(writer):
    sweep, verdicts = loaded(
        writer,
        *[writer.member(t, seed=t, hyperparameters={"loss": n}) for t, n in enumerate("ba")],
    )
    table = bands(sweep, verdicts, columns=("mode_entropy", "frechet_distance"), by="loss")
    assert sorted(table["variant"].unique()) == ["a", "b"]
    assert table["metric"].unique().tolist() == ["mode_entropy", "frechet_distance"]


def test_members_in_training_are_undetermined(writer):
    writer.members(writer.member(0, rungs=3), ended=False)
    sweep = writer.load()
    assert with_verdicts(sweep, said(sweep))["verdict"].unique().tolist() == ["undetermined"]
    assert set(bands(sweep, said(sweep))["verdict"]) == {"undetermined"}


def test_modes_are_held_against_real_data(writer):
    sweep, verdicts = loaded(writer, writer.member(0, shares=lambda r: writer.even(5)))
    table = mode_coverage(sweep, verdicts)
    assert table["step"].min() == 100
    assert table["of_real"].unique() == pytest.approx([0.5])


def test_without_a_control_modes_are_held_against_the_most_that_there_were(writer):
    sweep, verdicts = loaded(
        writer,
        writer.member(0, shares=lambda r: writer.even(4)),
        writer.member(1, seed=1, shares=lambda r: writer.even(8)),
        control=False,
    )
    table = mode_coverage(sweep, verdicts).groupby("trial")["of_real"].last()
    assert table.tolist() == pytest.approx([0.5, 1])


def test_a_class_is_covered_by_its_share_over_that_among_real_data(writer):
    sweep, _ = loaded(writer, writer.member(3, seed=7, shares=lambda r: writer.even(5)))
    table = class_coverage(sweep, 3, 7)
    last = table[table["step"] == 2000]
    assert last["mode"].tolist() == [str(i) for i in range(10)]
    assert last["of_real"].tolist() == pytest.approx([2.0] * 5 + [0.0] * 5)
    assert last["share"].sum() == pytest.approx(1)


def test_what_is_not_known_of_real_data_is_null_and_an_unknown_member_has_no_rows(writer):
    sweep, _ = loaded(writer, writer.member(0), control=False)
    assert class_coverage(sweep, 0, 0)["of_real"].isna().all()
    assert class_coverage(sweep, 9, 9).empty


def test_an_empty_sweep_has_empty_tables_with_all_columns(writer):
    sweep = writer.load()
    verdicts = said(sweep)
    assert list(bands(sweep, verdicts)) == [
        "metric", "variant", "verdict", "step", "members", "median", "low", "high",
    ]  # fmt: skip
    assert bands(sweep, verdicts).empty
    assert list(mode_coverage(sweep, verdicts))[-2:] == ["modes", "of_real"]
