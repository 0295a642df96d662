"""Stock Ray Tune: a function trainable of the ordinary loop, OptunaSearch and ASHAScheduler.

As Tune's documentation has it, and where it leaves a choice, what costs least: no dashboard, no
table on the terminal, no checkpoints, data and evaluator made once for each process.
`python -m benchmarks.contenders.stock SEARCH.json OUT.json` makes one search on a Ray of its own.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.searching import OBJECTIVE, SPACE, OneOf, Search

__all__ = ["command", "search_with_tune", "train_gan"]

_FACTOR = 2
"""Of ASHA: half goes on at its rungs, which begin at an eighth of the steps and double. So does the
pruner of the other side, but for a fourth rung."""


def command(search: Search, folder: Path) -> list[str]:
    """The search as a program; it leaves `reports.json` in the folder."""
    asked = folder / "search.json"
    asked.write_text(json.dumps(search.as_json()))
    here = [sys.executable, "-m", "benchmarks.contenders.stock"]
    return [*here, str(asked), str(folder / "reports.json")]


def train_gan(config: dict[str, Any], search: Search) -> None:
    """The trainable: one GAN, judged and reported at every rung."""
    from ray import tune

    begun = time.time()
    import torch

    from benchmarks.contenders.solo import Solo

    if search.device == "cpu":
        torch.set_num_threads(1)
    dataset, evaluator = _data(json.dumps(search.as_json()))
    gan = Solo(search.case, dataset, **config)
    for step in range(search.eval_every, search.steps + 1, search.eval_every):
        gan.train(search.eval_every)
        value = evaluator(gan.generate(evaluator.eval_images)[None]).values[OBJECTIVE].item()
        tune.report({OBJECTIVE: value, "step": step, "at": time.time(), "begun": begun})


@functools.cache
def _data(asked: str) -> tuple[Any, Any]:
    """Dataset and evaluator, kept by a process that serves several trials."""
    from benchmarks.cases import load_data
    from gan_core.metrics.evaluate import Evaluator

    search = Search.from_json(json.loads(asked))
    dataset = load_data(search.case, root=search.root, device=search.device)
    return dataset, Evaluator(dataset, search.eval_images)


def search_with_tune(search: Search, storage: Path) -> list[dict[str, float]]:
    """Makes the search; Ray must be running.

    Returns:
        Every report of every trial: `at` and `begun` in seconds since the epoch, `step`, `value`.
    """
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search.optuna import OptunaSearch

    rungs = search.steps // search.eval_every
    grace = max(1, round(rungs / 8))
    asha = ASHAScheduler(max_t=rungs, grace_period=grace, reduction_factor=_FACTOR)
    claim = {"cpu": 1.0}
    if search.device == "cuda":
        claim = {"cpu": 1.0, "gpu": 1 / search.trials_per_gpu}
    trainable = tune.with_parameters(train_gan, search=search)
    tuner = tune.Tuner(
        tune.with_resources(trainable, claim),
        param_space={name: _domain(domain) for name, domain in SPACE.items()},
        tune_config=tune.TuneConfig(
            metric=OBJECTIVE,
            mode="min",
            num_samples=search.trials,
            search_alg=OptunaSearch(seed=search.seed),
            scheduler=asha if search.prunes else FIFOScheduler(),
            reuse_actors=search.reuse_actors,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(storage), verbose=0),
    )
    results = tuner.fit()
    if results.num_errors:
        raise results.errors[0]
    frames = [result.metrics_dataframe for result in results]
    return [
        {"at": row["at"], "begun": row["begun"], "step": row["step"], "value": row[OBJECTIVE]}
        for frame in frames
        if frame is not None
        for row in frame.to_dict("records")
    ]


def _domain(domain: Any) -> Any:
    from ray import tune

    if isinstance(domain, OneOf):
        return tune.choice(list(domain.choices))
    draw = tune.loguniform if domain.log else tune.uniform
    return draw(domain.low, domain.high)


def main(asked: Path, out: Path) -> None:
    """Makes the search on a Ray that nobody else uses."""
    # Otherwise Ray writes a token to the user's home, which changes how their other Rays start.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    search = Search.from_json(json.loads(asked.read_text()))
    # The paths of Ray's sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as session:
        ray.init(
            address="local",
            num_cpus=search.workers,
            include_dashboard=False,
            _temp_dir=session,
        )
        try:
            out.write_text(json.dumps(search_with_tune(search, out.parent / "storage")))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    # Workers import this module by its name; what belongs to __main__ would be sent to them whole.
    from benchmarks.contenders import stock

    stock.main(Path(sys.argv[1]), Path(sys.argv[2]))
