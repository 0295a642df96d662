import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from analysis.load import load
from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.export import MemberConfig, load_member, member_bytes
from sweeps.cli import main
from sweeps.store import Store
from sweeps.take_out import COLUMNS, draw, export
from sweeps.weights import weights_name

TILE = 8 * 8 + 1  # a digit, enlarged, and the gap


@pytest.fixture
def run(small_sweep, tmp_path, monkeypatch, capsys):
    """A command on the sweep in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(command, *arguments, sweep=small_sweep):
        code = main([command, str(sweep), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_export_writes_what_was_kept(run, small_sweep, tmp_path):
    code, out, _ = run("export", "best", "--out", "mine")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("wrote mine: trial 1 at seed 3, complete with ")
    names = {"G.safetensors", "D.safetensors", "config.json", "samples.png"}
    assert {path.name for path in (tmp_path / "mine").iterdir()} == names
    exported, kept = load_member(tmp_path / "mine"), load_member(small_sweep / weights_name(1, 3))
    assert exported[2] == kept[2]
    for one, other in zip(exported[:2], kept[:2], strict=True):
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name])


def test_what_is_exported_is_of_use_without_gansweep(run, tmp_path):
    run("export", "0", "--seed", "1", "--out", "mine")
    program = """
import json, sys, torch
from safetensors.torch import load_file
sys.modules.update(dict.fromkeys(["gan_core", "sweeps", "analysis"]))
weights = load_file("mine/G.safetensors")
dim = json.load(open("mine/config.json"))["gan"]["latent_dim"]
G = torch.nn.Sequential(torch.nn.Linear(dim, 16), torch.nn.LeakyReLU(0.2),
    torch.nn.Linear(16, 64), torch.nn.Tanh())
G.load_state_dict({name.removeprefix("layers."): w for name, w in weights.items()})
torch.save(G(torch.ones(1, dim)), "out.pt")
"""
    isolated = [sys.executable, "-I", "-c", program]
    subprocess.run(isolated, cwd=tmp_path, check=True, timeout=400)
    G, _, config = load_member(tmp_path / "mine")
    expected = G(torch.ones(1, config.gan.latent_dim)).flatten(1)
    assert torch.equal(torch.load(tmp_path / "out.pt"), expected)


def test_without_a_name_it_is_the_members(run, tmp_path):
    run("export", "3", "--seed", "7")
    run("sample", "3", "--seed", "7")
    assert {path.name for path in tmp_path.iterdir()} == {
        "small-trial-3-seed-7",
        "small-trial-3-seed-7.png",
    }


def test_nothing_is_written_over(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    code, out, err = run("export", "best", "--out", "mine")
    assert (code, out) == (2, "")
    assert err == 'gansweep: --out = "mine": is there already: take another path\n'
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def pixels(content):
    """[height, width] of a PNG's bytes."""
    with Image.open(io.BytesIO(content)) as image:
        return torch.tensor(np.asarray(image))


def size(path):
    height, width = pixels(path.read_bytes()).shape
    return width, height


@pytest.mark.parametrize(
    ("options", "columns", "rows"),
    [
        ((), 8, 8),
        (("--n", "20"), 8, 3),
        (("--n", "3"), 3, 1),
        (("--n", "24", "--interpolate"), 8, 3),
    ],
)
def test_a_picture_has_the_samples_that_were_asked_for(run, tmp_path, options, columns, rows):
    assert run("sample", "best", *options, "--out", "grid.png")[0] == 0
    assert size(tmp_path / "grid.png") == (columns * TILE + 1, rows * TILE + 1)


def test_the_grid_is_the_one_that_the_sweep_stored(run, small_sweep, tmp_path):
    run("sample", "best", "--out", "grid.png")
    samples = load(small_sweep).samples
    stored = samples[(samples["trial"] == 1) & (samples["seed"] == 3)].iloc[-1]["png"]
    mine, theirs = pixels((tmp_path / "grid.png").read_bytes()), pixels(stored)
    # A digit is enlarged by 8 here and by 4 there, with a gap of a pixel around each.
    mine, theirs = (
        x[1:, 1:].unfold(0, t, t).unfold(1, t, t) for x, t in ((mine, 65), (theirs, 33))
    )
    mine, theirs = mine[..., 4:-1:8, 4:-1:8], theirs[..., 2:-1:4, 2:-1:4]
    assert mine.shape == (8, 8, 8, 8)
    # One generator and a stack of them round differently.
    assert (mine.int() - theirs.int()).abs().max() <= 1


def test_a_walk_stops_at_the_samples_of_the_grid(run, tmp_path):
    run("sample", "best", "--n", "8", "--out", "grid.png")
    run("sample", "best", "--n", "32", "--interpolate", "--out", "walk.png")

    grid, walk = (pixels((tmp_path / f"{name}.png").read_bytes()) for name in ("grid", "walk"))

    def tile(picture, row, column):
        return picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]

    for row in range(4):
        assert torch.equal(tile(walk, row, 0), tile(grid, 0, row))
        assert torch.equal(tile(walk, row, COLUMNS - 1), tile(grid, 0, row + 1))
    assert not torch.equal(tile(walk, 0, 3), tile(walk, 0, 0))
    assert not torch.equal(tile(walk, 0, 3), tile(walk, 0, 7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "best", "--n", "0"), "--n = 0: must be >= 1"),
        (("sample", "best", "--n", "20", "--interpolate"), "--n = 20: must be a multiple of 8"),
        (("sample", "best", "--out", "grid.jpg"), '--out = "grid.jpg": must end in .png'),
        (
            ("sample", "best", "--out", "no/such.png"),
            "cannot be written: No such file or directory",
        ),
        (("sample", "4"), 'TRIAL = "4": its weights were not kept (pruned at step 10)'),
        (("export", "99"), 'TRIAL = "99": there is no such trial'),
        (("export", "3", "--seed", "1"), "--seed = 1: there is no such seed; trial 3 has"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(run, tmp_path, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["export", "sample"])
def test_damaged_weights_are_one_line(run, own_sweep, command):
    path = own_sweep / weights_name(1, 3)
    path.write_bytes(path.read_bytes()[:-10])
    code, out, err = run(command, "best", "--out", "new.png", sweep=own_sweep)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{path}: is damaged, or no saved GAN: " in err


# --- members that no sweep of digits has


def member(directory, **shared):
    """Fresh weights as a sweep would keep them."""
    shape = shared.pop("sample_shape", (1, 8, 8))
    config = MemberConfig(
        gan=GanConfig(latent_dim=4),
        cohort=CohortConfig(generator_widths=(8,), discriminator_widths=(8,), **shared),
        sample_shape=shape,
        classes=("a", "b", "c"),
    )
    G, D = config.build()
    store = Store(directory / "made")
    store.write_weights(0, 0, member_bytes(G.state_dict(), D.state_dict(), config))
    return store


ROW = {"trial": 0, "seed": 0, "status": "complete", "objective": 1.0, "steps": 1}


def test_a_conditional_member_has_a_row_for_each_class_and_the_same_z_in_each(tmp_path):
    made = member(tmp_path, conditional=True)
    draw(made, ROW, tmp_path / "grid.png", n=13)
    assert size(tmp_path / "grid.png") == (4 * TILE + 1, 3 * TILE + 1)
    draw(made, ROW, tmp_path / "walk.png", n=32, between=True)
    assert size(tmp_path / "walk.png") == (8 * TILE + 1, 4 * TILE + 1)


def test_points_are_exported_and_not_drawn(tmp_path):
    made = member(tmp_path, sample_shape=(2,))
    export(made, ROW, tmp_path / "mine")
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["sample_shape"] == [2]
    assert load_file(tmp_path / "mine" / "G.safetensors")["layers.2.weight"].shape == (2, 8)
    with pytest.raises(ConfigError, match="makes points, not images"):
        draw(made, ROW, tmp_path / "grid.png")
    assert not (tmp_path / "grid.png").exists()
