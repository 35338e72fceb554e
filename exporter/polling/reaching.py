"""What is stored of a source, and how far it reaches, as its last successful reading left it."""

from __future__ import annotations

from datetime import datetime

from exporter.analysis.reach import Reach, reach
from exporter.costs import CostTable
from exporter.periods import ALWAYS
from exporter.polling.sources import Source
from exporter.store.lake import Lake
from exporter.store.state import SourceState


def reached(source: Source, remembered: SourceState, lake: Lake, now: datetime) -> tuple[CostTable, Reach | None]:
    """The stored days of a source, and how far they reach; None where there are no charges yet."""
    days = lake.read(ALWAYS, sources=[source.name])
    # An API that answered for a day without charges has said that there are none; a file has said nothing of it.
    answered = lake.coverage(source.name) if source.spec.history is not None else None
    return days, reach(
        days,
        now,
        remembered.last_success or now,
        source.settles_after,
        remembered.estimated,
        answered.end if answered else None,
        remembered.open_months,
    )
