"""The composition root: a configuration in, a running daemon out."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from exporter import __version__
from exporter.clock import Clock
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem, StoreError
from exporter.polling.sources import Paths
from exporter.polling.supervisor import Supervisor
from exporter.store.state import State
from exporter.web.app import Web
from exporter.web.board import Board

_log = logging.getLogger(__name__)

_REFRESH = 1.0  # seconds between looks at the store


def serve(config: Config, address: str, clock: Clock, *, debug: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. StoreError where another daemon owns the data folder."""
    paths = Paths(config.store.path)
    listening = _listen(address)
    # Two connections: one notices only what another has written.
    with _alone(paths.daemon_lock), State(paths.state) as writing, State(paths.state) as reading:
        supervisor = Supervisor(config, writing, clock, debug=debug)
        board = Board(supervisor.sources, paths, reading, clock)
        board.refresh()  # a restart serves the last snapshot from its first second on
        host, port = listening.getsockname()[:2]
        _log.info("serving", extra={"fields": {"version": __version__, "address": f"http://{host}:{port}/metrics"}})
        asyncio.run(_run(supervisor, board, listening))
    _log.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the daemon stops the worker too, and ends with code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield


async def _run(supervisor: Supervisor, board: Board, listening: socket.socket) -> None:
    settings = uvicorn.Config(
        Web(board), lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    server = _Server(settings)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    polling = asyncio.create_task(supervisor.run())
    watching = asyncio.create_task(_watch(board))
    # A daemon that cannot poll any more must not go on serving as if it could.
    polling.add_done_callback(lambda _task: stop())
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in (polling, watching):
            task.cancel()
        results = await asyncio.gather(polling, watching, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _watch(board: Board) -> None:
    while True:
        await asyncio.sleep(_REFRESH)
        board.refresh()


def _listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT`, `:PORT` (every address) or `[IPv6]:PORT`. ConfigError where it is none."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError((Problem("--web.listen-address", f"{address!r} is not HOST:PORT"),), file="command line")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, int(port)))
    except OSError as error:
        problem = Problem("--web.listen-address", f"cannot listen on {address}: {error.strerror}")
        raise ConfigError((problem,), file="command line") from error
    listening.listen(128)
    return listening


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the daemon's lock; StoreError where another daemon does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise StoreError(
                f"{path.parent}: another cloudspend serves from this folder (pid {owner})."
                " hint: stop it, or give this one a store.path of its own"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
