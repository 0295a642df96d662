"""Where a sweep lies: a directory, or a URI of an object store."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

__all__ = ["Location", "StoreError", "locate", "on_one_line", "plain_errors"]

_STORES = {"s3": "S3", "gs": "Google Cloud Storage", "gcs": "Google Cloud Storage"}

_CREDENTIALS = {
    "s3": "they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and those "
    "must be allowed to list and read",
    "gs": "they come from GOOGLE_APPLICATION_CREDENTIALS or `gcloud auth application-default "
    "login`, and those must be allowed to list and read",
}

# What the libraries below put into an OSError of no more special kind.
_DENIED = re.compile(r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|EXPIRED_TOKEN|PERMISSION_DENIED"
                     r"|UNAUTHENTICATED|HTTP status (401|403)")  # fmt: skip
_MISSING = re.compile(r"NO_SUCH_KEY|NO_SUCH_BUCKET|NoSuchBucket|NOT_FOUND|HTTP status 404"
                      r"|Bucket '.+' not found")  # fmt: skip
_OF_A_STORE = re.compile(r"AWS Error|google::cloud|Azure|^Bucket '")
_UNREACHABLE = re.compile(r"NETWORK_CONNECTION|UNAVAILABLE|curlCode|CURL error|resolve host")


_S3_OPTIONS = {
    "allow_bucket_creation",
    "allow_delayed_open",
    "endpoint_override",
    "region",
    "scheme",
}
_ATTEMPTS = 5  # the library's own are 3


class StoreError(OSError):
    """What an object store could not do, in one line."""


@dataclass(frozen=True)
class Location:
    """A folder that may be there or not."""

    name: str
    """As a person gave it, but without credentials and options: fit to be shown."""
    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    root: str
    """The folder's path in it, without a slash at the end."""

    @property
    def scheme(self) -> str:
        """Such as "s3"; "" for a local path."""
        return self.name.partition("://")[0] if "://" in self.name else ""

    @property
    def bucket(self) -> str | None:
        """What an object store keeps it in; None where there is no such thing."""
        return self.root.partition("/")[0] if self.scheme in _STORES else None

    def missing(self) -> str | None:
        """What is not there, the bucket or the directory; None where the folder is."""
        if self.filesystem.get_file_info(self.root).type != fs.FileType.NotFound:
            return None
        bucket = self.bucket
        if bucket and self.filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
            return f"there is no bucket {bucket}"
        return "no such directory"


def locate(path: str | os.PathLike[str], *, attempts: int = _ATTEMPTS) -> Location:
    """Finds the filesystem of a path or URI.

    Nothing is asked of it yet, save Amazon's S3 where the bucket lies if no region is named.

    Args:
        path: a directory, `~` included, or a URI: `file:///...`, `s3://bucket/prefix/sweep`,
            `gs://bucket/prefix/sweep`, or another that `pyarrow.fs.FileSystem.from_uri` opens.
            Credentials, region and endpoint come from the environment as with the store's own
            tools (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`;
            `GOOGLE_APPLICATION_CREDENTIALS`), or from the URI's query:
            `?region=eu-west-1`, `?endpoint_override=http://127.0.0.1:9000` for MinIO and others.
        attempts: at each request to S3, which now and then asks to slow down.

    Raises:
        ValueError: no known scheme, or the URI is not one of its kind.
        OSError: as in `plain_errors`.
    """
    text = os.fspath(path).rstrip("/") or "/"
    if "://" not in text:
        return Location(text, fs.LocalFileSystem(), os.path.expanduser(text))
    name = _without_secrets(text)
    with plain_errors(name):
        try:
            filesystem, root = fs.FileSystem.from_uri(text)
        except pa.ArrowInvalid as error:
            # Which may quote the whole of it.
            raise ValueError(f"{name}: {on_one_line(error).replace(text, name)}") from None
    if isinstance(filesystem, fs.S3FileSystem):
        filesystem = _patient(filesystem, text, attempts)
    return Location(name, filesystem, root.rstrip("/"))


@contextlib.contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Says what went wrong in an object store in one line that begins with the name.

    Raises:
        FileNotFoundError: what was asked for is not there (any more).
        PermissionError: the store refuses the credentials, or found none.
        ConnectionError: it does not answer.
        StoreError: anything else that the store says.
    """
    try:
        yield
    except OSError as error:
        text = on_one_line(error)
        if type(error) is not OSError or not _OF_A_STORE.search(text):
            raise
        scheme = name.partition("://")[0]
        if _MISSING.search(text):
            raise FileNotFoundError(f"{name}: not found: {text}") from None
        if _DENIED.search(text):
            hint = _CREDENTIALS.get(scheme.replace("gcs", "gs"), "check the credentials")
            raise PermissionError(f"{name}: access denied; {hint} ({text})") from None
        if _UNREACHABLE.search(text):
            store = _STORES.get(scheme, "the store")
            raise ConnectionError(f"{name}: cannot reach {store}: {text}") from None
        raise StoreError(f"{name}: {text}") from None


def on_one_line(error: Exception) -> str:
    """The error's text without line breaks."""
    return " ".join(str(error).split())


def _patient(filesystem: fs.S3FileSystem, uri: str, attempts: int) -> fs.S3FileSystem:
    """The same, but a request is repeated as asked for, and a small object put by one request.

    A URI cannot say so. One that says more than can be said here stays as it is.
    """
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    if not {*options} <= _S3_OPTIONS:
        return filesystem
    return fs.S3FileSystem(
        access_key=unquote(parts.username) if parts.username else None,
        secret_key=unquote(parts.password) if parts.password else None,
        region=filesystem.region,
        scheme=options.get("scheme"),
        endpoint_override=options.get("endpoint_override", _endpoint()),
        allow_bucket_creation=options.get("allow_bucket_creation") == "true",
        allow_delayed_open=True,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )


def _endpoint() -> str | None:
    """From the environment, where the library looks for it with a URI alone."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _without_secrets(uri: str) -> str:
    """The URI without `user:password@` and without its query, which may hold either."""
    scheme, _, rest = uri.partition("://")
    server, slash, path = rest.partition("?")[0].rstrip("/").partition("/")
    return f"{scheme}://{server.rpartition('@')[2]}{slash}{path}"
