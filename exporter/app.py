"""The composition root: a configuration in, a running daemon out."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from exporter import __version__
from exporter.clock import Clock
from exporter.config.reload import Folder, Read, Running
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem, StoreError
from exporter.notify.postman import Postman
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths, Source, resolve
from exporter.polling.supervisor import Supervisor
from exporter.store.files import make_folder, storing, use_reserve
from exporter.store.state import State
from exporter.web.app import Web
from exporter.web.board import Board
from exporter.web.guard import Guard
from exporter.web.receiver import Receiver
from exporter.web.tls import Live
from exporter.web.webconfig import LiveFile

_log = logging.getLogger(__name__)

_PATIENCE = 0.2  # seconds that the daemon waits for another writer of the state file
_REFRESH = 1.0  # seconds between looks at the store


def serve(
    config: Config,
    address: str,
    clock: Clock,
    *,
    read: Read | None = None,
    folder: Folder | None = None,
    web_config: Path | None = None,
    debug: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT. StoreError where another daemon owns the data folder.

    `read` reads the configuration again for a reload; `folder` says where its budgets are; `web_config` is the file
    with TLS and users.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to reload
    running = Running(config, resolve, clock, read, folder)
    guarded = LiveFile(web_config) if web_config else None
    paths = Paths(config.store.path)
    listening = _listen(address)
    # Two connections: one notices only what another has written. Scrapes wait while they do, so they give up soon.
    with (
        _alone(paths.daemon_lock),
        State(paths.state, _PATIENCE) as writing,
        State(paths.state, _PATIENCE) as reading,
    ):
        outlook = Outlook(paths, reading)
        supervisor = Supervisor(running, outlook, writing, clock, debug=debug)
        postman = Postman(config, paths.state, paths.snapshots, clock)
        receiver = Receiver(paths.state, paths.snapshots, lambda: running.config, clock, postman.nudge)
        daemon = _Daemon(running, supervisor, Board(running, outlook, clock), postman, receiver, guarded)
        host, port = listening.getsockname()[:2]
        where = f"{'https' if guarded and guarded.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        _log.info("serving", extra={"fields": {"version": __version__, "address": f"{where}/metrics"}})
        postman.start()
        try:
            asyncio.run(daemon.run(listening))
        finally:
            receiver.close()
            postman.stop()
    _log.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling and without a look at the clock ten times a second."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self._ending = asyncio.Event()

    def stop(self) -> None:
        """Let it end."""
        self.should_exit = True
        self._ending.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon: it stops the worker too, and ends with code 0."""
        yield

    async def main_loop(self) -> None:
        """Tick once a second, for the Date header, until stopped."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH):
                    await self._ending.wait()


class _Daemon:
    """What runs together: polling, watching the store, serving, and reloads."""

    def __init__(
        self,
        running: Running[Source],
        supervisor: Supervisor,
        board: Board,
        postman: Postman,
        receiver: Receiver,
        guarded: LiveFile | None,
    ) -> None:
        self._running = running
        self._supervisor = supervisor
        self._postman = postman
        self._board = board
        board.refresh()  # a restart serves the last snapshot from its first second on
        web = Web(board, running.text, self._reload, receiver)
        settings = uvicorn.Config(
            Guard(web, guarded) if guarded else web,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        settings.load()
        if guarded and guarded.tls:
            settings.ssl = Live(guarded.context)
        self._server = _Server(settings)

    async def run(self, listening: socket.socket) -> None:
        """Serve until a signal says otherwise. SIGHUP reloads, and so does a change of the files of budgets."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._server.stop)
        reloads: set[asyncio.Task[None]] = set()  # the loop itself would forget them

        def reload() -> None:
            task = asyncio.create_task(self._reload_on_signal())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        polling = asyncio.create_task(self._supervisor.run())
        watching = asyncio.create_task(self._watch(reload))
        # A daemon that cannot poll any more must not go on serving as if it could.
        for task in (polling, watching):
            task.add_done_callback(lambda _task: self._server.stop())
        try:
            await self._server.serve(sockets=[listening])
        finally:
            for task in (polling, watching):
                task.cancel()
            results = await asyncio.gather(polling, watching, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _watch(self, reload: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            self._board.refresh()
            if self._running.budgets_changed():
                _log.info("budgets have changed")
                reload()

    async def _reload(self) -> None:
        """Take up the configuration as it is now. ConfigError where it cannot be used; then nothing has changed."""
        try:
            await self._running.reload()
            self._supervisor.nudge()
            self._postman.configure(self._running.config)
        finally:
            self._board.refresh()

    async def _reload_on_signal(self) -> None:
        with suppress(ConfigError):  # logged; a signal has no answer
            await self._reload()


def _listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT`, `:PORT` (every address) or `[IPv6]:PORT`. ConfigError where it is none."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError((Problem("--web.listen-address", f"{address!r} is not HOST:PORT"),), file="command line")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio switches Nagle's algorithm off: with it, a kept connection waits 40 ms each time.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    with storing(path.parent):
        make_folder(path.parent)
        use_reserve(path.parent)
        opened = path.open("a+")
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise StoreError(
                f"{path.parent}: another cloudspend serves from this folder (pid {owner})."
                " hint: stop it, or give this one a store.path of its own"
            ) from None
        with storing(path):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield
