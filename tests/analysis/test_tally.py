import pandas as pd
import pytest

from analysis.tally import tally


@pytest.fixture
def sweep(writer):
    losses = ["hinge", "hinge", "wgan", None]
    writer.members(
        *[writer.member(t, seed=t, hyperparameters={"loss": loss}) for t, loss in enumerate(losses)]
    )
    writer.control()
    return writer.load()


def said(sweep, verdict="healthy"):
    """Verdicts as `judge` gives them, which is not what is tested here."""
    return sweep.trials[["trial", "seed"]].assign(verdict=verdict)


def test_shares_of_a_variant_sum_to_one_and_members_to_all_that_have_one(sweep):
    verdicts = said(sweep, ["healthy", "mode_collapse", "healthy", "healthy"])
    table = tally(sweep, verdicts)
    assert table.groupby("variant")["share"].sum().tolist() == [1, 1]
    assert table["members"].sum() == 3
    assert table.loc[table["variant"] == "hinge", "share"].tolist() == [0.5, 0.5]


def test_without_by_all_members_are_one_variant(sweep):
    table = tally(sweep, said(sweep), by=None)
    assert table["variant"].unique().tolist() == ["all"]
    assert table["members"].sum() == 4


def test_an_empty_sweep_has_an_empty_tally(writer):
    empty = writer.load()
    assert tally(empty, said(empty)).empty
    assert list(tally(empty, said(empty))) == ["variant", "verdict", "members", "share"]
    assert isinstance(tally(empty, said(empty), by=None), pd.DataFrame)
