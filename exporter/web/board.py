"""What is being served right now: the newest snapshot and the live part, ready as bytes.

A scrape joins compressed bytes and sends them: it opens no file, asks no database, waits for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from exporter import snapshot
from exporter.clock import Clock
from exporter.errors import StoreError
from exporter.gzipped import EMPTY, extended
from exporter.metrics import own
from exporter.metrics.exposition import EOF, Form, render
from exporter.polling.schedule import next_due
from exporter.polling.sources import Paths, Source
from exporter.snapshot import Snapshot
from exporter.store.lake import Lake
from exporter.store.state import SourceState, State

_log = logging.getLogger(__name__)


class Board:
    """Keeps the served bytes current. `refresh` is called every second, and costs little while all is quiet."""

    def __init__(self, sources: Sequence[Source], paths: Paths, state: State, clock: Clock) -> None:
        self.sources = sources
        self._paths = paths
        self._state = state
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._states: dict[str, SourceState] = {}
        self._seen = -1
        self._live: dict[bool, bytes] = {}
        self._broken = False

    def refresh(self) -> None:
        """Take up a newer snapshot and newer facts; keep what there is where they cannot be read."""
        try:
            self._refresh()
        except (StoreError, OSError) as error:
            if not self._broken:
                _log.error("cannot read the store; serving what is known", extra={"fields": {"error": error}})
            self._broken = True
        else:
            if self._broken:
                _log.info("the store can be read again")
            self._broken = False

    def body(self, form: Form) -> bytes:
        """The whole of /metrics in the form that the scraper wants."""
        live = self._live.get(form.openmetrics, b"") + own.process(openmetrics=form.openmetrics)
        if form.openmetrics:
            live += EOF
        current = self._current
        if form.gzip:
            return extended(current.compressed if current else EMPTY, live)
        return (current.plain if current else b"") + live

    @property
    def ready(self) -> bool:
        """Whether there is a bill to serve."""
        current = self._current
        return current is not None and bool(current.manifest.sources)

    def facts(self) -> list[dict[str, Any]]:
        """One mapping per source, for the landing page: state, freshness, next poll."""
        now = self._clock.now()
        shown = self._snapshot.manifest.sources if self._snapshot else {}
        rows = []
        for source in self.sources:
            state = self._states.get(source.name, SourceState(source.name))
            rows.append(
                {
                    "source": source.name,
                    "provider": source.spec.name,
                    "up": state.up,
                    "failed": state.failed_reason,
                    "message": state.failed_message,
                    "hint": state.failed_hint,
                    "last_success": state.last_success,
                    "next_poll": next_due(source, state, now),
                    "settled": shown.get(source.name, {}).get("settled"),
                    "rows": state.rows,
                }
            )
        return rows

    @property
    def _current(self) -> Snapshot | None:
        """The snapshot, unless it is so old that it would lie."""
        if self._snapshot is None:
            return None
        expires: datetime | None = self._snapshot.manifest.expires_at
        return None if expires is not None and self._clock.now() >= expires else self._snapshot

    def _refresh(self) -> None:
        fresh = False
        if snapshot.newest(self._paths.snapshots) > (self._snapshot.id if self._snapshot else 0):
            self._snapshot = snapshot.load(self._paths.snapshots)
            fresh = True
        version = self._state.version()
        if fresh or version != self._seen or not self._live:
            self._states = self._state.sources()
            shown = self._snapshot.manifest.sources if self._snapshot else {}
            facts = own.Facts(
                sources=self.sources,
                states=self._states,
                counters=self._state.counters(),
                snapshot_made=self._snapshot.manifest.made if self._snapshot else None,
                store_bytes=Lake(self._paths.lake).size,
                ended=frozenset(name for name, said in shown.items() if said["ended"]),
            )
            families = list(own.families(facts))
            self._live = {openmetrics: render(families, openmetrics=openmetrics) for openmetrics in (False, True)}
            self._seen = version
