"""Back-fills: which months of the past are still to be asked for, at what price, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from exporter.costs import Ask
from exporter.periods import Month, Window
from exporter.polling.plan import Price, price
from exporter.polling.sources import Source
from exporter.store.spending import Spending
from exporter.store.state import Failure, Success


@dataclass(slots=True)
class Run:
    """The back-fill of one source."""

    source: Source
    whole: Window
    """As it was asked for."""
    todo: dict[Month, Window]
    """Months that are still to be asked for, each with the part of it."""
    kept_since: datetime | None
    """Where the provider keeps less than was asked for: since when."""
    done: int
    """Months that an interrupted run has done already."""
    failed: bool = False

    @classmethod
    def prepared(cls, source: Source, whole: Window, state: Spending, now: datetime) -> Run:
        """What is left to do, after what the provider keeps and what an interrupted run has done."""
        history = source.spec.history
        oldest = Month.containing(now - history).window().start if history is not None else whole.start
        kept = Window(min(max(whole.start, oldest), whole.end), whole.end)
        done = state.backfilled_months(source.name, source.fingerprint, whole)
        parts = kept.by_month()
        todo = {month: part for month, part in parts.items() if month not in done}
        return cls(source, whole, todo, oldest if oldest > whole.start else None, len(done & parts.keys()))

    def said(self) -> Iterator[str]:
        """What the user should know before it begins."""
        name = self.source.name
        if self.kept_since is not None and not self.todo and not self.done:
            yield f"{name}: keeps nothing from before {self.kept_since:%Y-%m-%d}; nothing to back-fill"
        elif self.kept_since is not None:
            yield f"{name}: keeps nothing from before {self.kept_since:%Y-%m-%d}; the back-fill begins there"
        if self.done:
            yield f"{name}: {self.done} month{'' if self.done == 1 else 's'} done already; going on"

    def price(self, state: Spending) -> Price:
        """What is left costs."""
        asks = (Ask(window, tags=self.source.tags) for window in self.todo.values())
        return price(self.source, asks, state.answers(self.source.name, self.source.fingerprint))

    def note(self, month: Month, outcome: Success | Failure, state: Spending) -> bool:
        """Remember what came of a month; whether it failed. A source that failed is not asked for older months."""
        if isinstance(outcome, Failure):
            self.failed = True
            return True
        state.keep_backfilled(self.source.name, self.source.fingerprint, self.whole, month)
        del self.todo[month]
        if not self.todo:
            state.end_backfill(self.source.name)
        return False


def months(runs: Iterable[Run]) -> list[Month]:
    """Every month that one of them is still to ask for, the newest first."""
    left: Mapping[Month, None] = {month: None for run in runs for month in run.todo}
    return sorted(left, reverse=True)
