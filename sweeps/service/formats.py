"""Which tables there are over HTTP, in which formats, and how a request says which it takes."""

from __future__ import annotations

from enum import StrEnum

from sweeps.service.refusals import Refusal

__all__ = ["MEDIA_TYPES", "Format", "TableName", "negotiated"]


class TableName(StrEnum):
    """A table of a sweep: as it was written, or as analysis makes it."""

    TRIALS = "trials"
    HISTORY = "history"
    CONTROL = "control"
    IMPORTANCES = "importances"
    VERDICTS = "verdicts"
    LEADERBOARD = "leaderboard"


class Format(StrEnum):
    """How a table is written."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}


def negotiated(asked: Format | None, accept: str) -> Format:
    """The format to answer with.

    Args:
        asked: in the address, which wins.
        accept: the request's header `Accept`, or "".

    Raises:
        Refusal: it takes none that there is.
    """
    if asked is not None:
        return asked
    wanted = sorted(map(_preference, accept.split(",")), key=lambda each: -each[0])
    for quality, media_type in wanted:
        for kind, known in MEDIA_TYPES.items():
            if quality > 0 and _covers(media_type, known):
                return kind
    if not accept.strip():
        return Format.JSON
    raise Refusal(406, f"Accept: must be one of {', '.join(MEDIA_TYPES.values())}")


def _preference(part: str) -> tuple[float, str]:
    media_type, *options = (each.strip() for each in part.split(";"))
    given = (option[2:] for option in options if option.startswith("q="))
    try:
        quality = float(next(given, "1"))
    except ValueError:
        quality = 0.0
    return quality, media_type.lower()


def _covers(wanted: str, known: str) -> bool:
    return wanted in ("*/*", known, f"{known.partition('/')[0]}/*")
