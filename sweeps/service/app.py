"""The application that a server runs: its routes, its errors, its beginning and end."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gan_core.config import ConfigError
from sweeps.mistakes import SweepFailure, shown
from sweeps.service import api, api_actions
from sweeps.service.guard import Guard
from sweeps.service.launching import Launcher
from sweeps.service.models import ErrorMessage
from sweeps.service.refusals import Refusal
from sweeps.service.service import Service
from sweeps.service.settings import ServiceSettings
from sweeps.versions import versions

__all__ = ["make_app"]


_EVERYWHERE: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorMessage, "description": "No token, or none of this service"},
    403: {"model": ErrorMessage, "description": "The token may only look"},
    413: {"model": ErrorMessage, "description": "The body is too large"},
    421: {"model": ErrorMessage, "description": "Asked by a name that is none of its own"},
    422: {"model": ErrorMessage, "description": "A value is wrong; the message names its key"},
}


def make_app(settings: ServiceSettings, launcher: Launcher, *, warm: bool = False) -> Guard:
    """The service, as any ASGI server runs it.

    Args:
        settings: of the service.
        launcher: what sweeps run on.
        warm: whether to import at once what the first page needs.
    """
    app = FastAPI(
        title="gansweep",
        description="Sweeps of GAN hyperparameters: submit, watch and stop them.",
        version=versions()["gansweep"].split()[0],
        # Their pages take scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=_EVERYWHERE,
        lifespan=_lifespan,
    )
    app.state.settings, app.state.launcher, app.state.warm = settings, launcher, warm
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.include_router(api.router)
    app.include_router(api_actions.router)
    if importlib.util.find_spec("sweeps.service.pages") is not None:
        app.include_router(importlib.import_module("sweeps.service.pages").router)
    return Guard(app, settings)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service = Service(app.state.settings, app.state.launcher)
    app.state.service = service
    if app.state.warm:
        service.answers.warm()
    try:
        yield
    finally:
        service.close()


def _error(status: int, message: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": " ".join(message.split())}, status, headers)


async def _refused(request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refusal)
    return _error(refusal.status, refusal.message)


async def _mistaken(request: Request, error: Exception) -> JSONResponse:
    return _error(422, str(error))


async def _failed(request: Request, failure: Exception) -> JSONResponse:
    return _error(503, str(failure))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()[0]
    key = ".".join(str(part) for part in found["loc"][1:]) or "body"
    if found["type"] == "json_invalid":
        return _error(422, f"body: is no JSON: {found['ctx']['error']}")
    value = shown(None if found["type"] == "missing" else found.get("input"))
    return _error(422, f"{key} = {value}: {found['msg']}")


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail), error.headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    """Its traceback goes to the log alone."""
    return _error(500, "this is a fault of the service: its log says more")


_HANDLERS: dict[type[Exception], Any] = {
    Refusal: _refused,
    ConfigError: _mistaken,
    SweepFailure: _failed,
    RequestValidationError: _invalid,
    HTTPException: _of_http,
    Exception: _ours,
}
