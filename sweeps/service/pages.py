"""The pages of the service: a shell with what is live, around what the reader makes of a sweep."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from sweeps.config_file import PRESETS, preset_text
from sweeps.service import pages_static
from sweeps.service.access import sweep_name
from sweeps.service.answers import matches
from sweeps.service.pages_templates import render
from sweeps.service.refusals import Refusal
from sweeps.service.service import Service, may_operate, service_of

__all__ = ["router"]

_WAITS_S = 0.1
"""How long a page waits for what is not computed yet; then it is sent without, and fetches it."""
_CHARTS = {"page.sweep": "page.sweep_charts", "page.trial": "page.trial_charts"}
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The report names its own scripts by their hashes inside; both policies hold."""

router = APIRouter(include_in_schema=False)
router.include_router(pages_static.router)

Here = Annotated[Service, Depends(service_of)]
Name = Annotated[str, Depends(sweep_name)]
Trial = Annotated[int, Depends(lambda trial: _trial(trial))]


def _trial(trial: str) -> int:
    """A number in the path of a page."""
    if not trial.isascii() or not trial.isdecimal() or len(trial) > 9:
        raise Refusal(404, "TRIAL: there is no such trial")
    return int(trial)


def _page(request: Request, template: str, **values: Any) -> Response:
    here = service_of(request)
    operate = may_operate(request)
    return HTMLResponse(
        render(
            template,
            may_operate=operate,
            may_start=operate and here.can_start,
            **values,
        )
    )


def _part(request: Request, text: str) -> Response:
    """A part that is asked for again and again: what has not changed is not sent."""
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(text, headers=headers)


async def _ready(here: Service, view: str, names: tuple[str, ...], **params: str) -> Markup:
    """What a view makes, if it is there at once; else nothing, and the page asks again."""
    task = asyncio.ensure_future(here.answers.get(view, names, params))
    if view in _CHARTS:
        own = {key: value for key, value in params.items() if key == "trial"}
        _along(here, _CHARTS[view], names, **own)
    done, _ = await asyncio.wait({task}, timeout=_WAITS_S)
    if not done:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return Markup()
    if isinstance(task.exception(), Refusal):
        return Markup()
    return Markup(task.result().plain.decode())


def _along(here: Service, view: str, names: tuple[str, ...], **params: str) -> None:
    """Begins what a page asks for next, so that its sweep is read once for both."""
    task = asyncio.ensure_future(here.answers.get(view, names, params))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


# --- all sweeps


@router.get("/")
async def all_sweeps(request: Request, here: Here) -> Response:
    """The list."""
    return _page(request, "list", part=Markup(await _list(here)))


@router.get("/parts/sweeps")
async def sweeps_part(request: Request, here: Here) -> Response:
    """The list, to stand in for the one that a page has."""
    return _part(request, await _list(here))


async def _list(here: Service) -> str:
    found, problem = await here.index.all(), here.index.jobs_problem
    return here.shown(f"list {problem}", lambda: render("list_part", sweeps=found, problem=problem))


# --- one sweep


@router.get("/sweeps/{name}")
async def sweep(request: Request, name: Name, here: Here, all_trials: bool = False) -> Response:
    """A sweep."""
    state = await here.index.get(name)
    params = {"all": "1"} if all_trials else {}
    return _page(
        request,
        "sweep",
        sweep=state,
        head=Markup(_head(request, state)),
        body=await _ready(here, "page.sweep", (name,), **params),
        query="?all_trials=1" if all_trials else "",
    )


def _head(request: Request, state: Any) -> str:
    here, operate = service_of(request), may_operate(request)
    start = operate and here.can_start
    return here.shown(
        f"head {state.name} {operate}",
        lambda: render("sweep_head", sweep=state, may_operate=operate, may_start=start),
    )


@router.get("/sweeps/{name}/parts/head")
async def head_part(request: Request, name: Name, here: Here) -> Response:
    """How far it is, and what can be done with it."""
    return _part(request, _head(request, await here.index.get(name)))


@router.get("/sweeps/{name}/parts/body")
async def body_part(request: Request, name: Name, here: Here, all_trials: bool = False) -> Response:
    """What analysis makes of it."""
    await here.index.get(name)
    params = {"all": "1"} if all_trials else {}
    try:
        return await here.answers.respond(request, "page.sweep", (name,), params)
    except Refusal as refusal:
        if refusal.status not in (404, 409):
            raise
        # What is wrong with damaged files stands in the head.
        return _part(request, '<p class="nothing">Nothing has been measured yet.</p>')


@router.get("/sweeps/{name}/parts/charts")
async def charts_part(request: Request, name: Name, here: Here) -> Response:
    """The charts of its page."""
    return await here.answers.respond(request, "page.sweep_charts", (name,))


@router.get("/sweeps/{name}/report")
async def report(request: Request, name: Name, here: Here) -> Response:
    """The whole report, as `gansweep report` writes it."""
    return await here.answers.respond(
        request, "page.report", (name,), headers={"Content-Security-Policy": _REPORT_POLICY}
    )


# --- one trial


@router.get("/sweeps/{name}/trials/{trial}")
async def trial(request: Request, name: Name, trial: Trial, here: Here) -> Response:
    """A trial."""
    state = await here.index.get(name)
    body = await _ready(here, "page.trial", (name,), trial=str(trial))
    return _page(request, "trial", sweep=state, trial=trial, body=body)


@router.get("/sweeps/{name}/trials/{trial}/parts/body")
async def trial_part(request: Request, name: Name, trial: Trial, here: Here) -> Response:
    """What is known of it."""
    return await here.answers.respond(request, "page.trial", (name,), {"trial": str(trial)})


@router.get("/sweeps/{name}/trials/{trial}/parts/charts")
async def trial_charts(request: Request, name: Name, trial: Trial, here: Here) -> Response:
    """Its curves."""
    return await here.answers.respond(request, "page.trial_charts", (name,), {"trial": str(trial)})


# --- two sweeps


@router.get("/compare")
async def compare(
    request: Request,
    here: Here,
    a: Annotated[str, Query(max_length=100)] = "",
    b: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Two sweeps side by side."""
    sweeps = await here.index.all()
    known = {state.name for state in sweeps}
    chosen = a != b and {a, b} <= known
    body = await _ready(here, "page.compare", (a, b)) if chosen else Markup()
    missing = [name for name in (a, b) if name and name not in known]
    query = urlencode({"a": a, "b": b})
    names = [state.name for state in sweeps]
    return _page(
        request, "compare",
        names=names, a=a, b=b, chosen=chosen, missing=missing, body=body, query=query,
    )  # fmt: skip


@router.get("/compare/parts/{part}")
async def compare_part(request: Request, part: str, here: Here, a: str, b: str) -> Response:
    """What they differ in, or its charts."""
    views = {"body": "page.compare", "charts": "page.compare_charts"}
    if part not in views:
        raise Refusal(404, "there is no such part")
    return await here.answers.respond(request, views[part], (sweep_name(a), sweep_name(b)))


# --- a new sweep


@router.get("/new")
async def new(request: Request, here: Here, preset: str = "digits") -> Response:
    """The form that begins a sweep."""
    if preset not in PRESETS:
        raise Refusal(404, "preset: there is none of this name")
    return _page(request, "new", presets=list(PRESETS), preset=preset, text=preset_text(preset))
