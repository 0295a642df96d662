"""Speaks to a service from Python: `Client(url).trials("digits")` is a DataFrame.

Needs neither the extra `service` nor Ray.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from gan_core.config import ConfigError
from sweeps.mistakes import SweepFailure
from sweeps.naming import check_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TOKEN_VARIABLE", "Client", "RemoteMistake"]

TOKEN_VARIABLE = "GANSWEEP_TOKEN"
"""Environment variable with the token, where the URL has none."""

_ANSWERS_WITHIN_S = 120.0
_JSON, _TOML = "application/json", "application/toml"
_CHUNK = 1 << 20


class RemoteMistake(ConfigError):  # noqa: N818 it is the asker's
    """What a service refused, in its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("", message, "")
        self.status = status
        self.message = message

    def __str__(self) -> str:
        """One line."""
        return self.message


class _NoRedirect(HTTPRedirectHandler):
    """A service sends nobody elsewhere, and a token must not follow."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        """Does not follow."""


class Client:
    """A service that runs somewhere.

    Args:
        url: its address; the link that `gansweep serve` prints will do.
        token: what it asks for; else that of the link, else `$GANSWEEP_TOKEN`.

    Raises:
        ConfigError: this is no address, or there is no token.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            shown = url.partition("?")[0]
            raise ConfigError("--server", shown, "must be a URL, like http://127.0.0.1:8866")
        self.url = f"{parts.scheme}://{parts.netloc}"
        in_link = parse_qs(parts.query).get("token", [None])[0]
        found = token or in_link or os.environ.get(TOKEN_VARIABLE)
        if not found:
            right = f"needs a token: {TOKEN_VARIABLE} must hold it, or the URL must be the link"
            raise ConfigError("--server", self.url, right)
        self._token = found
        self._opener = _opener(parts.hostname)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Client({self.url!r})"

    # --- look

    def sweeps(self) -> pd.DataFrame:
        """All sweeps, one row each."""
        import pandas as pd

        return pd.DataFrame(self._json("GET", "/api/sweeps")["sweeps"])

    def status(self, name: str) -> dict[str, Any]:
        """Where a sweep stands."""
        return dict(self._json("GET", _of(name)))

    def trials(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A row for every GAN that ended."""
        return self.table(name, "trials", columns)

    def history(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A row for every GAN and rung."""
        return self.table(name, "history", columns)

    def table(self, name: str, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table: trials, history, control, importances, verdicts or leaderboard."""
        import pandas as pd

        query = {"format": "parquet"} | ({"columns": ",".join(columns)} if columns else {})
        path = f"{_of(name)}/tables/{quote(table, safe='')}?{urlencode(query)}"
        return pd.read_parquet(io.BytesIO(self._bytes("GET", path)))

    def grid(self, name: str, trial: int, seed: int, step: int | None = None) -> bytes:
        """A GAN's sample grid as PNG; its last, or that of a step."""
        query = "" if step is None else f"?step={step}"
        return self._bytes("GET", f"{_of(name)}/samples/{trial}/{seed}.png{query}")

    def logs(self, name: str) -> str:
        """What a sweep's job has printed."""
        return self._bytes("GET", f"{_of(name)}/logs").decode()

    def events(self, name: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens to a sweep, or to all: kind and state, without end."""
        path = "/api/events" if name is None else f"{_of(name)}/events"
        with self._open("GET", path) as answer:
            kind = ""
            for raw in answer:
                field, _, value = raw.decode().rstrip("\n").partition(": ")
                if field == "event":
                    kind = value
                elif field == "data":
                    yield kind, json.loads(value)

    def fetch(self, name: str, directory: Path) -> None:
        """Puts a sweep's files into a directory; nothing can get out of it."""
        with tempfile.TemporaryFile() as arrived:
            with self._open("GET", f"{_of(name)}/archive") as answer:
                while chunk := answer.read(_CHUNK):
                    arrived.write(chunk)
            arrived.seek(0)
            try:
                with tarfile.open(fileobj=arrived, mode="r:gz") as archive:
                    archive.extractall(directory, filter="data")
            except (tarfile.TarError, EOFError) as error:
                raise SweepFailure(f"the results did not arrive whole: {error}") from None

    # --- operate

    def submit(self, config: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Begins a sweep.

        Args:
            config: the path of a TOML, its text, or the same as a dict.

        Returns:
            Where it stands, and whether it was begun.
        """
        if isinstance(config, Mapping):
            body, kind = json.dumps(config).encode(), _JSON
        else:
            text = config.read_text(encoding="utf-8") if isinstance(config, Path) else config
            body, kind = text.encode(), _TOML
        with self._open("POST", "/api/sweeps", body, kind) as answer:
            return json.load(answer), answer.status == 201

    def stop(self, name: str) -> dict[str, Any]:
        """Lets a sweep end at its next rung."""
        return dict(self._json("POST", f"{_of(name)}/stop"))

    def resume(self, name: str) -> dict[str, Any]:
        """Goes on with a sweep that was stopped or failed."""
        return dict(self._json("POST", f"{_of(name)}/resume"))

    def extend(self, name: str, trials: int) -> dict[str, Any]:
        """Goes on with a sweep, by so many more trials."""
        body = json.dumps({"trials": trials}).encode()
        return dict(self._json("POST", f"{_of(name)}/extend", body))

    def delete(self, name: str) -> None:
        """Deletes a sweep with all its results; asks and confirms."""
        confirm = self._json("DELETE", _of(name))["confirm"]
        self._bytes("DELETE", f"{_of(name)}?{urlencode({'confirm': confirm})}")

    # --- how

    def _json(self, method: str, path: str, body: bytes | None = None) -> Any:
        return json.loads(self._bytes(method, path, body))

    def _bytes(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with self._open(method, path, body) as answer:
            return bytes(answer.read())

    @contextlib.contextmanager
    def _open(
        self, method: str, path: str, body: bytes | None = None, kind: str = _JSON
    ) -> Iterator[Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        request = Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=_ANSWERS_WITHIN_S) as answer:
                yield answer
        except HTTPError as error:
            raise _refused(self.url, error) from None
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise SweepFailure(f"{self.url}: does not answer: {reason}") from None


def _refused(url: str, error: HTTPError) -> Exception:
    try:
        message = str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        message = f"{url}: answers {error.code}, and is no gansweep"
    if error.code >= 500:
        return SweepFailure(f"{url}: {message}")
    return RemoteMistake(error.code, message)


def _of(name: str) -> str:
    return f"/api/sweeps/{check_name(name, 'SWEEP')}"


def _opener(host: str) -> OpenerDirector:
    """Past proxies where it is this machine."""
    here = host in ("localhost", "127.0.0.1", "::1")
    return build_opener(_NoRedirect, *([ProxyHandler({})] if here else []))
