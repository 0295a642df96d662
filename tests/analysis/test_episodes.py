import pandas as pd
import pytest

from analysis.episodes import episodes


def of(*members):
    """Rungs of members, each a string: x bad, . good, ? not known; step 10 apart from 0."""
    rows = [
        {"trial": 0, "seed": seed, "step": 10 * i, "bad": {"x": True, ".": False, "?": None}[c]}
        for seed, text in enumerate(members)
        for i, c in enumerate(text)
    ]
    frame = pd.DataFrame(rows)
    bad = frame.pop("bad").astype("boolean")
    return episodes(frame, bad, evaluations=3)


def found(text):
    rows = of(text)
    return tuple(rows.iloc[0]) if len(rows) else None


@pytest.mark.parametrize(
    ("text", "onset", "recovered"),
    [
        ("xxxxxx", 0, False),
        ("x....xxxxx", 50, False),
        ("x...xxx...", 40, True),
        ("x...xxx..", 40, False),
        ("x...xx....", 0, False),
        ("x.......xx", 80, False),
        ("x...xx.xx....", 40, True),
        ("x...xx..xxx", 40, False),
        ("x...xxx...xxx...", 100, True),
        ("xx........", 0, False),
        ("x.x.......", 0, False),
        ("x??...x??x?x...", 60, True),
        ("?..xxxx", 30, False),
        ("???xxxx", 0, False),
    ],
)
def test_the_last_episode_is_found_with_its_onset_and_recovery(text, onset, recovered):
    assert found(text) == (onset, recovered)


@pytest.mark.parametrize("text", ["......", "??????", "...x..."])
def test_where_nothing_lasting_was_bad_there_is_no_episode(text):
    assert found(text) is None


def test_members_do_not_run_into_each_other():
    rows = of("...xxx", "xxx...", "......")
    assert rows["onset_step"].to_dict() == {(0, 0): 30, (0, 1): 0}
    assert not rows["recovered"].any()


def test_no_rungs_have_no_episodes():
    empty = pd.DataFrame({"trial": [], "seed": [], "step": []}, dtype="int64")
    assert episodes(empty, pd.Series([], dtype="boolean"), evaluations=3).empty
