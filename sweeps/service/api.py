"""What can be asked over HTTP: sweeps, their tables and samples, and what happens to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from sweeps.config_file import PRESETS, preset_text
from sweeps.naming import CONFIG_NAME
from sweeps.service.archive import archive
from sweeps.service.formats import MEDIA_TYPES, Format, TableName, negotiated
from sweeps.service.models import ErrorMessage, SampleList, SweepList, SweepName
from sweeps.service.refusals import Refusal
from sweeps.service.service import Service, service_of
from sweeps.service.states import SweepState
from sweeps.service.submission import TOML

__all__ = ["router"]

_LARGEST_INTEGER = 2**63 - 1

Whole = Annotated[int, Query(ge=0, le=_LARGEST_INTEGER)]
Here = Annotated[Service, Depends(service_of)]

_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorMessage, "description": "There is no such thing"},
    409: {"model": ErrorMessage, "description": "Its files are damaged"},
    503: {"model": ErrorMessage, "description": "Ask again later"},
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As with that ETag"}}

router = APIRouter(prefix="/api", tags=["look"])


def _described(content: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": dict(content), "description": "OK"}}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
_ROWS = {"schema": {"type": "array", "items": {"type": "object", "additionalProperties": True}}}


@router.get("/sweeps", response_model=SweepList, responses=_UNCHANGED, summary="All sweeps")
async def sweeps(request: Request, here: Here) -> Response:
    """Those that run first, then the last changed first."""
    found = await here.index.all()

    def content() -> str:
        return SweepList(sweeps=found, ray=here.index.jobs_problem).model_dump_json()

    return here.live(request, f"list {here.index.jobs_problem}", content)


@router.get(
    "/sweeps/{name}",
    response_model=SweepState,
    responses=_MISSING | _UNCHANGED,
    summary="Where a sweep stands",
)
async def sweep(request: Request, name: SweepName, here: Here) -> Response:
    """As its last rung left it."""
    found = await here.index.get(name)
    return here.live(request, f"sweep {name}", found.model_dump_json)


@router.get(
    "/sweeps/{name}/config",
    response_class=Response,
    responses=_MISSING | _described({TOML: _TEXT}),
    summary="The resolved config",
)
async def config(name: SweepName, here: Here) -> Response:
    """The TOML that it runs with."""
    await here.index.get(name)
    try:
        text = (here.index.directory(name) / CONFIG_NAME).read_bytes()
    except OSError:
        raise Refusal(404, f'SWEEP = "{name}": has no config yet') from None
    return Response(text, media_type=TOML)


@router.get(
    "/sweeps/{name}/tables/{table}",
    responses=_MISSING
    | _UNCHANGED
    | _described(
        {
            media_type: _ROWS if kind is Format.JSON else _TEXT if kind is Format.CSV else _BINARY
            for kind, media_type in MEDIA_TYPES.items()
        }
    )
    | {406: {"model": ErrorMessage, "description": "No such format"}},
    response_class=Response,
    summary="A table",
)
async def table(
    request: Request,
    name: SweepName,
    table: TableName,
    here: Here,
    format: Annotated[Format | None, Query(description="Else what the header Accept takes")] = None,
    columns: Annotated[
        str | None, Query(max_length=10_000, description="Names between commas; else all")
    ] = None,
    offset: Whole = 0,
    limit: Whole | None = None,
) -> Response:
    """What was written, and what analysis makes of it.

    `trials` has a row for every GAN that ended, `history` one for every GAN and rung, `control`
    what real data and an untrained generator score, `importances` which hyperparameters decide,
    `verdicts` what analysis says of every GAN, `leaderboard` the sound trials, the best first.
    """
    kind = negotiated(format, request.headers.get("accept", ""))
    params = {"table": table.value, "format": kind.value, "offset": str(offset)}
    params |= {"columns": columns} if columns is not None else {}
    params |= {"limit": str(limit)} if limit is not None else {}
    file = f"{name}-{table.value}.{kind.value}"
    shown = {"Content-Disposition": f'attachment; filename="{file}"'} if format else {}
    return await here.answers.respond(
        request, "table", (name,), params, may_be_stale=False, headers=shown
    )


@router.get(
    "/sweeps/{name}/samples",
    response_model=SampleList,
    responses=_MISSING | _UNCHANGED,
    summary="Which sample grids there are",
)
async def samples(
    request: Request, name: SweepName, here: Here, trial: Whole | None = None
) -> Response:
    """Of all trials or of one."""
    params = {} if trial is None else {"trial": str(trial)}
    return await here.answers.respond(request, "samples", (name,), params)


@router.get(
    "/sweeps/{name}/samples/{trial}/{seed}.png",
    responses=_MISSING | _UNCHANGED | _described({"image/png": _BINARY}),
    response_class=Response,
    summary="A grid of samples",
)
async def grid(
    request: Request, name: SweepName, trial: int, seed: int, here: Here, step: Whole | None = None
) -> Response:
    """Of a GAN at a step, else its last."""
    if not (0 <= trial <= _LARGEST_INTEGER and 0 <= seed <= _LARGEST_INTEGER):
        raise Refusal(404, "there are no such samples")
    params = {"trial": str(trial), "seed": str(seed)}
    params |= {} if step is None else {"step": str(step)}
    return await here.answers.respond(request, "grid", (name,), params)


@router.get(
    "/sweeps/{name}/best.png",
    responses=_MISSING | _UNCHANGED | _described({"image/png": _BINARY}),
    response_class=Response,
    summary="Samples of the best trial",
)
async def best(request: Request, name: SweepName, here: Here) -> Response:
    """Its first seed's last grid."""
    return await here.answers.respond(request, "best", (name,))


@router.get(
    "/sweeps/{name}/logs",
    responses=_MISSING | _described({"text/plain": _TEXT}),
    response_class=Response,
    summary="What it has printed",
)
async def logs(name: SweepName, here: Here) -> Response:
    """Empty for a sweep that was begun at a shell."""
    return PlainTextResponse(await here.actions.logs(name))


@router.get(
    "/sweeps/{name}/archive",
    responses=_MISSING | _described({"application/gzip": _BINARY}),
    response_class=Response,
    summary="Its directory as a tar.gz",
)
async def whole(name: SweepName, here: Here) -> Response:
    """Results, networks, config and study, without logs."""
    await here.index.get(name)
    file = {"Content-Disposition": f'attachment; filename="{name}.tar.gz"'}
    chunks = archive(here.index.directory(name))
    return StreamingResponse(chunks, media_type="application/gzip", headers=file)


_EVENTS = _described({"text/event-stream": _TEXT})


@router.get("/events", responses=_EVENTS, response_class=Response, summary="What happens")
async def events(here: Here) -> Response:
    """Server-sent events of all sweeps, the state of each at once.

    They are `status`, `rung` and `end`, with the sweep's state, and `deleted`.
    """
    return _stream(here, None)


@router.get(
    "/sweeps/{name}/events",
    responses=_MISSING | _EVENTS,
    response_class=Response,
    summary="What happens to a sweep",
)
async def events_of(name: SweepName, here: Here) -> Response:
    """Likewise."""
    await here.index.get(name)
    return _stream(here, name)


def _stream(here: Service, name: str | None) -> Response:
    if here.stream.is_full:
        raise Refusal(503, "too many are watching: ask for the state now and then")
    return StreamingResponse(here.stream.events(name), media_type="text/event-stream")


@router.get("/presets", summary="Configs to begin with")
async def presets() -> dict[str, str]:
    """Name and TOML of each."""
    return {name: preset_text(name) for name in PRESETS}
