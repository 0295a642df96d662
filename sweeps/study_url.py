"""Where a study is kept, as a config says it: in a journal, or in PostgreSQL.

Free of optuna and psycopg: a mistake is answered before anything heavy is imported.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from gan_core.config import ConfigError

__all__ = ["JOURNAL", "SECRET_KEYS", "StudyUrl", "parse_study", "redacted"]

JOURNAL = "journal"

SECRET_KEYS = ("password", "sslpassword")
"""Parameters of a connection that nobody is to see."""

_SCHEME = "postgresql"
_ESCAPED = "what is special in a URL is escaped in it, like %23 for #"
_RIGHT = f'must be "{JOURNAL}" or "{_SCHEME}://USER@HOST/DATABASE"'
# To the last @, since a password that was not escaped may hold anything.
_IN_AUTHORITY = re.compile(r"(://[^:/@\s\"']*):[^\s\"']*@")
_IN_QUERY = re.compile(rf"([?&](?:{'|'.join(SECRET_KEYS)})=)[^&\s\"']*")


class StudyUrl(str):
    """A URL of PostgreSQL, without the secrets that were in it, which ride along unseen.

    So it is safe to print, to write and to dump; `secrets` hands them to who connects.
    """

    secrets: dict[str, str]
    """By `SECRET_KEYS`; those that were given."""

    def __new__(cls, url: str, secrets: dict[str, str] | None = None) -> StudyUrl:
        """Takes a URL that has no secrets in it."""
        made = super().__new__(cls, url)
        made.secrets = secrets or {}
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (StudyUrl, (str(self), self.secrets))

    def bare(self) -> StudyUrl:
        """The same without secrets, for processes that have no business with the database."""
        return StudyUrl(str(self))


def parse_study(given: Any) -> str:
    """`JOURNAL`, or a `StudyUrl`.

    Raises:
        ConfigError: it is neither; no secret is in the message.
    """
    if isinstance(given, StudyUrl) or given == JOURNAL:
        return given
    if not isinstance(given, str):  # whatever it is, it may hold a password
        raise ConfigError("study", "...", _RIGHT)
    if not given.startswith(f"{_SCHEME}://"):
        raise ConfigError("study", redacted(given), _RIGHT)
    try:
        return _parse_url(given)
    except ValueError:  # which may quote a part of the password
        raise ConfigError("study", redacted(given), f"{_RIGHT}; {_ESCAPED}") from None


def _parse_url(given: str) -> StudyUrl:
    parts = urlsplit(given)
    _ = parts.port  # raises what is no number
    # What was not escaped lets a password end in another part, where it would be shown.
    if "@" in parts.path + parts.query or parts.path.count("/") > 1 or "#" in given:
        raise ValueError
    query = parse_qsl(parts.query, keep_blank_values=True)
    secrets = {name: value for name, value in query if name in SECRET_KEYS}
    login, at, host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if colon:
        secrets["password"] = unquote(password)
    shown = urlencode([item for item in query if item[0] not in SECRET_KEYS], safe="/")
    rest = f"{user}{at}{host}{parts.path}{'?' if shown else ''}{shown}"
    return StudyUrl(f"{_SCHEME}://{rest}", secrets)


def redacted(text: str) -> str:
    """The text with `***` in the place of the password of every URL in it."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1:***@", text))
