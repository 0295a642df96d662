import os

import pytest

import sweeps.parcel
from sweeps.mistakes import SweepFailure
from sweeps.parcel import main, pack, unpack


@pytest.fixture
def sweep(tmp_path):
    directory = tmp_path / "sweep"
    for name, content in {
        "sweep.toml": b"x = 1",
        "trials/a.parquet": os.urandom(100_000),
        "trials/.a.parquet.1.tmp": b"half",
        "logs/raylet.out": b"log",
        "members/0.safetensors": b"member",
        ".lock": b"1",
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def test_what_was_packed_arrives_bit_for_bit_amid_other_output(sweep, tmp_path):
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    unpack(f"Running entrypoint\n{pack(sweep)}bye\n", arrived)
    files = {str(p.relative_to(arrived)) for p in arrived.rglob("*") if p.is_file()}
    assert files == {"sweep.toml", "trials/a.parquet"}
    for name in files:
        assert (arrived / name).read_bytes() == (sweep / name).read_bytes()


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: ""])
def test_what_arrives_in_part_is_refused(sweep, tmp_path, damage):
    with pytest.raises(SweepFailure, match="did not arrive whole"):
        unpack(damage(pack(sweep)), tmp_path)


def test_what_arrives_changed_is_refused(sweep, tmp_path):
    head, body = pack(sweep).split("\n", 1)
    changed = ("B" if body[0] != "B" else "C") + body[1:]
    with pytest.raises(SweepFailure, match="damaged"):
        unpack(f"{head}\n{changed}", tmp_path)


def test_too_much_is_refused_before_it_is_packed(sweep, monkeypatch):
    monkeypatch.setattr(sweeps.parcel, "LARGEST_BYTES", 1000)
    with pytest.raises(SweepFailure, match="too much to fetch"):
        pack(sweep)


def test_the_command_prints_a_parcel_or_says_what_is_missing(sweep, tmp_path, capsys):
    assert main([str(sweep)]) == 0
    assert capsys.readouterr().out.startswith("PARCEL ")
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "there is no such directory" in capsys.readouterr().err
