"""The files that begin clusters: what can be checked of them without a cloud, SSH or Docker."""

import copy
import re
import shlex
import tomllib
import warnings
from pathlib import Path

import pytest
import yaml

from sweeps.config_file import load_config

ROOT = Path(__file__).resolve().parents[1]
LAUNCHERS = ("cluster.yaml", "cluster/local.yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def launcher(name):
    return yaml.safe_load((ROOT / name).read_text())


def schema_errors(config):
    """What Ray itself says to a launcher's file; it fills in defaults before it validates."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            validate_config(prepare_config(copy.deepcopy(config)))
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("name", LAUNCHERS)
def test_rays_own_schema_accepts_the_file(name):
    assert schema_errors(launcher(name)) is None


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("cluster.yaml", "max_workerz", 3),
        ("cluster.yaml", "head_node_type", "nowhere"),
        ("cluster.yaml", "idle_timeout_minutes", "five"),
        ("cluster/local.yaml", "docker", "image"),
    ],
)
def test_the_schema_would_refuse_a_mistake(name, key, value):
    assert schema_errors(launcher(name) | {key: value}) is not None


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_node_asks_for_a_token_and_the_dashboard_listens_on_the_head_alone(name):
    config = launcher(name)
    starts = [
        command
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in config[key]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert list(config["file_mounts"]) == ["~/.ray/auth_token"]


def test_workers_on_aws_are_spot_from_none_and_the_head_is_on_demand():
    types = launcher("cluster.yaml")["available_node_types"]
    assert types["gpu"]["min_workers"] == 0
    assert types["gpu"]["resources"]["GPU"] == 1
    assert types["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert types["head"]["resources"]["CPU"] == 0


def test_all_begin_from_the_one_image_of_this_version():
    images = {launcher(name)["docker"]["image"] for name in LAUNCHERS}
    images |= {
        pod["spec"]["containers"][0]["image"]
        for pod in (
            ray_job()["rayClusterSpec"]["headGroupSpec"]["template"],
            ray_job()["rayClusterSpec"]["workerGroupSpecs"][0]["template"],
        )
    }
    (built,) = re.findall(r"docker build -t (\S+)", (ROOT / "Dockerfile").read_text())
    assert images == {built}
    assert built.endswith(f":{PROJECT['version']}")


def documents():
    return {d["kind"]: d for d in yaml.safe_load_all((ROOT / "cluster/rayjob.yaml").read_text())}


def ray_job():
    return documents()["RayJob"]["spec"]


def test_the_ray_job_runs_a_config_that_gansweep_takes(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(documents()["ConfigMap"]["data"]["sweep.toml"])
    config = load_config(path, check_files=False)
    assert config.name == "digits"
    mounts = ray_job()["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert config.storage in [mount["mountPath"] for mount in mounts["volumeMounts"]]
    workers = ray_job()["rayClusterSpec"]["workerGroupSpecs"][0]
    assert config.resources.workers == workers["maxReplicas"]


def test_the_ray_jobs_command_is_one_of_ours():
    from typer.main import get_command

    from sweeps.cli import app

    program, name, *arguments = shlex.split(ray_job()["entrypoint"])
    assert program == "gansweep"
    command = get_command(app).commands[name]
    context = command.make_context(name, arguments)
    assert context.params["or_resume"]
    assert context.params["address"] == "auto"


def test_the_ray_job_has_a_token_grows_from_none_and_is_tried_again():
    job = ray_job()
    cluster = job["rayClusterSpec"]
    assert job["backoffLimit"] > 0
    assert job["shutdownAfterJobFinishes"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["workerGroupSpecs"][0]["minReplicas"] == 0
    claim = documents()["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        (container,) = group["template"]["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def requirements(extra):
    """Of an extra, and of those of the project that it includes."""
    for requirement in PROJECT["optional-dependencies"][extra]:
        yield requirement
        if included := re.fullmatch(r"gansweep\[(\S+)\]", requirement):
            yield from requirements(included[1])


def test_the_image_copies_what_is_there_and_installs_what_the_project_offers():
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.+)", text, re.M) for name in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {name.rstrip("*") for name in included["packages"]["find"]["include"]}
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    assert packages | needed <= set(copied)
    (extras,) = re.findall(r'pip install --no-cache-dir "\.\[(\S+)\]"', text)
    installed = " ".join(r for e in extras.split(",") for r in requirements(e))
    for name in ("ray[default]", "ray[serve]", "fastapi", "psycopg[binary]"):
        assert name in installed
    # What is optional for setuptools would be left out without a word.
    (system,) = re.findall(r"apt-get install (.+)", text)
    assert {"gcc", "libc6-dev"} <= set(system.split())
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)", text, re.M)
    assert python == PROJECT["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("name", [*LAUNCHERS, "cluster/rayjob.yaml", "Dockerfile"])
def test_what_was_not_run_says_so(name):
    assert re.search(r"NOT (RUN|BUILT) by the project", (ROOT / name).read_text())
