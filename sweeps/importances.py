"""How much each searched hyperparameter decides, by Optuna, kept for those who have no Optuna."""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime

import optuna
from optuna.trial import TrialState

from sweeps.continuation import load_study
from sweeps.store import Store, TableName
from sweeps.study_place import Place

__all__ = ["EVALUATOR", "LEAST_TRIALS", "importances", "write_importances"]

EVALUATOR = "ped-anova"

LEAST_TRIALS = 10
"""Complete trials below which no importance is told: the best five would be most of them."""

_BEST = 5  # trials among the best that Optuna asks for, to be stable
_BEST_SHARE = 0.1  # Optuna's own

_log = logging.getLogger(__name__)


def importances(study: optuna.Study) -> dict[str, float]:
    """By how much the best trials differ from the others, in each hyperparameter.

    PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), which needs nothing but Optuna and, unlike
    its fANOVA, takes a hyperparameter that only some trials have for what it is (arXiv:2601.20800).
    It asks what it takes to be among the best tenth, or the best five where those are more. Only
    complete trials count, so nothing is said of what makes trials diverge or be pruned.

    Args:
        study: of one objective.

    Returns:
        >= 0, summing to 1, the greatest first; empty with fewer than `LEAST_TRIALS` complete
        trials and where the best do not differ from the others.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < LEAST_TRIALS:
        return {}
    # Its first import brings scikit-learn, which takes a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(_BEST_SHARE, _BEST / len(complete)))
    with warnings.catch_warnings():
        # That `normalize` is experimental, and that few trials have some hyperparameter. With it,
        # Optuna would call all equal where nothing can be told of any.
        warnings.simplefilter("ignore")
        found = get_param_importances(study, evaluator=evaluator, normalize=False)
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return {name: value / total for name, value in ordered} if total > 0 else {}


def write_importances(place: Place, store: Store) -> None:
    """Puts them into the sweep's table `importances`, in place of those of its last run.

    A sweep is not to fail for a number about it, so whatever goes wrong is only logged.

    Args:
        place: of the study of a sweep that nobody runs.
        store: of the sweep.
    """
    try:
        study = load_study(place)
        rows = _rows(study, store.name) if study else []
        store.write(TableName.IMPORTANCES, rows, "importances")
    except Exception as error:
        _log.warning("the importances of hyperparameters were not written: %s", error)


def _rows(study: optuna.Study, sweep: str) -> list[dict[str, object]]:
    trials = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    now = datetime.now(UTC)
    return [
        {
            "sweep": sweep,
            "target": "objective",
            "hyperparameter": name,
            "importance": value,
            "evaluator": EVALUATOR,
            "trials": trials,
            "written_at": now,
        }
        for name, value in importances(study).items()
    ]
