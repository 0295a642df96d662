import io
import json
import tarfile

import pandas as pd
import pyarrow as pa
import pytest

import analysis


@pytest.fixture(scope="session")
def written(seen):
    return analysis.load(seen.storage / "small")


def table(seen, name, kind, **query):
    more = "".join(f"&{key}={value}" for key, value in query.items())
    status, headers, content = seen.ask(
        "GET", f"/api/sweeps/small/tables/{name}?format={kind}{more}"
    )
    assert status == 200, content
    return headers, content


def test_the_list_has_a_sweep_that_was_begun_at_a_shell_and_where_it_stands(seen):
    (sweep,) = seen.get("/api/sweeps")["sweeps"]
    assert sweep == seen.get("/api/sweeps/small")
    assert (sweep["name"], sweep["state"], sweep["begun_by"]) == ("small", "done", "shell")
    assert (sweep["trials"], sweep["ended"], sweep["share"]) == (6, 6, 1.0)
    assert sweep["counts"] == {"complete": 4, "pruned": 2, "diverged": 0, "failed": 0}
    assert sweep["dataset"] == "digits"


def test_the_best_trial_is_that_of_the_leaderboard(seen, written):
    first = analysis.leaderboard(written, 1).iloc[0]
    sweep = seen.get("/api/sweeps/small")
    assert sweep["best_trial"] == first["trial"]
    assert sweep["best_value"] == first["trial_objective"]


@pytest.mark.parametrize("name", ["trials", "history", "control"])
def test_parquet_and_arrow_are_what_analysis_reads_bit_for_bit(seen, written, name):
    expected = getattr(written, name)
    _, parquet = table(seen, name, "parquet")
    arrow = pa.ipc.open_stream(table(seen, name, "arrow")[1]).read_all()
    read = pd.read_parquet(io.BytesIO(parquet))
    for frame in (read, arrow.to_pandas()):
        pd.testing.assert_frame_equal(frame, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(
    ("kind", "read"), [("csv", pd.read_csv), ("json", lambda text: pd.DataFrame(json.load(text)))]
)
def test_csv_and_json_come_back_to_the_last_bit(seen, written, kind, read):
    columns = ["trial", "seed", "rung", "step", "frechet_distance", "d_loss_mean"]
    _, content = table(seen, "history", kind, columns=",".join(columns))
    frame = read(io.BytesIO(content))
    expected = written.history[columns]
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False, check_exact=True)


def test_lists_and_times_can_be_read_again_from_csv_and_json(seen, written):
    expected = list(written.history["mode_histogram"].iloc[0])
    rows = json.loads(table(seen, "history", "json", limit=1)[1])
    assert rows[0]["mode_histogram"] == expected
    frame = pd.read_csv(io.BytesIO(table(seen, "history", "csv", limit=1)[1]))
    assert json.loads(frame["mode_histogram"][0]) == expected
    ended = pd.read_json(io.BytesIO(table(seen, "trials", "json")[1]))["ended_at"]
    assert (pd.to_datetime(ended, utc=True) == written.trials["ended_at"]).all()


@pytest.mark.parametrize("name", ["verdicts", "leaderboard", "importances"])
@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "arrow"])
def test_what_analysis_makes_of_a_sweep_comes_in_every_format(seen, name, kind):
    headers, content = table(seen, name, kind)
    assert content
    assert headers["content-disposition"] == f'attachment; filename="small-{name}.{kind}"'


def test_rows_can_be_asked_for_in_pieces(seen, written):
    pieces = [
        pd.read_parquet(io.BytesIO(table(seen, "trials", "parquet", offset=k, limit=5)[1]))
        for k in range(0, 20, 5)
    ]
    assert [len(piece) for piece in pieces] == [5, 5, 2, 0]
    assert pd.concat(pieces)["seed"].tolist() == written.trials["seed"].tolist()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/html;q=0.9, */*;q=0.1", "application/json"),
        ("text/csv;q=0.1, application/json;q=0.5", "application/json"),
    ],
)
def test_a_format_is_agreed_upon_by_accept(seen, accept, kind):
    status, headers, _ = seen.ask(
        "GET", "/api/sweeps/small/tables/trials", headers={"Accept": accept}
    )
    assert (status, headers["content-type"]) == (200, kind)


def test_what_no_format_fits_and_columns_that_are_not_there_are_refused(seen):
    path = "/api/sweeps/small/tables/trials"
    assert seen.ask("GET", path, headers={"Accept": "image/png"})[0] == 406
    status, _, content = seen.ask("GET", f"{path}?columns=trial,obective")
    assert status == 422
    assert json.loads(content)["error"].startswith(
        'columns = "obective": trials has no such column; did you mean "objective"?'
    )


def test_an_unchanged_answer_is_not_sent_again(seen):
    for path in ("/api/sweeps", "/api/sweeps/small", "/api/sweeps/small/tables/trials"):
        _, headers, _ = seen.ask("GET", path)
        status, again, content = seen.ask(
            "GET", path, headers={"If-None-Match": headers["etag"], "Accept": "*/*"}
        )
        assert (status, content, again["etag"]) == (304, b"", headers["etag"])
    assert headers["cache-control"] == "private, no-cache"


def test_answers_are_packed_for_those_who_can_unpack(seen):
    import gzip

    for path in ("/api/sweeps", "/api/sweeps/small/tables/trials"):
        plain = seen.ask("GET", path)[2]
        _, headers, packed = seen.ask("GET", path, headers={"Accept-Encoding": "gzip, br"})
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed) == plain


def test_sample_grids_come_as_they_were_written(seen, written):
    listed = seen.get("/api/sweeps/small/samples")["samples"]
    assert len(listed) == len(written.samples)
    row = written.samples.iloc[3]
    path = f"/api/sweeps/small/samples/{row['trial']}/{row['seed']}.png"
    status, headers, content = seen.ask("GET", path)
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content == row["png"]
    assert seen.ask("GET", f"{path}?step={row['step']}")[2] == content
    assert seen.ask("GET", f"{path}?step=1")[0] == 404
    best = seen.get("/api/sweeps/small")["best_trial"]
    grids = written.samples[written.samples["trial"] == best]["png"].tolist()
    assert seen.ask("GET", "/api/sweeps/small/best.png")[2] in grids


def test_the_archive_holds_the_sweep(seen):
    status, headers, content = seen.ask("GET", "/api/sweeps/small/archive")
    assert (status, headers["content-type"]) == (200, "application/gzip")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        config = archive.extractfile("sweep.toml").read()
    assert config == (seen.storage / "small" / "sweep.toml").read_bytes()
    assert config == seen.ask("GET", "/api/sweeps/small/config")[2]
    assert any(name.startswith("history/") for name in names)


def test_presets_are_those_that_ship(seen):
    from sweeps.config_file import preset_text

    assert seen.get("/api/presets")["digits"] == preset_text("digits")


@pytest.mark.parametrize(
    "rest",
    ["", "/tables/trials", "/archive", "/samples", "/config", "/events", "/logs", "/best.png"],
)
def test_a_sweep_that_is_not_there_is_one_line(seen, rest):
    status, _, content = seen.ask("GET", f"/api/sweeps/absent{rest}")
    assert status == 404
    assert json.loads(content) == {"error": 'SWEEP = "absent": there is no such sweep'}
