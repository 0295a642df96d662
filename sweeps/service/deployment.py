"""The service as an application of Ray Serve, on the head of the cluster that sweeps run on.

`serve run sweeps.service.deployment:app storage=/mnt/sweeps token_file=~/gansweep.token` on the
head, or `serve deploy` with a config like cluster/service.yaml from anywhere. Ray Serve begins it
anew when its process dies. Needs the extra `ray-serve`, there and on the head.

`app` is an application builder:
https://docs.ray.io/en/latest/serve/advanced-guides/app-builder-guide.html. It may be called on any
node, so it reads no file; tokens are read on the head, by the process that answers requests, and
are in nothing that Ray Serve keeps, shows or logs.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

try:
    import ray
    from ray import serve
except ImportError:
    raise ImportError(
        'the service on Ray Serve needs ray[serve]: pip install "gansweep[ray-serve]"'
    ) from None

from gan_core.config import ConfigError
from sweeps.mistakes import SweepConfigError, first_mistake
from sweeps.service.app import make_app
from sweeps.service.guard import Guard
from sweeps.service.launching import RayLauncher
from sweeps.service.settings import (
    LETS_GO_S,
    MOST_AT_A_TIME,
    TOKEN_VARIABLE,
    VIEW_TOKEN_VARIABLE,
    ServiceSettings,
)

__all__ = ["ServiceArguments", "app"]

_BEGINNINGS = 3
"""A mistake in the arguments is said after so many; what has begun once is begun again for ever."""
_ON_HEAD = {"node:__internal_head__": 0.001}  # Ray's name of a resource that its head alone has


def _on_head(path: Path) -> Path:
    if not path.is_absolute() and not str(path).startswith("~"):
        raise ValueError("must be an absolute path, on the head")
    return path


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


HeadPath = Annotated[Path, AfterValidator(_on_head)]
Several = BeforeValidator(_several)


class ServiceArguments(BaseModel):
    """What the application takes, as `KEY=VALUE` of `serve run` or under `args` in a config.

    They are the options of `gansweep serve` of the same names. Paths are the head's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: HeadPath
    """Directory that holds the sweeps."""
    token_file: HeadPath | None = None
    """File with the token of those who may do everything, which not everybody can read. Without it
    the head's GANSWEEP_TOKEN is taken."""
    view_token_file: HeadPath | None = None
    """Likewise of those who may only look, or GANSWEEP_VIEW_TOKEN; without either nobody is."""
    address: str = "http://127.0.0.1:8265"
    """Of the cluster's dashboard, as the head reaches it."""
    allow_host: Annotated[tuple[str, ...], Several] = ()
    """Names that it may be asked by, besides addresses, `localhost` and the head's own."""
    allow_path: Annotated[tuple[HeadPath, ...], Several] = ()
    """Directories that a submitted config may name, with all in them."""
    allow_factory: Annotated[tuple[str, ...], Several] = ()
    """Architectures `package.module:factory` that a submitted config may name."""
    code: HeadPath | None = None
    """Directory with the modules of allowed architectures."""


def app(arguments: dict[str, Any]) -> serve.Application:
    """Builds the application: one replica, on the head.

    Args:
        arguments: of `ServiceArguments`; text where they come from `serve run`.

    Raises:
        SweepConfigError: one of them is wrong, or there is no such argument.
    """
    try:
        given = ServiceArguments.model_validate(arguments)
    except ValidationError as error:
        raise first_mistake(error, ServiceArguments) from None
    if given.allow_factory and given.code is None:
        raise SweepConfigError("code", None, "must name the directory of the allowed architectures")

    def service() -> Guard:
        return _service(given)

    return serve.deployment(
        serve.ingress(service)(),
        name="gansweep",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0, "resources": _ON_HEAD},
        max_ongoing_requests=MOST_AT_A_TIME,  # by default 5, fewer than who watch
        max_constructor_retry_count=_BEGINNINGS,
        graceful_shutdown_timeout_s=LETS_GO_S,
    ).bind()


def _service(given: ServiceArguments) -> Guard:
    """The service, in its process on the head.

    Raises:
        ConfigError: there is no token, it cannot be one or others can read it, or no Ray answers
            at the address.
    """
    settings = _settings(given)
    # No architecture of a user's passes without the directory of it.
    code = (given.code or settings.storage).expanduser()
    joined = ray.get_runtime_context().gcs_address
    launcher = RayLauncher(given.address, sys.executable, code, joined)
    launcher.jobs()  # whether it answers
    return make_app(settings, launcher, warm=True)


def _settings(given: ServiceArguments) -> ServiceSettings:
    token = _token("token_file", given.token_file, TOKEN_VARIABLE)
    if token is None:
        right = f"others can reach this: it must name a file on the head, or {TOKEN_VARIABLE} there"
        raise SweepConfigError("token_file", None, f"{right} hold a token")
    return ServiceSettings(
        storage=given.storage.expanduser(),
        token=token,
        view_token=_token("view_token_file", given.view_token_file, VIEW_TOKEN_VARIABLE),
        allowed_hosts=(*given.allow_host, socket.gethostname(), socket.getfqdn()),
        allowed_paths=tuple(path.expanduser() for path in given.allow_path),
        allowed_factories=given.allow_factory,
    )


def _token(key: str, file: Path | None, variable: str) -> str | None:
    """What a file holds, or else a variable of the environment."""
    if file is None:
        return os.environ.get(variable) or None
    path = file.expanduser()
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise ConfigError(key, str(file), "everybody on the head can read it: chmod 600")
        return path.read_text(errors="replace").strip()
    except OSError as error:
        raise ConfigError(key, str(file), f"cannot be read on the head: {error.strerror}") from None
