import pandas as pd

from analysis.plots.importance import plot_importances
from analysis.plots.theme import is_empty


def importances(targets):
    return pd.DataFrame(
        [
            (target, name, share, "forest")
            for target in targets
            for name, share in (("lr_g", 0.3), ("lr_d", 0.7))
        ],
        columns=["target", "hyperparameter", "importance", "method"],
    )


def test_the_most_important_is_on_top_by_its_name():
    made = plot_importances(importances(["objective"])).to_dict()
    order = made["layer"][0]["encoding"]["y"]["sort"]
    assert order == ["Learning rate of D", "Learning rate of G"]


def test_targets_stand_side_by_side_in_a_fixed_order():
    made = plot_importances(importances(["stability", "objective"])).to_dict()
    assert made["facet"]["sort"] == ["For the objective", "For whether training is stable"]
    assert is_empty(plot_importances(importances([])))
