"""The command that serves sweeps over HTTP: serve."""
# ruff: noqa: D301  a docstring's backspace, \b, keeps the lines below it as they are in the help

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gan_core.config import ConfigError
from sweeps.cli_arguments import DEFAULT_STORAGE, DONE
from sweeps.mistakes import SweepFailure
from sweeps.naming import command
from sweeps.uri import is_uri, shown

if TYPE_CHECKING:
    from sweeps.service.launching import Launcher
    from sweeps.service.own_folder import OwnFolder
    from sweeps.service.settings import ServiceSettings

__all__ = ["serve"]

_PORT = 8866
_PORTS_TRIED = 20
_BACKLOG = 1024

Names = list[str] | None


def serve(
    storage: Annotated[
        str, typer.Option(metavar="DIR", help="The directory for sweeps.")
    ] = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="To listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help=f"Without it, {_PORT} or the next free."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Dashboard of the Ray cluster that sweeps run on."),
    ] = None,
    no_ray: Annotated[bool, typer.Option("--no-ray", help="Only show sweeps; begin none.")] = False,
    stop_ray: Annotated[
        bool, typer.Option("--stop-ray", help="End the Ray that it left here, and its sweeps.")
    ] = False,
    allow_path: Annotated[
        Names, typer.Option(metavar="DIR", help="Configs may name what lies in it.")
    ] = None,
    allow_factory: Annotated[
        Names, typer.Option(metavar="MODULE:FUNCTION", help="Configs may name this architecture.")
    ] = None,
    allow_host: Annotated[
        Names, typer.Option(metavar="NAME", help="It may be asked by this name.")
    ] = None,
    code: Annotated[
        Path, typer.Option(metavar="DIR", help="Where modules of allowed architectures lie.")
    ] = Path(),
    python: Annotated[
        str, typer.Option(metavar="PROGRAM", help="With --address: the interpreter on the head.")
    ] = "python",
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> int:
    """Serve sweeps to a browser and to other machines, as pages and as an API.

    \b
    gansweep serve                                      on this machine, with a Ray of its own
    gansweep serve --address http://127.0.0.1:8265      sweeps run on that cluster
    gansweep serve --storage runs --no-ray              only shows what is there
    gansweep serve --stop-ray                           ends the Ray that it has left running

    It prints links with a token; who has the second may only look. Ctrl-C ends it and leaves the
    sweeps running: the next `gansweep serve` finds them again. Its Ray ends by itself two minutes
    after the last sweep. To listen on another address than this machine's own, GANSWEEP_TOKEN must
    hold a token of yours.
    """
    _check_installed("fastapi", "uvicorn")
    from sweeps.service.own_folder import OwnFolder

    if is_uri(storage):
        raise ConfigError("--storage", shown(storage), "must be a directory, to be served")
    place = Path(storage).expanduser().absolute()
    folder = OwnFolder.of(place)
    if stop_ray:
        return _stop_ray(folder)
    settings = _settings(place, host, folder, allow_path, allow_factory, allow_host)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(_listener(host, port)))
        launcher = _launcher(folder, code.absolute(), address, no_ray, python)
        links = _links(settings, listener.getsockname()[1])
        typer.echo(f"Sweeps in {place}: {links[0]}")
        typer.echo(f"Only to look: {links[1]}")
        if show:
            typer.launch(links[0])
        _run(settings, launcher, listener)
    return DONE


def _check_installed(*names: str) -> None:
    from importlib.util import find_spec

    if missing := [name for name in names if find_spec(name) is None]:
        needs = " and ".join(missing)
        raise SweepFailure(f'the service needs {needs}: pip install "gansweep[service]"')


def _settings(
    place: Path, host: str, folder: OwnFolder, paths: Names, factories: Names, hosts: Names
) -> ServiceSettings:
    from sweeps.service.settings import (
        TOKEN_VARIABLE,
        VIEW_TOKEN_VARIABLE,
        ServiceSettings,
        is_loopback,
    )

    token = os.environ.get(TOKEN_VARIABLE)
    if not token and not is_loopback(host):
        right = (
            f"others can reach this: {TOKEN_VARIABLE} must hold a token of at least 16 characters"
        )
        raise ConfigError("--host", host, right)
    names = list(hosts or ())
    if not is_loopback(host):
        names += [socket.gethostname(), socket.getfqdn()]
    return ServiceSettings(
        storage=place,
        token=token or folder.token("token"),
        view_token=os.environ.get(VIEW_TOKEN_VARIABLE) or folder.token("view.token"),
        host=host,
        allowed_hosts=tuple(names),
        allowed_paths=tuple(Path(path).expanduser().absolute() for path in paths or ()),
        allowed_factories=tuple(factories or ()),
    )


def _launcher(
    folder: OwnFolder, code: Path, address: str | None, no_ray: bool, python: str
) -> Launcher:
    from sweeps.service.launching import NoLauncher, RayLauncher

    if no_ray:
        return NoLauncher()
    _check_installed("aiohttp")  # of ray[default]
    if address is not None:
        launcher = RayLauncher(address, python, code)
        launcher.jobs()  # whether it answers
        return launcher
    from sweeps.service.head import SERVICE_LOCK
    from sweeps.service.own_ray import OwnRay

    # Kept to the end of the process, and taken before a Ray is looked for: that one then stays.
    folder.locked(SERVICE_LOCK, shared=True, wait=True)
    own = OwnRay(folder, code)
    threading.Thread(target=_begin, args=(own,), daemon=True).start()
    return own


def _begin(own: Any) -> None:
    """Begins Ray meanwhile, so that the first sweep does not wait for it."""
    try:
        own.begin()
    except SweepFailure as failure:
        sys.stderr.write(f"gansweep: {failure}\n")


def _listener(host: str, port: int | None) -> socket.socket:
    """What the service listens on, bound already.

    Raises:
        ConfigError: it cannot be.
    """
    ports = [port] if port is not None else range(_PORT, _PORT + _PORTS_TRIED)
    for each in ports:
        try:
            family = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)[0][0]
            # The protocol is said, for asyncio to turn off Nagle's waiting, of 40 ms an answer.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError as error:
            raise ConfigError("--host", host, f"cannot be listened on: {error.strerror}") from None
        try:
            listener.bind((host, each))
            listener.listen(_BACKLOG)  # who follows the link at once waits
        except OSError as error:
            listener.close()
            reason = error.strerror
        else:
            return listener
    shown = f"{port if port is not None else f'{ports[0]} to {ports[-1]}'}"
    raise ConfigError("--port", shown, f"cannot be listened on at {host}: {reason}")


def _links(settings: ServiceSettings, port: int) -> list[str]:
    wildcards = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}
    host = wildcards.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    tokens = (settings.token, settings.view_token)
    return [f"http://{shown}:{port}/?token={token}" for token in tokens]


def _run(settings: ServiceSettings, launcher: Launcher, listener: socket.socket) -> None:
    import uvicorn

    from sweeps.service.app import make_app
    from sweeps.service.server import configured

    app = make_app(settings, launcher, warm=True)
    server = uvicorn.Server(configured(app, settings.host, listener.getsockname()[1]))
    # uvicorn ends in good order and then raises the signal again; this is the ordinary end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _stop_ray(folder: OwnFolder) -> int:
    from sweeps.service.own_ray import stop_head

    stopped = stop_head(folder)
    if stopped is None:
        typer.echo("No Ray of the service's runs here.")
        return DONE
    for name in stopped:
        typer.echo(f"{name}: stopped; {command('resume', name)} goes on")
    typer.echo("Ray has ended.")
    return DONE
