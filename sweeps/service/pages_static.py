"""The files that pages need besides their text: all of the package, none of anywhere else."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response

from sweeps.service.refusals import Refusal
from sweeps.service.service import service_of

__all__ = ["router"]

_OWN = Path(__file__).parent / "static"

router = APIRouter(include_in_schema=False)


def _report() -> Path:
    """Where the report keeps its style and scripts, which pages share."""
    found = importlib.util.find_spec("analysis")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(next(iter(found.submodule_search_locations))) / "report"


def _style() -> str:
    """The report's, in its colours; a class for each verdict, as pages may not style within."""
    from analysis.plots.palette import VERDICT_ORDER, stylesheet

    classes = "".join(
        f".v-{verdict}{{background:var(--v-{verdict});fill:var(--v-{verdict})}}"
        for verdict in VERDICT_ORDER
    )
    files = (_report() / "style.css", _OWN / "service.css")
    return "\n".join([stylesheet(), classes, *(file.read_text() for file in files)])


def _script() -> str:
    """The report's charts, and what keeps a page of the service fresh, in one scope."""
    files = (_report() / "charts.js", _OWN / "live.js", _OWN / "actions.js")
    return "(() => {\n" + "\n".join(file.read_text() for file in files) + "\n})();"


def _theme() -> str:
    return (_report() / "theme.js").read_text()


_JAVASCRIPT = "text/javascript; charset=utf-8"
_FILES: dict[str, tuple[Callable[[], str], str]] = {
    "style.css": (_style, "text/css; charset=utf-8"),
    "page.js": (_script, _JAVASCRIPT),
    "theme.js": (_theme, _JAVASCRIPT),
}


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A file by its name."""
    if name == "vega.js":
        return await service_of(request).answers.respond(request, "page.vega", ())
    if name not in _FILES:
        raise Refusal(404, "there is no such file")
    make, media_type = _FILES[name]
    return Response(make(), media_type=media_type, headers={"Cache-Control": "no-cache"})


@router.get("/favicon.ico")
async def icon() -> Response:
    """None."""
    return Response(status_code=204)
