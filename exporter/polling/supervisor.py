"""Starts a worker when something is due, and says so when one dies. Runs in the daemon; never polls itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.clock import Clock
from exporter.config.load import dump
from exporter.config.reload import Running
from exporter.config.schema import Config
from exporter.config.values import size
from exporter.errors import WORKER_DIED, StoreError
from exporter.metrics.catalog import NOT_STARTED
from exporter.polling import schedule
from exporter.polling.outlook import Outlook, View
from exporter.polling.sources import Source, rendered_as
from exporter.polling.worker import OUT_OF_MEMORY
from exporter.store.state import Failure, SourceState, State

_log = logging.getLogger(__name__)

_LONGEST_NAP = 2.0  # seconds; a suspended machine, a stepped clock or a poll by hand is noticed after this long
_LONGEST_REST = 300.0  # seconds between one worker that came to nothing and the next
_TERM_GRACE = 3.0  # seconds between asking a worker to end and ending it
_FAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Task:
    """What one worker is started for, with the configuration of that moment: a reload does not disturb it."""

    config: Config
    sources: tuple[Source, ...]
    generation: int
    names: tuple[str, ...]
    """Sources to poll; none to render only."""


class Supervisor:
    """Keeps the store fresh: one worker at a time, started when a source is due or what is shown must change."""

    def __init__(
        self, running: Running[Source], outlook: Outlook, state: State, clock: Clock, *, debug: bool = False
    ) -> None:
        """`state` is the connection that this writes to; `outlook` has one of its own."""
        self._running = running
        self._outlook = outlook
        self._state = state
        self._clock = clock
        self._debug = debug
        self._nudged = asyncio.Event()
        self._rested = time.monotonic()
        self._in_vain = 0  # workers in a row that came to nothing
        self._shown = running.generation
        self._rendering = running.generation, rendered_as(running.config)
        self._can_write = self._can_start = True

    def nudge(self) -> None:
        """Look again now: the configuration has changed. What failed before is tried again at once."""
        self._rested = time.monotonic()
        self._in_vain = 0
        self._nudged.set()

    async def run(self) -> None:
        """Work until cancelled; a running worker is then ended."""
        while True:
            view, now = self._outlook.look(), self._clock.now()
            task = self._due(view, now)
            if task is not None and time.monotonic() >= self._rested:
                await self._work(task)
            else:
                await self._nap(view, now)

    def _due(self, view: View, now: datetime) -> _Task | None:
        """What to start a worker for; None where nothing is due, or nobody can know."""
        if not view.state_readable:
            return None
        sources = self._running.sources
        names = tuple(source.name for source in schedule.due(sources, view.states, now))
        if not names and now < self._next_render(view, now):
            return None
        return _Task(self._running.config, sources, self._running.generation, names)

    async def _nap(self, view: View, now: datetime) -> None:
        """Sleep until the next event, but not for long; `nudge` ends it."""
        dues = [schedule.next_due(source, view.states.get(source.name), now) for source in self._running.sources]
        event = (min([self._next_render(view, now), *dues]) - now).total_seconds()
        if not view.state_readable:
            event = _LONGEST_NAP
        rest = self._rested - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(event, rest, 0.05), _LONGEST_NAP)):
                await self._nudged.wait()
        self._nudged.clear()

    def _next_render(self, view: View, now: datetime) -> datetime:
        """When what is shown must change without a poll: by the clock, by a reload, or to make up for a crash."""
        published = view.snapshot
        if published is None:
            polled = any(state.last_success for state in view.states.values())
            return now if polled else now + _FAR  # the first poll publishes
        if published.manifest.generation != view.generation:
            return now  # a worker died between storing and publishing
        if self._shown != self._running.generation or self._strays(view):
            return now
        return published.manifest.next_change_at or now + _FAR

    def _strays(self, view: View) -> bool:
        """Whether the snapshot was rendered under another configuration: it was changed while nothing ran."""
        if self._rendering[0] != self._running.generation:
            self._rendering = self._running.generation, rendered_as(self._running.config)
        return view.snapshot is not None and view.snapshot.manifest.rendered_as != self._rendering[1]

    async def _work(self, task: _Task) -> None:
        """Run one worker to its end, which may not be its own."""
        started = self._clock.now()
        try:
            process = await asyncio.create_subprocess_exec(
                # -P: nothing that lies in the working folder, a bill's folder even, is ever imported.
                *(sys.executable, "-P", "-m", "exporter.polling.worker"),
                stdin=asyncio.subprocess.PIPE,
                env=self._clock.for_child(os.environ),
            )
        except OSError as error:  # no memory, no process to be had, no Python any more
            self._not_started(error)
            return
        if not self._can_start:
            _log.info("workers can be started again")
        self._can_start = True
        try:
            with self._writing():
                self._state.count("cloudspend_exporter_worker_runs_total")
            reason = await self._ended(process, task)
        finally:
            await _end(process)
        if reason is None:
            self._done(task)
        else:
            self._mourn(task, process.pid, started, reason)

    async def _ended(self, process: asyncio.subprocess.Process, task: _Task) -> str | None:
        """Hand over the task and wait for the end: None for work that is done, else why it is not."""
        limit = task.config.worker.memory_limit
        body = {
            "config": dump(task.config),
            "sources": task.names,
            "debug": self._debug,
            "memory_limit": size(limit) if limit else None,
        }
        assert process.stdin is not None
        try:
            async with asyncio.timeout(task.config.worker.timeout.total_seconds()):
                with contextlib.suppress(ConnectionError):  # it died at once; its exit code tells
                    process.stdin.write(json.dumps(body).encode())
                    await process.stdin.drain()
                    process.stdin.close()
                return _why(await process.wait())
        except TimeoutError:
            return "hung"

    def _done(self, task: _Task) -> None:
        """Take note of a worker that did its work; let the next one wait where this one changed nothing."""
        self._shown = task.generation
        again = self._due(self._outlook.look(), self._clock.now())
        same = again is not None and again.generation == task.generation
        if again is not None and same and (set(again.names) & set(task.names) or again.names == task.names == ()):
            self._rest()
        else:
            self._in_vain = 0

    def _mourn(self, task: _Task, pid: int, started: datetime, reason: str) -> None:
        """Say that a worker died, for each source it was polling or never came to, and rest before the next."""
        _log.error("worker died", extra={"fields": {"reason": reason, "pid": pid}})
        self._rest()
        now = self._clock.now()
        with self._writing():
            self._state.count("cloudspend_exporter_worker_failures_total", label=reason)
            states = self._state.sources()
            for source in task.sources:
                remembered = states.get(source.name, SourceState(source.name))
                begun = remembered.last_attempt is not None and remembered.last_attempt >= started
                if source.name not in task.names or (begun and remembered.attempt_pid != pid):
                    continue
                again = schedule.after_failure(source, now, WORKER_DIED, remembered.failures_in_row)
                message = (
                    f"the worker was {reason} while it polled"
                    if reason != "out_of_memory"
                    else "the worker ran out of memory"
                )
                self._state.fail(source.name, Failure(now, again, WORKER_DIED, message))

    def _not_started(self, error: OSError) -> None:
        if self._can_start:
            _log.error("a worker cannot be started; trying again", extra={"fields": {"error": error}})
        self._can_start = False
        self._rest()
        with self._writing():
            self._state.count("cloudspend_exporter_worker_failures_total", label=NOT_STARTED)

    def _rest(self) -> None:
        """Start no worker for a while: longer with each in a row that came to nothing."""
        self._rested = time.monotonic() + min(2.0 ** min(self._in_vain, 16), _LONGEST_REST)
        self._in_vain += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write to the state file; where that cannot be, the work goes on and the log says so once."""
        try:
            yield
        except StoreError as error:
            if self._can_write:
                _log.error("cannot write the state file", extra={"fields": {"error": error}})
            self._can_write = False
        else:
            if not self._can_write:
                _log.info("the state file can be written again")
            self._can_write = True


def _why(code: int) -> str | None:
    """Why a worker ended, by its exit code; None for one that did its work."""
    if code == 0:
        return None
    if code == OUT_OF_MEMORY:
        return "out_of_memory"
    return "killed" if code < 0 else "crashed"


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a worker that still runs: politely, then not."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _TERM_GRACE)
    except TimeoutError:
        process.kill()
        await process.wait()
