"""MLflow's own client finds in a store what the sweep has."""

import pytest

from analysis.trackers.to_mlflow import MLflowTracker
from analysis.trackers.tracker import track

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """A store of files: a database takes half a minute to be made."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlruns").as_uri()


@pytest.fixture
def client(uri):
    return mlflow.MlflowClient(uri)


def runs(client):
    experiment = client.get_experiment_by_name("digits")
    return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)


def test_a_sweep_is_an_experiment_and_a_trial_a_run(sweep, uri, client):
    track(sweep, MLflowTracker(uri))
    found = runs(client)
    assert [run.info.run_name for run in found] == ["trial-00000", "trial-00001", "trial-00002"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert [run.data.params["lr_g"] for run in found] == ["1.0", "0.1", "0.01"]
    assert found[0].data.tags["verdict.seed1"]
    assert found[0].data.metrics["objective"] == 1.0


def test_curves_and_pictures_are_there(sweep, uri, client):
    track(sweep, MLflowTracker(uri))
    number = runs(client)[1].info.run_id
    rows = sweep.history[sweep.history["trial"] == 1]
    points = client.get_metric_history(number, "frechet_distance/seed1")
    assert [p.step for p in points] == list(rows["step"])
    assert [p.value for p in points] == pytest.approx(list(rows["frechet_distance"]))
    (picture,) = client.list_artifacts(number, "samples")
    assert picture.path == "samples/samples-seed1-400.png"


def test_doing_it_again_adds_nothing_and_ends_what_was_begun(sweep, uri, client):
    tracker = MLflowTracker(uri)
    assert track(sweep, tracker) == 3
    assert track(sweep, tracker) == 0
    killed = runs(client)[2].info.run_id
    client.set_tag(killed, "half", "written")
    client.update_run(killed, status="RUNNING")
    assert track(sweep, tracker) == 1
    assert [run.info.status for run in runs(client)] == ["FINISHED"] * 3
    assert not any("half" in run.data.tags for run in runs(client))
