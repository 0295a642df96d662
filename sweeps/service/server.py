"""How the service is run by uvicorn."""

from __future__ import annotations

from typing import Any

import uvicorn

from sweeps.service.settings import LETS_GO_S, MOST_AT_A_TIME

__all__ = ["configured"]


def configured(app: Any, host: str, port: int) -> uvicorn.Config:
    """Quiet: an address may hold a token, so no request is logged; faults are.

    Args:
        app: from `sweeps.service.app.make_app`.
        host: to listen on.
        port: 0 for any that is free.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="asyncio",  # and not whatever else is installed
        http="h11",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=LETS_GO_S,
        limit_concurrency=MOST_AT_A_TIME,
    )
