"""Alertmanager's webhook, version 4: POST /receiver/alertmanager puts a group of alerts into the outbox.

200   it is on the disk; the sender does the rest
400   the body is none; 404 no channel is configured. Alertmanager does not send it again
413   the body is too large
503   the outbox cannot be written now; Alertmanager sends it again
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from exporter import snapshot
from exporter.clock import Clock
from exporter.config.schema import Config
from exporter.errors import StoreError
from exporter.notify.alerts import Group, by_fingerprint, identity, message, parsed
from exporter.notify.lanes import Lanes, lanes
from exporter.notify.sender import post
from exporter.notify.words import Pages
from exporter.store.state import State

_log = logging.getLogger(__name__)

PATH = "/receiver/alertmanager"
LARGEST = 32 * 1024 * 1024
"""Bytes of a body; a thousand alerts are one or two million."""

_PATIENCE = 5.0  # seconds to wait for another writer of the state file; Alertmanager waits longer
_REPEATED_AFTER = timedelta(minutes=30)
"""Alertmanager sends a group again within minutes where it had no answer, and as a reminder after hours."""


class Receiver:
    """Takes groups of alerts. Its own thread reads and writes: scrapes do not wait for it."""

    def __init__(
        self, state: Path, snapshots: Path, config: Callable[[], Config], clock: Clock, nudge: Callable[[], None]
    ) -> None:
        """`config`: the one in force; `nudge` is called when there is something in the outbox."""
        self._path = state
        self._snapshots = snapshots
        self._config = config
        self._clock = clock
        self._nudge = nudge
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="receiver")
        self._state: State | None = None
        self._lanes: tuple[Config, Lanes] | None = None
        self._findings: tuple[int, Mapping[str, Mapping[str, Any]]] = (0, {})
        self._broken = False

    async def take(self, body: bytes) -> tuple[int, str]:
        """Status and sentence for a request with this body."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._taken, body)

    def close(self) -> None:
        """Let go of the state file."""
        self._thread.submit(self._let_go).result()
        self._thread.shutdown()

    def _taken(self, body: bytes) -> tuple[int, str]:
        config = self._config()
        if self._lanes is None or self._lanes[0] is not config:
            self._lanes = config, lanes(config)
        if not self._lanes[1].named:
            return 404, "no channel is configured. hint: notify.channels"
        try:
            group = parsed(body)
        except ValueError as error:
            _log.warning("not a group of alerts", extra={"fields": {"problem": error}})
            return 400, str(error)
        try:
            new = self._post(group, *self._lanes)
        except StoreError as error:
            if not self._broken:
                _log.error("cannot keep alerts; Alertmanager sends them again", extra={"fields": {"error": error}})
            self._broken = True
            self._let_go()
            return 503, "the outbox cannot be written now"
        self._broken = False
        self._nudge()
        return 200, f"{new} messages" if new != 1 else "1 message"

    def _post(self, group: Group, config: Config, lanes: Lanes) -> int:
        now, name = self._clock.now(), identity(group)
        if self._state is None:
            self._state = State(self._path, _PATIENCE)
        if self._state.posted_since(name, now - _REPEATED_AFTER):
            return 0
        # A reminder, hours later, is a message of its own.
        pages = Pages(config.notify.external_url, config.notify.grafana_url)
        said = message(group, now, self._explained(group), f"{name}-{now:%Y%m%dT%H%M%S}", pages)
        return self._state.post([post(said, lanes)], now)

    def _explained(self, group: Group) -> Mapping[str, Mapping[str, Any]]:
        """The findings of the newest snapshot, where an alert is about one."""
        if not any("fingerprint" in alert.labels for alert in group.alerts):
            return {}
        newest = snapshot.newest(self._snapshots)
        if newest != self._findings[0]:
            try:
                found = snapshot.load(self._snapshots)
                self._findings = newest, by_fingerprint(found.check()) if found else {}
            except (OSError, ValueError, KeyError):
                return self._findings[1]  # superseded while it was being read
        return self._findings[1]

    def _let_go(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None
