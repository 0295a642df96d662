import dataclasses

import pytest

from gan_core.config import ConfigError
from sweeps.build import this_build
from sweeps.config_file import load_config
from sweeps.embedded import embedded_ray
from sweeps.mistakes import SweepFailure
from sweeps.nodes import Expected, Node, alive, examine, expect, survey, workers_on
from sweeps.store import Store

CONFIG = load_config(None)


def node(**values):
    return Node(**{"id": "a", "address": "10.0.0.2", "host": "", "cpus": 4, "gpus": 0.0} | values)


def test_a_node_with_the_drivers_code_and_directory_can_take_part(tmp_path):
    with expect(Store(tmp_path)) as expected:
        examine(CONFIG, expected)
    assert list(tmp_path.iterdir()) == []


def test_another_code_is_refused():
    build = dataclasses.replace(this_build(), torch="1.0")
    with pytest.raises(SweepFailure, match=r"torch is .* there and 1\.0 here: every node needs"):
        examine(CONFIG, Expected(build=build))


def test_a_directory_of_the_same_name_that_is_not_the_drivers_is_refused(tmp_path):
    with expect(Store(tmp_path)) as expected:
        mark = tmp_path / ".shared"
        mark.write_text("another driver's")
        with pytest.raises(SweepFailure, match="must be a path that all nodes share"):
            examine(CONFIG, expected)
        mark.unlink()
        with pytest.raises(SweepFailure, match=str(tmp_path)):
            examine(CONFIG, expected)


def test_data_that_a_node_has_not_are_refused(tmp_path):
    changes = ["data.dataset=mnist", f"data.root={tmp_path}"]
    config = load_config(None, changes, options={"train.eval_images": 1000}, check_files=False)
    with expect() as expected, pytest.raises(SweepFailure, match=r"data\.root"):
        examine(config, expected)


def test_a_users_own_networks_must_be_found():
    config = load_config(None, ["model.architecture=nowhere_at_all.nets:make"])
    with expect() as expected, pytest.raises(SweepFailure, match="no module nowhere_at_all"):
        examine(config, expected)


@pytest.mark.parametrize(
    ("cpus", "gpus", "share", "expected"),
    [
        (4, 0, 0, 4),  # a core each
        (16, 2, 1, 2),
        (16, 2, 0.5, 4),
        (16, 2, 0.4, 4),  # two on each: a share is not split over devices
        (16, 1, 1 / 3, 3),
        (2, 4, 1, 2),  # each takes a core too
        (8, 0, 1, 0),
    ],
)
def test_workers_on_a_node_are_bounded_by_cores_and_by_whole_shares_of_devices(
    cpus, gpus, share, expected
):
    assert workers_on(node(cpus=cpus, gpus=gpus), gpu_share=share) == expected


def test_a_node_is_named_by_host_and_address():
    assert node(host="gpu-1").name == "gpu-1 (10.0.0.2)"
    assert node(host="10.0.0.2").name == "10.0.0.2"


@pytest.mark.slow  # begins a Ray
def test_a_node_that_was_lost_while_it_was_asked_is_left_out(tmp_path):
    with embedded_ray(cpus=1, gpus=0, log_dir=tmp_path), expect() as expected:
        (living,) = alive()
        lost = dataclasses.replace(living, id=f"{0xDEAD:056x}", address="10.9.9.9")
        (found,) = survey([living, lost], CONFIG, expected)
        assert found.id == living.id
        assert found.machine.cores >= 1
        with pytest.raises(ConfigError, match=r"10\.9\.9\.9"):
            survey([lost], CONFIG, expected)
