import os
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from analysis.importance import importances
from analysis.load import load
from analysis.location import locate, plain_errors
from analysis.report import write_report
from analysis.schema import IMPORTANCES
from analysis.verdict import judge


def test_a_path_is_the_local_directory_with_the_home_put_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, root in {"~/a/": f"{tmp_path}/a", "/a": "/a", "/": "/", "a/b/": "a/b"}.items():
        location = locate(path)
        assert location.root == root
        assert location.bucket is None
        assert isinstance(location.filesystem, fs.LocalFileSystem)
    assert locate(tmp_path).missing() is None
    assert locate(tmp_path / "none").missing() == "no such directory"


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_a_uri_of_google_cloud_storage_is_taken_apart(scheme):
    # As far as this goes without an account: nothing is asked of the store.
    location = locate(f"{scheme}://anonymous@bucket/a/b/?endpoint_override=localhost:1&scheme=http")
    assert isinstance(location.filesystem, fs.GcsFileSystem)
    assert (location.root, location.bucket) == ("bucket/a/b", "bucket")
    assert location.name == f"{scheme}://bucket/a/b"


def test_a_uri_of_s3_is_taken_apart_and_shown_without_its_secrets():
    location = locate("s3://key:secret@bucket/a/b/?region=eu-west-1&endpoint_override=x:1")
    assert isinstance(location.filesystem, fs.S3FileSystem)
    assert location.filesystem.region == "eu-west-1"
    assert (location.root, location.bucket) == ("bucket/a/b", "bucket")
    assert location.name == "s3://bucket/a/b"
    assert "secret" not in repr(location)


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("nope://bucket/s", "nope://bucket/s: Unrecognized filesystem type in URI"),
        ("s3://bucket/s?nope=1", "s3://bucket/s: Unexpected query parameter in S3 URI: 'nope'"),
        ("s3://key:secret@/s", "s3:///s: Missing bucket name in S3 URI"),
    ],
)
def test_a_uri_that_is_none_is_refused_in_one_line(uri, right):
    with pytest.raises(ValueError, match="^" + right.replace("?", r"\?")) as error:
        locate(uri)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "kind", "right"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject", PermissionError, "access denied; they come"),
        ("AWS Error NO_SUCH_KEY during\nGetObject", FileNotFoundError, "not found: AWS"),
        ("Bucket 'b' not found", FileNotFoundError, "not found: Bucket 'b'"),
        ("AWS Error NETWORK_CONNECTION: curlCode: 7", ConnectionError, "cannot reach S3: AWS"),
        ("AWS Error SLOW_DOWN during\nGetObject", OSError, "AWS Error SLOW_DOWN during GetObject"),
        ("google::cloud::Status(UNAVAILABLE: x)", ConnectionError, "cannot reach S3: google"),
    ],
)
def test_what_a_store_says_becomes_one_line_that_begins_with_the_name(text, kind, right):
    with pytest.raises(kind, match=f"^s3://b/s: {right}") as error, plain_errors("s3://b/s"):
        raise OSError(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("error", [OSError("Corrupt snappy data"), PermissionError(13, "no")])
def test_errors_that_are_none_of_the_store_s_are_left_as_they_are(error):
    for name in ("s3://b/s", "/a/b"):
        with pytest.raises(type(error)) as raised, plain_errors(name):
            raise error
        assert raised.value is error


@pytest.fixture(scope="session")
def s3():
    """The address of a server that speaks the real protocol; on the loopback alone."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(s3, account):
    """A filesystem with the bucket `results`, which is emptied afterwards."""
    filesystem = fs.S3FileSystem(endpoint_override=s3, allow_bucket_creation=True)
    filesystem.create_dir("results")
    yield filesystem
    filesystem.delete_dir_contents("results")


@pytest.fixture
def copied(writer, bucket):
    """A sweep in memory and, the same, at `results/runs/digits`."""
    writer.members(writer.member(0), writer.member(1))
    writer.members(writer.member(2, seed=5))
    writer.control()
    writer.samples(writer.member(0))
    fs.copy_files(str(writer.path), "results/runs/digits", destination_filesystem=bucket)
    return writer.load()


def same(a, b):
    frames = ("trials", "history", "control", "samples")
    return all(getattr(a, name).equals(getattr(b, name)) for name in frames)


def test_a_sweep_in_a_bucket_reads_as_its_directory_does(copied, s3):
    sweep = load(f"s3://results/runs/digits?endpoint_override={s3}")
    assert same(sweep, copied)
    assert sweep.config == copied.config
    assert sweep.path == "s3://results/runs/digits"


def test_the_endpoint_may_come_from_the_environment(copied, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert same(load("s3://results/runs/digits/"), copied)


def test_what_is_missing_in_a_store_is_named(copied, s3):
    query = f"?endpoint_override={s3}"
    with pytest.raises(FileNotFoundError, match=r"^s3://nobody/a: there is no bucket nobody; a sw"):
        load(f"s3://nobody/a{query}")
    with pytest.raises(FileNotFoundError, match=r"^s3://results/a: no such directory; a sweep's d"):
        load(f"s3://results/a{query}")
    with pytest.raises(FileNotFoundError, match=r"results/runs: is no sweep; .+ in it: digits$"):
        load(f"s3://results/runs{query}")


def test_a_part_that_was_cut_short_in_a_store_is_named(copied, s3, bucket):
    (part, *_) = bucket.get_file_info(fs.FileSelector("results/runs/digits/history"))
    content = bucket.open_input_file(part.path).read()
    for kept in (10, len(content) // 2):
        with bucket.open_output_stream(part.path) as stream:
            stream.write(content[:kept])
        right = r"^s3://results/runs/digits/history/.+\.parquet: is no whole Parquet file"
        with pytest.raises(ValueError, match=right):
            load(f"s3://results/runs/digits?endpoint_override={s3}")


def test_credentials_that_are_refused_are_told_apart_from_what_is_missing(copied, s3):
    def unchecked_calls(count):
        data, headers = str(count).encode(), {"Content-Type": "text/plain"}
        url = f"{s3}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, data, headers)).close()

    for allowed in (0, 3):  # refused at once, or in the middle
        unchecked_calls(allowed)
        try:
            with pytest.raises(
                PermissionError, match=r"^s3://results/.+AWS_ACCESS_KEY_ID"
            ) as error:
                load(f"s3://results/runs/digits?endpoint_override={s3}")
        finally:
            unchecked_calls(10**9)
        assert "\n" not in str(error.value)


def test_what_is_written_beside_the_tables_is_found_where_they_are(copied, s3, bucket):
    row = {"target": "objective", "hyperparameter": "lr_g", "importance": 1.0, "trials": 40}
    table = pa.Table.from_pylist([row], schema=IMPORTANCES)
    folder = "results/runs/digits/importances"
    bucket.create_dir(folder)
    pq.write_table(table, f"{folder}/0.parquet", filesystem=bucket)
    sweep = load(f"s3://results/runs/digits?endpoint_override={s3}")
    found = importances(sweep, judge(sweep))
    assert found[["hyperparameter", "method"]].to_numpy().tolist() == [["lr_g", "optuna"]]


def test_the_report_of_a_sweep_in_a_bucket_is_put_there(copied, s3, bucket):
    uri = f"s3://results/runs/digits?endpoint_override={s3}"
    for sweep in (uri, load(uri)):
        assert write_report(sweep) == "s3://results/runs/digits/report.html"
        with bucket.open_input_stream("results/runs/digits/report.html") as stream:
            assert b"</html>" in stream.read()
        bucket.delete_file("results/runs/digits/report.html")
