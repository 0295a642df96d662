"""A real S3 server (moto's) of which a share of the requests fails, seeded.

    with FlakyS3(share=0.05, seed=7) as s3:
        s3.filesystem().create_dir("results")
        gansweep("run", "--storage", s3.uri("results/runs"), env=os.environ | s3.environment)

Of the failures a half is answered without the request being done, a half after it was done: to
the client both are a 500 or a 503. `s3.down = True` fails every request until it is False again.
The server is a thread of this process; moto keeps what it holds in the process too, so two servers
in one process hold the same buckets.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Self

from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import fs
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["FlakyS3", "credentials_of_its_own"]

_ERRORS = {
    "500 Internal Server Error": "InternalError",
    "503 Slow Down": "SlowDown",
    "503 Service Unavailable": "ServiceUnavailable",
}


class FlakyS3:
    """The server, for as long as the `with` lasts; on the loopback alone, at a free port.

    Args:
        share: of the requests that fail, in [0, 1].
        seed: which of them do, by the order in which they come.
    """

    environment: ClassVar[dict[str, str]] = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    """For processes that use it."""

    def __init__(self, share: float = 0.05, seed: int = 0) -> None:
        self.share, self.down = share, False
        self.counts: Counter[str] = Counter()
        """Requests by "ok", "refused" and "lost" (done, and answered with an error)."""
        self.requests: list[tuple[str, str]] = []
        """(method, path and query) of all, in order."""
        self._random, self._guard = random.Random(seed), threading.Lock()

    def __enter__(self) -> Self:
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def uri(self, path: str) -> str:
        """The URI of `bucket/key`, without credentials."""
        return f"s3://{path}?endpoint_override={self.address}"

    def filesystem(self) -> fs.S3FileSystem:
        """Undisturbed by failures only as far as the client repeats requests."""
        return fs.S3FileSystem(
            access_key="key",
            secret_key="secret",
            region="us-east-1",
            endpoint_override=self.address,
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
            allow_delayed_open=True,
            request_timeout=30,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=5),
        )

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._guard:
            self.requests.append(
                (
                    environ["REQUEST_METHOD"],
                    f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}",
                )
            )
            fails = self.down or self._random.random() < self.share
            is_done = not self.down and self._random.random() < 0.5
            status = self._random.choice(list(_ERRORS))
            self.counts["ok" if not fails else "lost" if is_done else "refused"] += 1
        if not fails:
            return self._app(environ, start)
        # Its body is read, or the connection would break before the answer is heard.
        if is_done:
            answer = self._app(environ, lambda *_: lambda _: None)
            for _ in answer:
                pass
        else:
            _drain(environ)
        code = _ERRORS[status]
        body = f"<Error><Code>{code}</Code><Message>made to fail</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _drain(environ: dict[str, Any]) -> None:
    """Reads a request's body, whose end only its length tells."""
    if environ.get("wsgi.input_terminated"):
        environ["wsgi.input"].read()
    else:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def credentials_of_its_own(monkeypatch: Any) -> Iterator[None]:
    """The environment of this process as the server's user has it, and nothing else of AWS."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in FlakyS3.environment.items():
            patch.setenv(name, value)
        yield
