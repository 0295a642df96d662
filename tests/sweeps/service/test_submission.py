"""Configs that come over HTTP and must not pass: each one line, and nothing begun or written."""

import json

import pytest

GOOD = {"space": {"lr_g": {"low": 1e-4, "high": 1e-2}, "lr_d": 1e-3, "loss": "hinge"}}
TOML = {"Content-Type": "application/toml"}


@pytest.fixture(scope="module")
def service(begin_service, make_shelf, tmp_path_factory):
    place = tmp_path_factory.mktemp("submission")
    (place / "allowed").mkdir()
    running, stop = begin_service(
        place / "runs",
        make_shelf(),
        allowed_paths=(place / "allowed",),
        allowed_factories=("nets.mine:factory",),
    )
    yield running
    stop()


@pytest.fixture(autouse=True)
def _nothing_happens(service):
    yield
    assert not service.launcher.jobs()
    assert [path.name for path in service.storage.parent.iterdir()] == ["allowed"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "space = (not given): must be given"),
        ({"trials": 3}, "trials = 3: there is no such key here: it belongs under [search]"),
        ({"train": {"steps": 0}}, "train.steps = 0: must be >= 1"),
        ({"train": {"steps": 1e400}}, "body: is no JSON: Infinity is no number"),
        ({"train": {"steps": 150}}, "train.steps = 150: must be a multiple of train.eval_every"),
        ({"name": "../../etc"}, 'name = "../../etc": must be 1 to 100 of a-z'),
        ({"name": ""}, 'name = "": must be 1 to 100 of a-z'),
        ({"name": "a" * 101}, "name = "),
        ({"storage": "/etc"}, 'storage = "/etc": is not chosen over HTTP'),
        ({"storage": "s3://bucket/x"}, 'storage = "s3://bucket/x": is not chosen over HTTP'),
        ({"storage": "s3://k:secret@b/x?secret_key=secret"}, 'storage = "s3://'),
        ({"storage": 5}, 'storage = "...": is not chosen over HTTP'),
        ({"study": "postgresql://u:secret@h/d"}, 'study = "...": is not chosen over HTTP'),
        (
            {"model": {"architecture": "os:system"}},
            'model.architecture = "os:system": code of your own is not run over HTTP',
        ),
        (
            {"model": {"architecture": "nets.mine:factory2"}},
            'model.architecture = "nets.mine:factory2": code of your own',
        ),
        (
            {"data": {"dataset": "npz", "root": "/etc/passwd"}},
            'data.root = "/etc/passwd": local paths are not read over HTTP',
        ),
        (
            {"data": {"dataset": "image_folder", "root": "ALLOWED/../x"}},
            "local paths are not read over HTTP",
        ),
        ({"data": {"dataset": "npz", "root": "~root"}}, "local paths are not read over HTTP"),
        ({"data": {"root": ["/etc"]}}, 'data.root = ["/etc"]: must be text in quotes'),
        ({"data": "x"}, 'data = "x": must be a table'),
        ({"space": []}, "space = []"),
        ({"search": {"trials": 10**400}}, 'search.trials = "...": is too large a number'),
    ],
)
def test_a_wrong_config_is_one_line_with_its_key(service, config, says):
    document = (GOOD if config else {}) | config
    text = json.dumps(document).replace("ALLOWED", str(service.storage.parent / "allowed"))
    for path in ("/api/sweeps", "/api/check"):
        status, _, content = service.ask(
            "POST", path, body=text, headers={"Content-Type": "application/json"}
        )
        error = json.loads(content)["error"]
        assert status in (400, 422), error
        assert says in error
        assert "\n" not in error
        assert "secret" not in error


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/toml", 422),
        (b"name = ", "application/toml", 400),
        (b"\xff\xfe", "application/toml", 400),
        (b"a=" + b"[" * 20000, "application/toml", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 50000, "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": ' + b"1" * 10000 + b"}", "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"a=1", "", 415),
        (b"<a/>", "text/xml", 415),
    ],
)
def test_what_is_no_config_at_all_is_refused(service, body, kind, status):
    answer = service.ask("POST", "/api/sweeps", body=body, headers={"Content-Type": kind})
    assert answer[0] == status
    assert "\n" not in json.loads(answer[2])["error"]


def test_a_mistake_in_toml_is_named_with_its_line(service):
    body = "[train]\nsteps = 100\nbatch_size = 0\n[space]\nlr_g = 1e-3\n"
    _, _, content = service.ask("POST", "/api/check", body=body, headers=TOML)
    assert json.loads(content)["error"] == "line 3: train.batch_size = 0: must be >= 1"


def test_what_the_operator_allows_by_name_passes(service):
    config = GOOD | {"name": "own", "model": {"architecture": "nets.mine:factory"}}
    assert service.post("/api/sweeps", config)[0] == 201
    assert service.launcher.configs["own"].model.architecture == "nets.mine:factory"
    service.launcher.forget("own")
    root = service.storage.parent / "allowed"
    status, answer = service.post(
        "/api/check", GOOD | {"data": {"dataset": "mnist", "root": str(root)}}
    )
    # It is looked into: the files are not there.
    assert status == 422
    assert "local paths" not in answer["error"]
