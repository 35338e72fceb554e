"""What is being served right now: the newest snapshot and the live part, ready as bytes.

A scrape joins compressed bytes and sends them: it opens no file, asks no database, waits for nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from exporter.clock import Clock
from exporter.config.reload import LastReload, Running
from exporter.costs.money import add
from exporter.gzipped import EMPTY, extended
from exporter.metrics import own
from exporter.metrics.exposition import EOF, Form, render
from exporter.notify.lanes import lanes
from exporter.periods import Month
from exporter.polling.outlook import Outlook, View
from exporter.polling.plan import unasked
from exporter.polling.schedule import next_due
from exporter.polling.sources import Source
from exporter.snapshot import Snapshot
from exporter.store.spending import USD
from exporter.store.state import SourceState
from exporter.web.checking import document
from exporter.web.landing_summary import Summary, summarised


class Board:
    """Keeps the served bytes current. `refresh` is called every second, and costs little while all is quiet."""

    def __init__(self, running: Running[Source], outlook: Outlook, clock: Clock) -> None:
        self._running = running
        self._outlook = outlook
        self._clock = clock
        self._view = View()
        self._month = Month.containing(clock.now())
        self._rendered: tuple[View, LastReload, Month] | None = None
        self._live: dict[bool, bytes] = {}
        self._summary: tuple[Snapshot, Summary] | None = None

    def refresh(self) -> None:
        """Take up a newer snapshot, newer facts and a newer configuration."""
        self._view = self._outlook.look()
        month = Month.containing(self._clock.now())
        if month != self._month:
            self._month = month  # api budgets begin anew
        seen = (self._view, self._running.last, self._month)
        if self._rendered is not None and all(new is old for new, old in zip(seen, self._rendered, strict=True)):
            return
        families = list(own.families(self._facts()))
        self._live = {openmetrics: render(families, openmetrics=openmetrics) for openmetrics in (False, True)}
        self._rendered = seen

    def body(self, form: Form) -> bytes:
        """The whole of /metrics in the form that the scraper wants."""
        live = self._live.get(form.openmetrics, b"") + own.process(openmetrics=form.openmetrics)
        if form.openmetrics:
            live += EOF
        current = self._current
        if form.gzip:
            return extended(current.compressed if current else EMPTY, live)
        return (current.plain if current else b"") + live

    def pushed(self) -> bytes:
        """What a scrape shows, in the text format, but for `process_*` and `python_info`.

        Those of a command that pushes and ends mean nothing, and node_exporter refuses them beside its own.
        """
        current = self._current
        return (current.plain if current else b"") + self._live.get(False, b"")

    def check(self) -> bytes | None:
        """What checks judge, as JSON (`checking.document`); None where there is no bill to show."""
        current = self._current
        if current is None or not self.ready:
            return None
        try:
            return document(current, self._clock.now(), self.facts())
        except OSError:  # superseded within the last second, or the disk fails
            return None

    def summary(self) -> Summary | None:
        """What the landing page shows; None where there is no bill to show. Read once for each snapshot."""
        current = self._current
        if current is None or not self.ready:
            return None
        if self._summary is None or self._summary[0] is not current:
            try:
                self._summary = current, summarised(current.check())
            except (OSError, ValueError, KeyError, ArithmeticError):
                return None  # superseded within the last second, or written by another version
        return self._summary[1]

    @property
    def now(self) -> datetime:
        """Of the business clock."""
        return self._clock.now()

    @property
    def ready(self) -> bool:
        """Whether there is a bill to serve."""
        current = self._current
        return current is not None and bool(current.manifest.sources)

    @property
    def expired(self) -> datetime | None:
        """Since when the newest snapshot is too old to be served; None where it is not, or there is none."""
        published = self._view.snapshot
        expires = published.manifest.expires_at if published else None
        return expires if expires is not None and self._clock.now() >= expires else None

    def facts(self) -> list[dict[str, Any]]:
        """One mapping per source, for the landing page: state, freshness, next poll."""
        now = self._clock.now()
        shown = self._view.snapshot.manifest.sources if self._view.snapshot else {}
        rows = []
        for source in self._running.sources:
            state = self._view.states.get(source.name, SourceState(source.name))
            rows.append(
                {
                    "source": source.name,
                    "provider": source.spec.name,
                    "label": source.spec.label,
                    "up": state.up,
                    "failed": state.failed_reason,
                    "message": state.failed_message,
                    "hint": state.failed_hint,
                    "polling_since": state.last_attempt if state.attempt_pid is not None else None,
                    "last_success": state.last_success,
                    "next_poll": max(next_due(source, state, now), now),
                    "settled": shown.get(source.name, {}).get("settled"),
                    "rows": state.rows,
                }
            )
        return rows

    @property
    def _current(self) -> Snapshot | None:
        """The snapshot, unless it is so old that it would lie."""
        return None if self.expired else self._view.snapshot

    def _facts(self) -> own.Facts:
        published = self._view.snapshot
        shown = published.manifest.sources if published else {}
        sources, now = self._running.sources, self._clock.now()
        prices = {source.name: unasked(source, now) for source in sources}
        return own.Facts(
            sources=sources,
            states=self._view.states,
            counters=self._view.counters,
            snapshot_made=published.manifest.made if published else None,
            store_bytes=self._view.store_bytes,
            reloaded=self._running.last.successful,
            reloaded_at=self._running.last.succeeded_at,
            ended=frozenset(name for name, said in shown.items() if said.get("ended")),
            budgets=self._budgets(),
            currencies={name: tuple(price.charges) for name, price in prices.items()},
            units={name: tuple(price.units) for name, price in prices.items()},
            channels=tuple(lanes(self._running.config).named),
            waiting=self._view.waiting,
        )

    def _budgets(self) -> list[own.Budget]:
        """The caps on what asking may cost, and what is spent of each this month."""
        charges = [
            (spent.source, spent.charge)
            for spent in self._view.spending
            if spent.month == self._month and spent.currency == USD
        ]
        sources = self._running.sources
        budgets = [
            own.Budget(source.name, source.caps.own, add(*(charge for name, charge in charges if name == source.name)))
            for source in sources
            if source.caps.own is not None
        ]
        overall = sources[0].caps.overall if sources else None
        if overall is not None:
            budgets.append(own.Budget("", overall, add(*(charge for _, charge in charges))))
        return budgets
