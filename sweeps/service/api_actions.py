"""What can be done over HTTP: sweeps begun, stopped, extended and deleted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from sweeps.config import SweepConfig
from sweeps.service.models import Confirmation, ErrorMessage, Extension, Plan, SweepName
from sweeps.service.service import Service, service_of
from sweeps.service.states import SweepState
from sweeps.service.submission import JSON, TOML, read_submission

__all__ = ["router"]

Here = Annotated[Service, Depends(service_of)]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorMessage, "description": "There is no such sweep"},
    409: {"model": ErrorMessage, "description": "Not as it stands now"},
    503: {"model": ErrorMessage, "description": "Ray cannot be asked, or there is none"},
}
_OF_CONFIGS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorMessage, "description": "Neither TOML nor JSON"},
    409: {"model": ErrorMessage, "description": "The name is taken"},
    415: {"model": ErrorMessage, "description": "Of another type"},
    503: {"model": ErrorMessage, "description": "Ray cannot be asked, or there is none"},
}
_EXAMPLE = {
    "search": {"trials": 8},
    "space": {"lr_g": {"low": 1e-5, "high": 0.01}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "What sweep.toml may hold, as TOML or as JSON of the same",
        "content": {
            JSON: {"schema": {"type": "object"}, "example": _EXAMPLE},
            TOML: {"schema": {"type": "string"}, "example": "[search]\ntrials = 8\n"},
        },
    }
}

router = APIRouter(prefix="/api", tags=["operate"])


async def _submitted(request: Request, here: Here) -> SweepConfig:
    """The config in the body."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    return await run_in_threadpool(read_submission, body, kind, here.settings)


Submitted = Annotated[SweepConfig, Depends(_submitted)]


@router.post(
    "/sweeps",
    status_code=201,
    responses=_OF_CONFIGS | {200: {"model": SweepState, "description": "It was begun before"}},
    openapi_extra=_BODY,
    summary="Begin a sweep",
)
async def submit(config: Submitted, here: Here, response: Response) -> SweepState:
    """Without a name it gets the next that is free.

    Submitted again by its name, it is left alone while it runs or when it is done, and goes on if
    it was stopped or failed.
    """
    sweep, is_new = await here.actions.submit(config)
    response.status_code = 201 if is_new else 200
    return sweep


@router.post(
    "/check", responses=_OF_CONFIGS, openapi_extra=_BODY, summary="See whether a config is right"
)
async def check(config: Submitted, here: Here) -> Plan:
    """Begins nothing."""
    return Plan(
        name=await here.actions.name_for(config),
        dataset=config.data.dataset.value,
        architecture=config.model.architecture,
        trials=config.search.trials,
        seeds=config.train.seeds,
        steps=config.train.steps,
        objective=config.search.objective,
    )


@router.post("/sweeps/{name}/stop", status_code=202, responses=_RESPONSES, summary="Stop a sweep")
async def stop(name: SweepName, here: Here) -> SweepState:
    """At its next rung; nothing that ended is lost, and it can go on."""
    return await here.actions.stop(name)


@router.post(
    "/sweeps/{name}/resume", status_code=202, responses=_RESPONSES, summary="Go on with a sweep"
)
async def resume(name: SweepName, here: Here) -> SweepState:
    """One that was stopped or failed."""
    return await here.actions.resume(name)


@router.post(
    "/sweeps/{name}/extend",
    status_code=202,
    responses=_RESPONSES | {400: {"model": ErrorMessage, "description": "No text"}},
    summary="Add trials to a sweep",
)
async def extend(name: SweepName, extension: Extension, here: Here) -> SweepState:
    """One that does not run; it goes on."""
    return await here.actions.resume(name, extension.trials)


@router.delete(
    "/sweeps/{name}",
    status_code=202,
    responses=_RESPONSES
    | {
        202: {"model": Confirmation, "description": "Ask again with `confirm`"},
        204: {"description": "Deleted"},
    },
    summary="Delete a sweep",
)
async def delete(
    name: SweepName,
    here: Here,
    confirm: Annotated[str | None, Query(max_length=200, description="From the first")] = None,
) -> Response:
    """Takes two requests: the first answers what the second has to send. Never while it runs."""
    if confirm is not None:
        await here.actions.delete(name, confirm)
        return Response(status_code=204)
    mark, warning = await here.actions.ask_to_delete(name)
    answer = Confirmation(confirm=mark, warning=warning)
    return Response(answer.model_dump_json(), status_code=202, media_type=JSON)
