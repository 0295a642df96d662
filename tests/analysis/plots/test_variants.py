import pandas as pd

from analysis.plots.theme import is_empty
from analysis.plots.variants import plot_by_variant, plot_improvement, plot_progress, plot_tally


def order(chart, channel="y"):
    made = chart.to_dict()
    encoding = (made.get("layer") or [made])[0]["encoding"]
    return encoding[channel]["sort"]


def test_variants_stand_in_order_of_failure_and_unjudged_ones_are_left_out(by_variant):
    assert order(plot_by_variant(by_variant)) == ["wgan", "lsgan"]
    assert is_empty(plot_by_variant(by_variant[by_variant["judged"] == 0]))


def test_the_best_variant_is_on_top_whichever_way_is_better(by_variant):
    least = plot_by_variant(by_variant, "iqm", objective="frechet_distance")
    most = plot_by_variant(by_variant, "iqm", objective="mode_entropy")
    assert order(least) == ["wgan", "hinge", "lsgan"]
    assert order(most) == ["lsgan", "hinge", "wgan"]


def test_intervals_are_drawn_as_they_are(by_variant, rows_of):
    rows = {row["variant"]: row for row in rows_of(plot_by_variant(by_variant))}
    assert (rows["wgan"]["low"], rows["wgan"]["mean"], rows["wgan"]["high"]) == (0.07, 0.25, 0.59)


def test_a_comparison_is_sure_only_where_its_interval_leaves_a_half_out(rows_of):
    pairs = pd.DataFrame(
        {
            "a": ["x", "y"],
            "b": ["y", "x"],
            "probability": [0.8, 0.2],
            "low": [0.4, 0.1],
            "high": [0.9, 0.3],
        }
    )
    rows = {row["a"]: row["sure"] for row in rows_of(plot_improvement(pairs))}
    assert rows == {"x": False, "y": True}
    assert order(plot_improvement(pairs)) == ["x", "y"]
    assert is_empty(plot_improvement(pairs[:0]))


def test_verdicts_stack_from_sound_to_unknown_and_the_soundest_variant_is_first(rows_of):
    counts = pd.DataFrame(
        {
            "variant": ["hinge", "wgan", "wgan"],
            "verdict": ["mode_collapse", "healthy", "undetermined"],
            "members": [2, 1, 1],
            "share": [1.0, 0.5, 0.5],
        }
    )
    chart = plot_tally(counts)
    assert order(chart) == ["wgan", "hinge"]
    places = {row["verdict"]: row["order"] for row in rows_of(chart)}
    assert places["healthy"] < places["mode collapse"] < places["undetermined"]
    assert is_empty(plot_tally(counts[:0]))


def progress(variants):
    return pd.DataFrame(
        [(v, u, 90.0 / u, 80.0 / u, 99.0 / u) for v in variants for u in (1, 2)],
        columns=["variant", "seconds", "best", "low", "high"],
    )


def test_progress_is_drawn_against_what_is_asked_for():
    one = plot_progress(progress(["wgan"]), "seconds").to_dict()
    assert one["layer"][0]["encoding"]["x"]["field"] == "seconds"
    assert one["layer"][0]["encoding"]["x"]["title"].endswith("(s)")
    assert plot_progress(progress(["a", "b"]), "seconds").to_dict()["facet"]["field"] == "variant"
    assert is_empty(plot_progress(progress([])))
