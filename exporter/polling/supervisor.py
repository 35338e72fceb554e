"""Starts a worker when something is due, and says so when one dies. Runs in the daemon; never polls itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from exporter import snapshot
from exporter.clock import Clock
from exporter.config.load import dump
from exporter.config.schema import Config
from exporter.config.values import size
from exporter.errors import WORKER_DIED
from exporter.polling import schedule
from exporter.polling.sources import Paths, resolve
from exporter.polling.worker import OUT_OF_MEMORY
from exporter.store.lake import Lake
from exporter.store.state import Failure, State

_log = logging.getLogger(__name__)

_LONGEST_NAP = 2.0  # seconds; a suspended machine, a stepped clock or a poll by hand is noticed after this long
_TERM_GRACE = 3.0  # seconds between asking a worker to end and ending it


class Supervisor:
    """Keeps the store fresh: one worker at a time, started when a source is due or the content changes by the clock."""

    def __init__(self, config: Config, state: State, clock: Clock, *, debug: bool = False) -> None:
        self.config = config
        self.sources = resolve(config)
        self.paths = Paths(config.store.path)
        self.clock = clock
        self._state = state
        self._debug = debug
        limit = config.worker.memory_limit
        self._memory = size(limit) if limit else None
        self._rest_until = clock.now()
        self._failures = 0

    async def run(self) -> None:
        """Work until cancelled; a running worker is then ended."""
        while True:
            now = self.clock.now()
            names = [source.name for source in schedule.due(self.sources, self._state.sources(), now)]
            if now >= self._rest_until and (names or now >= self._next_render(now)):
                await self._work(names)
            else:
                await asyncio.sleep(min(max((self._next_event(now) - now).total_seconds(), 0.05), _LONGEST_NAP))

    def _next_event(self, now: datetime) -> datetime:
        states = self._state.sources()
        dues = [schedule.next_due(source, states.get(source.name), now) for source in self.sources]
        return max(min([self._next_render(now), *dues]), self._rest_until)

    def _next_render(self, now: datetime) -> datetime:
        """When the snapshot changes by the clock alone."""
        published = snapshot.load(self.paths.snapshots)
        if published is None:
            polled = any(state.last_success for state in self._state.sources().values())
            return now if polled else now + timedelta(days=1)  # the first poll publishes
        if published.manifest.generation != Lake(self.paths.lake).generation:
            return now  # a worker died between storing and publishing
        return published.manifest.next_change_at or now + timedelta(days=1)

    async def _work(self, names: Sequence[str]) -> None:
        """Run one worker to its end, which may not be its own."""
        task = {
            "config": dump(self.config),
            "sources": list(names),
            "debug": self._debug,
            "memory_limit": self._memory,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter.polling.worker"),
            stdin=asyncio.subprocess.PIPE,
            env=self.clock.for_child(os.environ),
        )
        self._state.count("cloudspend_exporter_worker_runs_total")
        reason = None
        try:
            assert process.stdin is not None
            with contextlib.suppress(ConnectionError):  # it died at once; its exit code tells
                process.stdin.write(json.dumps(task).encode())
                await process.stdin.drain()
                process.stdin.close()
            try:
                code = await asyncio.wait_for(process.wait(), self.config.worker.timeout.total_seconds())
                reason = _why(code)
            except TimeoutError:
                reason = "hung"
        finally:
            await _end(process)
        if reason is None:
            self._failures = 0
        else:
            self._mourn(process.pid, reason)

    def _mourn(self, pid: int, reason: str) -> None:
        """Say that a worker died, for each source it was polling, and take a breath before the next."""
        now = self.clock.now()
        self._state.count("cloudspend_exporter_worker_failures_total", label=reason)
        states = self._state.sources()
        for source in self.sources:
            remembered = states.get(source.name)
            if remembered is None or remembered.attempt_pid != pid:
                continue
            again = schedule.after_failure(source, now, WORKER_DIED, remembered.failures_in_row)
            message = (
                f"the worker was {reason} while it polled"
                if reason != "out_of_memory"
                else "the worker ran out of memory"
            )
            self._state.fail(source.name, Failure(now, again, WORKER_DIED, message))
        self._rest_until = now + min(timedelta(seconds=2**self._failures), timedelta(minutes=5))
        self._failures += 1
        _log.error("worker died", extra={"fields": {"reason": reason, "pid": pid}})


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
