"""The months before the first poll, of sources whose quotas make a year of history take long (`recent_first`).

They are read behind the present, the newest first, each stored before the next is asked for: costs show within
seconds, and whatever ends the worker, the next one goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from exporter.clock import Clock
from exporter.polling import schedule
from exporter.polling.poll import backfill
from exporter.polling.sources import Source
from exporter.store.lake import Lake
from exporter.store.state import Failure, State

_log = logging.getLogger(__name__)


def read_older(source: Source, lake: Lake, state: State, clock: Clock, rivals: Collection[str], until: float) -> int:
    """Read months that the first poll left out, until `time.monotonic()` is `until`; how many were read.

    A month that fails ends it for now; the poll after the next is early enough to try again.
    """
    whole = schedule.history(source, state.source(source.name), clock.now())
    if whole is None:
        return 0
    done = state.backfilled_months(source.name, source.fingerprint, whole)
    left = [(month, part) for month, part in reversed(whole.by_month().items()) if month not in done]
    for read, (month, part) in enumerate(left):
        if time.monotonic() >= until or isinstance(backfill(source, lake, state, clock, part, rivals), Failure):
            return read
        state.keep_backfilled(source.name, source.fingerprint, whole, month)
    state.end_backfill(source.name)
    state.history_read(source.name, source.fingerprint)
    _log.info("history read", extra={"fields": {"source": source.name, "since": whole.start.date()}})
    return len(left)
