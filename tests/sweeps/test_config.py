"""What a config may hold, and what is refused, where and why."""

from __future__ import annotations

import tomllib

import pytest

from gan_core.config import ConfigError
from sweeps.config import SweepConfig, parse_config
from sweeps.config_file import PRESETS, load_config, preset_text, to_toml
from sweeps.mistakes import SweepConfigError, line_of
from sweeps.objective import DIRECTIONS
from sweeps.overrides import parse_override

LR = {"lr_g": {"low": 1e-5, "high": 1e-2, "log": True}}


def refusal(**changes):
    with pytest.raises(ConfigError) as caught:
        parse_config({"space": LR} | changes)
    return str(caught.value)


def refusal_of_set(*overrides):
    with pytest.raises(SweepConfigError) as caught:
        load_config(None, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_shortest_config_is_one_range():
    config = parse_config({"space": LR})
    assert config.train.steps % config.train.eval_every == 0
    assert list(config.searched) == ["lr_g"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_read_and_written_back_equal(preset, tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(preset_text(preset))
    config = load_config(path, check_files=False)
    path.write_text(to_toml(config, comment="gansweep 1.2.3\ntorch 2.15"))
    assert load_config(path, check_files=False) == config
    assert path.read_text().startswith("# gansweep 1.2.3\n# torch 2.15\n")


def test_every_key_is_in_the_preset_that_teaches():
    keys = tomllib.loads(preset_text("digits").replace("# name =", "name ="))
    for section, field in SweepConfig.model_fields.items():
        assert section in keys
        inner = getattr(field.annotation, "model_fields", {})
        elsewhere = {"root", "download", "image_size", "baseline", "confirms"}
        unexplained = set(inner) - set(keys[section]) - elsewhere
        assert not unexplained
    assert "[[search.baseline]]" in preset_text("digits")
    assert {"root", "download"} <= set(tomllib.loads(preset_text("mnist"))["data"])


def test_unset_values_are_left_out_of_the_toml():
    document = tomllib.loads(to_toml(parse_config({"space": LR})))
    assert "name" not in document
    assert "root" not in document["data"]


def test_odd_values_survive_being_written():
    given = {
        "space": {"latent_dim": {"low": 8, "high": 64, "step": 8}, "beta1": 0, "lr_d": 1e-300},
        "search": {"baseline": [{"latent_dim": 16}, {"latent_dim": 64, "beta1": 0}]},
        "data": {"root": 'a "quoted"\\dir\nwith a line'},
        "resources": {"workers": 3, "slots": 8},
    }
    config = parse_config(given)
    assert parse_config(tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"step": 5}}, 'train.step = 5: there is no such key; did you mean "steps"?'),
        ({"sapce": 1}, 'sapce = 1: there is no such key; did you mean "space"?'),
        ({"steps": 5}, "steps = 5: there is no such key here: it belongs under [train]"),
        ({"lr_d": 5}, "lr_d = 5: there is no such key here: it belongs under [space]"),
        ({"train": 5}, "train = 5: must be a table"),
        ({"train": {"steps": 0}}, "train.steps = 0: must be >= 1"),
        ({"train": {"steps": 10.0}}, "train.steps = 10.0: must be a whole number"),
        ({"train": {"steps": True}}, "train.steps = true: must be a whole number"),
        ({"train": {"steps": "10"}}, 'train.steps = "10": must be a whole number'),
        (
            {"train": {"steps": 250, "eval_every": 100}},
            "train.steps = 250: must be a multiple of train.eval_every = 100, like 200 or 300",
        ),
        (
            {"train": {"steps": 50, "eval_every": 100}},
            "train.steps = 50: must be a multiple of train.eval_every = 100, like 100",
        ),
        ({"train": {"precision": "half"}}, "must be one of 'float32', 'float64' or 'bfloat16'"),
        ({"train": {"eval_images": 1}}, "train.eval_images = 1: must be >= 2"),
        ({"model": {"generator_widths": 5}}, "model.generator_widths = 5: must be a list"),
        ({"model": {"generator_widths": [8, 0]}}, "model.generator_widths.1 = 0: must be >= 1"),
        ({"model": {"architecture": "mpl"}}, 'model.architecture = "mpl": must be "mlp", "mlp_bn"'),
        ({"model": {"noise": "cauchy"}}, "must be one of 'normal' or 'uniform'"),
        ({"data": {"dataset": "mnits"}}, "data.dataset = \"mnits\": must be one of 'digits'"),
        ({"data": {"download": 1}}, "data.download = 1: must be true or false"),
        ({"name": "Digits"}, 'name = "Digits": must be 1 to 100 of a-z'),
        ({"name": 5}, "name = 5: must be text in quotes"),
        ({"storage": ""}, 'storage = "": must be a directory'),
        (
            {"storage": "s3://k:s@b/../p"},
            'storage = "s3://b/../p": must be a URI like s3://bucket/pre',
        ),
        ({"search": {"trials": 0}}, "search.trials = 0: must be >= 1"),
        ({"search": {"sampler": "grid"}}, "must be one of 'tpe' or 'random'"),
        ({"search": {"pruner": "asha"}}, "'rungs', 'median', 'successive_halving' or 'hyperband'"),
        ({"search": {"pruner_keep": 0}}, "search.pruner_keep = 0: must be > 0"),
        ({"search": {"pruner_keep": 1.5}}, "search.pruner_keep = 1.5: must be <= 1"),
        ({"search": {"pruner_keep": float("nan")}}, "must be a finite number"),
        ({"search": {"allowed_diverged_share": -0.1}}, "must be >= 0"),
        ({"search": {"seed": 2**32}}, "must be < 4294967296"),
        ({"search": {"objective": "fid"}}, 'search.objective = "fid": must be one of'),
        ({"search": {"max_in_flight": 0}}, 'must be "auto" or a whole number >= 1'),
        ({"resources": {"workers": "all"}}, 'must be "auto" or a whole number >= 1'),
        ({"resources": {"workers": True}}, 'must be "auto" or a whole number >= 1'),
        ({"resources": {"device": "gpu"}}, "must be one of 'auto', 'cpu' or 'cuda'"),
        ({"resources": {"slots": 1}, "train": {"seeds": 2}}, "must be >= train.seeds = 2"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_right(changes, message):
    assert message in refusal(**changes)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space = {}: must search at least one hyperparameter"),
        ({"lr_g": 1e-4}, 'space = {"lr_g": 0.0001}: must search at least one hyperparameter'),
        (5, "space = 5: must be a table"),
        ({"lr": 1e-4}, "space.lr = 0.0001: there is no such hyperparameter; did you mean"),
        ({"seed": 1}, "space.seed = 1: there is no such hyperparameter"),
        ({"lr_g": -1e-4}, "space.lr_g = -0.0001: must be > 0"),
        ({"lr_g": float("nan")}, "space.lr_g = nan: must be > 0"),
        ({"lr_g": float("inf")}, "space.lr_g = inf: must be > 0"),
        ({"lr_g": "fast"}, 'space.lr_g = "fast": must be a number'),
        ({"lr_g": True}, "space.lr_g = true: must be a number"),
        ({"lr_g": {"low": -1, "high": 1}}, "space.lr_g.low = -1: must be > 0"),
        ({"beta1": {"low": 0, "high": 1}}, "space.beta1.high = 1: must be >= 0 and < 1"),
        ({"lr_g": {"low": 1e-2, "high": 1e-5}}, "space.lr_g.low = 0.01: must be < high = 1e-05"),
        ({"lr_g": {"low": 1e-3, "high": 1e-3}}, "space.lr_g.low = 0.001: must be < high = 0.001"),
        ({"beta1": {"low": 0, "high": 0.5, "log": True}}, "must be > 0 where log = true"),
        ({"lr_g": {"low": 1e-5, "high": 1, "log": 1}}, "space.lr_g.log = 1: must be true or"),
        ({"lr_g": {"low": 1e-5, "hihg": 1}}, "space.lr_g.hihg = 1: there is no such key here; did"),
        ({"lr_g": {"low": 1e-5}}, "must have low and high, or choices, or be a number"),
        ({"lr_g": {"low": 1, "high": 2, "choices": [1]}}, "known: choices"),
        ({"lr_g": {"low": 1, "high": 3, "step": 1}}, "lr_g is no whole number: leave step out"),
        ({"d_steps": {"low": 1, "high": 5, "step": 3}}, "must be a whole number that divides 4"),
        ({"d_steps": {"low": 1, "high": 5, "step": 0}}, "must be a whole number that divides 4"),
        ({"d_steps": {"low": 1, "high": 5, "step": 2, "log": True}}, "cannot go with log = true"),
        ({"latent_dim": {"low": 1.5, "high": 5}}, "space.latent_dim.low = 1.5: must be a whole"),
        ({"latent_dim": {"choices": []}}, "must be a list with at least one value"),
        ({"latent_dim": {"choices": 8}}, "must be a list with at least one value"),
        ({"latent_dim": {"choices": [8, 16, 8]}}, "space.latent_dim.choices = 8: must stand in"),
        ({"latent_dim": {"choices": [8, 0]}}, "space.latent_dim.choices = 0: must be >= 1"),
        (
            {"loss": {"choices": ["hing"]}},
            'space.loss.choices = "hing": there is no such loss; did',
        ),
        ({"loss": "wgan_gp"}, 'did you mean "wgan-gp"?'),
        ({"loss": ["hinge"]}, "there is no such loss"),
        ({"loss": {"low": 1, "high": 2}}, "must be a name or { choices"),
        ({**LR, "loss": "hinge", "label_smoothing": 0.1}, "hinge has none, only minimax, nonsat"),
        ({**LR, "clip_value": 0.1}, "space.clip_value = 0.1: nonsaturating has none, only wgan"),
        ({**LR, "loss": {"choices": ["lsgan", "hinge"]}, "gp_weight": 1}, "lsgan, hinge have none"),
    ],
)
def test_a_wrong_space_is_refused_with_what_is_right(space, message):
    assert message in refusal(space=space)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"lr_g": 1.0}, "search.baseline.0.lr_g = 1.0: must lie in space.lr_g = {"),
        ({"lr_g": -1.0}, "search.baseline.0.lr_g = -1.0: must be > 0"),
        ({"lr": 1e-3}, 'search.baseline.0.lr = 0.001: is not in the space; did you mean "lr_g"?'),
        ({"latent_dim": 12}, "must lie in space.latent_dim"),
        ({"beta1": 0.9}, "search.baseline.0.beta1 = 0.9: must lie in space.beta1 = 0.5"),
        ({"loss": "wgan"}, "must lie in space.loss"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing = 0.1: hinge has none"),
    ],
)
def test_a_baseline_must_lie_in_the_space(point, message):
    space = LR | {
        "latent_dim": {"low": 8, "high": 64, "step": 8},
        "beta1": 0.5,
        "loss": {"choices": ["hinge", "minimax"]},
        "label_smoothing": {"low": 0, "high": 0.3},
    }
    assert message in refusal(space=space, search={"baseline": [point]})


def test_the_tutorial_recipe_is_the_baseline_where_it_lies_in_the_space():
    assert load_config(None).search.baseline[0]["lr_g"] == 2e-4
    assert load_config(None).settings().baselines[0].keys() == load_config(None).searched.keys()
    assert load_config(None, ["space.lr_g={low=1e-3, high=1}"]).search.baseline == ()
    assert load_config(None, ["search.baseline=[]"]).search.baseline == ()


def test_the_study_hears_of_searched_hyperparameters_only():
    config = load_config(None, ["space.lr_g=2e-4", "search.baseline=[{lr_g=2e-4, lr_d=1e-3}]"])
    assert config.settings().baselines == ({"lr_d": 1e-3},)
    assert config.settings(max_in_flight=7).in_flight == 7


@pytest.mark.parametrize("objective", DIRECTIONS)
def test_every_metric_with_a_direction_can_be_the_objective(objective):
    changes = [f"search.objective={objective}", "data.dataset=ring8", "model.conditional=true"]
    assert load_config(None, changes).search.objective == objective


def test_a_metric_that_the_dataset_cannot_tell_is_refused_as_objective():
    with pytest.raises(
        ConfigError, match=r"hq_share.*cannot be told of unconditional GANs on digits"
    ):
        load_config(None, ["search.objective=hq_share"])


def test_whole_numbers_stay_whole_and_others_become_floats():
    space = parse_config({"space": {"lr_g": {"choices": [1, 2]}, "latent_dim": 8}}).space
    assert [type(v) for v in space["lr_g"].choices] == [float, float]
    assert type(space["latent_dim"]) is int


def test_a_config_cannot_be_changed():
    config = parse_config({"space": LR})
    with pytest.raises(ValueError, match="frozen"):
        config.train.steps = 5


def test_the_data_root_does_not_depend_on_the_directory_of_a_worker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_config({"space": LR, "data": {"root": "d"}}).data.root == str(tmp_path / "d")


# --- overrides


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=5", 5),
        ("a.b = 0.5", 0.5),
        ("a.b=true", True),
        ("a.b=wgan-gp", "wgan-gp"),
        ('a.b="5"', "5"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b={low=1, high=2}", {"low": 1, "high": 2}),
        ("a.b=x=y", "x=y"),
        ("a.b=1\nc = 2", "1\nc = 2"),
    ],
)
def test_the_value_of_an_override_is_toml_or_text(text, value):
    assert parse_override(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["", "=5", "train", "train.=5", ".steps=5", "a..b=5"])
def test_an_override_without_a_key_is_refused(text):
    assert "must be KEY=VALUE, like train.steps=4000" in refusal_of_set(text)


def test_later_overrides_win_and_options_win_over_them():
    config = load_config(
        None, ["search.trials=5", "search.trials=6", "name=a"], options={"name": "b"}
    )
    assert config.search.trials == 6
    assert config.name == "b"


def test_an_empty_override_removes_the_key():
    config = load_config(None, ["space.loss=hinge", "space.label_smoothing="])
    assert "label_smoothing" not in config.space


def test_a_range_can_be_changed_at_one_end():
    assert load_config(None, ["space.lr_g.low=1e-4"]).space["lr_g"].low == 1e-4


def test_the_place_of_an_override_is_the_command_line():
    assert refusal_of_set("train.steps=0") == "--set: train.steps = 0: must be >= 1"
    with pytest.raises(SweepConfigError, match=r"^--trials: search.trials = 0"):
        load_config(None, options={"search.trials": 0})


def test_nothing_can_be_set_under_a_value():
    assert '"steps" is no table' in refusal_of_set("train.steps.x=5")


def test_a_long_value_is_shown_shortened():
    assert len(refusal_of_set("model.noise=" + "x" * 5000)) < 400


# --- files


def test_the_place_of_a_mistake_is_its_line(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(
        "[train]\nsteps = 200\n\n[space]\nlr_d = 1e-4\nlr_g = { low = 1, high = 0.1 }\n"
    )
    with pytest.raises(SweepConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}:6: space.lr_g.low = 1.0: must be < high = 0.1"


def test_lines_are_found_in_every_way_of_writing_toml():
    text = """
name = "x"
train.steps = 5
[space] # comment
"lr_g" = 1
[space.lr_d]
low = 1
[[search.baseline]]
lr_g = 1
[[search.baseline]]
lr_g = 2
"""
    lines = text.splitlines()
    for key, line in {
        "name": 'name = "x"',
        "train.steps": "train.steps = 5",
        "train": None,
        "space": "[space] # comment",
        "space.lr_g.low": '"lr_g" = 1',
        "space.lr_d.low": "low = 1",
        "space.lr_d.high": "[space.lr_d]",
        "search.baseline.1.lr_g": "lr_g = 2",
        "data.root": None,
    }.items():
        found = line_of(text, key)
        assert (None if found is None else lines[found - 1]) == line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[train\nsteps = 5", "is no TOML: "),
        (b"steps = = 5", "(at line 1, column 9)"),
        (b"\xff\xfe\x00", "must be a TOML file, in UTF-8"),
        (b"a = " + b"[" * 10_000, "is no TOML: "),
        (b"a = 1\na = 2", "is no TOML: "),
        (b"", "space = (not given): must be given"),
    ],
)
def test_a_file_that_is_no_config_is_refused(content, message, tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_bytes(content)
    with pytest.raises(SweepConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    with pytest.raises(SweepConfigError, match="there is no such file; `gansweep init` writes one"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(SweepConfigError, match="must be a TOML file, not a directory"):
        load_config(tmp_path)


def test_a_storage_that_is_or_lies_in_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert f"must be a directory: {file} is a file" in refusal_of_set(f"storage={file}")
    assert f"must be a directory: {file} is a file" in refusal_of_set(f"storage={file}/runs")
    assert "must be a directory: File name too long" in refusal_of_set("storage=" + "x" * 300)


def test_a_missing_data_root_is_refused(tmp_path):
    message = refusal_of_set("data.dataset=mnist", f"data.root={tmp_path}/none")
    assert message.startswith(f'--set: data.root = "{tmp_path}/none": must hold')
    assert "data.root = (not given)" in refusal_of_set("data.dataset=mnist")


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="must be one of digits, mnist"):
        preset_text("../digits")


@pytest.mark.parametrize(
    "space",
    [
        {"loss": {"choices": ["hinge", "wgan-gp"]}, "d_norm": "batch"},
        {"loss": "hinge", "penalty": "r1", "d_norm": {"choices": ["none", "batch"]}},
    ],
)
def test_batch_normalisation_of_d_is_not_searched_with_penalties_on_single_samples(space):
    with pytest.raises(ConfigError, match=r'space\.d_norm = "batch": mixes the samples'):
        parse_config({"space": LR | space})


def test_batch_normalisation_of_d_is_searched_with_all_else():
    losses = {"choices": ["hinge", "wgan"]}
    parse_config({"space": LR | {"loss": losses, "d_norm": {"choices": ["none", "batch"]}}})


def fixed(**changes):
    return parse_config({"space": LR} | changes).fixed()


def test_everything_that_is_learnt_and_how_is_fixed_from_a_sweeps_begin_to_its_end():
    values = fixed()
    for section in ("data", "model", "train"):
        names = set(SweepConfig.model_fields[section].annotation.model_fields)
        free = {"root", "download", "keep_weights", "checkpoint_every_s"}
        assert {f"{section}.{name}" for name in names - free} <= set(values)
    assert values["space.lr_g"] == {"low": 1e-5, "high": 1e-2, "log": True}
    assert not any(key.startswith(("search", "resources")) for key in values)


@pytest.mark.parametrize(("given", "seconds"), [(60, 60.0), (0, 0.0), (0.5, 0.5), ("never", None)])
def test_members_are_kept_every_so_many_seconds_or_never(given, seconds):
    config = parse_config({"space": LR, "train": {"checkpoint_every_s": given}})
    assert config.train.checkpoint_seconds == seconds


@pytest.mark.parametrize("given", [-1, float("inf"), True, "often"])
def test_other_times_are_refused(given):
    with pytest.raises(SweepConfigError, match='must be "never" or seconds >= 0'):
        parse_config({"space": LR, "train": {"checkpoint_every_s": given}})


def test_files_may_be_moved_unless_they_are_what_is_learnt(tmp_path):
    moved = {"dataset": "mnist", "root": str(tmp_path)}
    assert fixed(data=moved) == fixed(data={"dataset": "mnist"})
    own = fixed(data={"dataset": "npz", "root": str(tmp_path)})
    assert own["data.root"] == str(tmp_path)
