"""What is refused before anything is done; each with the right status, and nothing written."""

import http.client
import json

import pytest

from sweeps.service.access import Gate
from sweeps.service.settings import LARGEST_BODY_BYTES, ServiceSettings


@pytest.fixture
def gate(seen):
    return Gate(ServiceSettings(storage=seen.storage, token=seen.token, view_token=seen.viewer))


def cookie_of(gate, token):
    return gate.cookie(token, secure=False).partition(";")[0]


@pytest.mark.parametrize("path", ["/", "/api/sweeps", "/api/openapi.json", "/docs", "/absent"])
@pytest.mark.parametrize("token", [None, "", "wrong", "operator-token-012345678", "é" * 20])
def test_nothing_is_told_without_the_token(seen, path, token):
    token = token and token.encode().decode("latin-1")
    status, headers, content = seen.ask("GET", path, token=token)
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert b"small" not in content


def test_a_viewer_may_look_and_nothing_else(seen):
    assert seen.get("/api/sweeps", token=seen.viewer)
    for method, path in (
        ("POST", "/api/sweeps"),
        ("POST", "/api/sweeps/small/stop"),
        ("DELETE", "/api/sweeps/small"),
        ("PUT", "/api/sweeps/small"),
    ):
        status, _, content = seen.ask(method, path, token=seen.viewer)
        assert (status, json.loads(content)) == (
            403,
            {"error": "Authorization: this token may only look"},
        )


def test_the_link_gives_a_strict_cookie_and_goes_on_without_the_token(seen, gate):
    status, headers, content = seen.ask("GET", f"/compare?a=1&token={seen.token}&b=2", token=None)
    assert status == 200
    assert 'url=/compare?a=1&amp;b=2"' in content.decode()
    assert seen.token not in content.decode()
    cookie = headers["set-cookie"]
    assert cookie.startswith(cookie_of(gate, seen.token))
    assert all(mark in cookie for mark in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert seen.token not in cookie
    value = {"Cookie": cookie.partition(";")[0]}
    assert seen.ask("GET", "/api/sweeps", token=None, headers=value)[0] == 200


def test_a_link_cannot_lead_elsewhere(seen):
    for path in ("//evil.example/a", "///evil.example", "/\\evil.example", '/"><script>'):
        content = seen.ask("GET", f"{path}?token={seen.token}", token=None)[2].decode()
        url = content.partition("url=")[2].partition('"')[0]
        assert url.startswith("/")
        assert not url.startswith(("//", "/\\"))
        assert "<script" not in content


def test_a_wrong_link_and_a_token_in_the_address_of_the_api_open_nothing(seen):
    assert seen.ask("GET", "/?token=wrong", token=None)[0] == 401
    status, headers, _ = seen.ask("GET", f"/api/sweeps?token={seen.token}", token=None)
    assert status == 401
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Gansweep": "1", "Origin": "http://evil.example"}, 403),
        ({"X-Gansweep": "1", "Origin": "null"}, 403),
        ({"X-Gansweep": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Gansweep": "1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Gansweep": "1"}, 409),
        ({"X-Gansweep": "1", "Sec-Fetch-Site": "same-origin", "Origin": "HERE"}, 409),
    ],
)
def test_a_cookie_changes_something_from_a_page_of_ours_alone(seen, gate, headers, status):
    sent = {name: seen.url if value == "HERE" else value for name, value in headers.items()}
    sent |= {"Cookie": cookie_of(gate, seen.token)}
    assert seen.ask("POST", "/api/sweeps/small/stop", token=None, headers=sent)[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("localhost:1", 200),
        ("[::1]:80", 200),
        ("192.168.1.5", 200),
    ],
)
def test_a_strange_name_for_this_machine_is_refused(seen, host, status):
    assert seen.ask("GET", "/api/sweeps", headers={"Host": host})[0] == status


def test_a_huge_body_is_refused_whether_or_not_it_says_how_long_it_is(seen):
    long = str(LARGEST_BODY_BYTES + 1)
    connection = http.client.HTTPConnection("127.0.0.1", seen.port, timeout=30)
    connection.putrequest("POST", "/api/sweeps")
    connection.putheader("Authorization", f"Bearer {seen.token}")
    connection.putheader("Content-Length", long)
    connection.endheaders()  # and not a byte of it
    assert connection.getresponse().status == 413
    connection.close()
    chunks = (b"#" * 65536 for _ in range(LARGEST_BODY_BYTES // 65536 + 1))
    headers = {"Content-Type": "application/toml", "Transfer-Encoding": "chunked"}
    status, _, content = seen.ask("POST", "/api/sweeps", body=chunks, headers=headers)
    assert (status, json.loads(content)["error"]) == (413, "body: must be at most 1 MiB")


@pytest.mark.parametrize(
    "path",
    [
        "/api/sweeps/../../etc/passwd",
        "/api/sweeps/..%2f..%2fetc%2fpasswd",
        "/api/sweeps/..",
        "/api/sweeps/%2e%2e/config",
        "/api/sweeps/.hidden/config",
        "/api/sweeps/small%00/config",
        "/api/sweeps/SMALL/config",
        "/api/sweeps/" + "a" * 101,
        "/api/sweeps/small/tables/..%2fsweep.toml",
        "/api/sweeps/small/samples/-1/0.png",
        "/api/sweeps/small/samples/1e3/0.png",
        f"/api/sweeps/small/samples/{10**30}/0.png",
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
    ],
)
def test_no_path_leads_out_of_the_storage(seen, path):
    status, _, content = seen.ask("GET", path)
    assert status in (404, 422)
    assert b"root:" not in content
    assert b"storage" not in content


def test_every_answer_has_its_security_headers_errors_too(seen):
    answers = [
        seen.ask("GET", "/api/sweeps"),
        seen.ask("GET", "/api/absent"),
        seen.ask("GET", "/api/sweeps", token=None),
        seen.ask("GET", "/", token=None),
        seen.ask("PATCH", "/api/sweeps"),
    ]
    assert [status for status, _, _ in answers] == [200, 404, 401, 401, 405]
    for _, headers, _ in answers:
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers or "uvicorn" not in headers["server"]
