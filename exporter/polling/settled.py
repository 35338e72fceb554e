"""The settled days of every source: the record of what was said of them, kept up to date and written where wanted."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from exporter.analysis.basis import unknown
from exporter.clock import Clock
from exporter.config.remote_write import RemoteWriteSettings
from exporter.costs import Cost
from exporter.errors import NotifyError, StoreError
from exporter.metrics.history import SPEC, Record, Series, View
from exporter.metrics.remote_write import Dropped, Rest, Sender, TooOld, requests_of
from exporter.periods import Month, day_of
from exporter.polling.reaching import reached
from exporter.polling.sources import Paths, Source
from exporter.store.lake import Lake
from exporter.store.state import State

_log = logging.getLogger(__name__)
_DAY = 86400


class Step(NamedTuple):
    """One month of one source, written."""

    source: str
    month: Month
    samples: int


@dataclass(slots=True)
class Written:
    """What came of writing."""

    samples: int = 0
    """That were taken."""
    refused: int = 0
    """That are not taken, and not offered again."""
    why: str = ""
    """What the receiver said of those first."""
    whole: bool = True
    """Whether all was offered; else the next try goes on."""


def record(paths: Paths) -> Record:
    """The record that lies beside the bills."""
    return Record(paths.root / "history")


def update(sources: Sequence[Source], paths: Paths, state: State, clock: Clock, basis: Cost) -> int:
    """Bring the record up to date with the store; how many samples that added. Hold the writer's lock.

    A source whose bills were damaged, and are to be read again, stays as it was said: nothing vanished from its bill.
    """
    kept, lake, states = record(paths), Lake(paths.lake), state.sources()
    marks, said = kept.marks(), 0
    for source in sources:
        remembered = states.get(source.name)
        if remembered is None or remembered.last_success is None or remembered.stored_as is None:
            continue
        days, reach = reached(source, remembered, lake, clock.now())
        if reach is None or reach.settled is None:
            continue
        until = day_of(reach.settled)
        view = View(basis, unknown(days, basis), state.shown(source.name))
        versions = lake.versions(source.name)
        for month in sorted({*versions, *kept.months(source.name)}):
            end = min(until, month.next().first)
            made_of = _fingerprint(versions.get(month, ""), end, view)
            key = f"{source.name}/{month}"
            if end > month.first and marks.made_of.get(key) != made_of:
                charges = lake.read(month.window(), sources=[source.name])
                said += kept.update(source.name, month, charges, end, view)
                marks.made_of[key] = made_of
        kept.keep(marks)
    return said


def _fingerprint(version: str, end: date, view: View) -> str:
    """Changes with whatever decides what is said of a month.

    Not with which lines are shown by name: a line that comes or goes would have all of history said anew.
    """
    made_of = json.dumps([version, end.isoformat(), view.basis, sorted(view.unknown)])
    return hashlib.blake2b(made_of.encode(), digest_size=12).hexdigest()


def write(
    kept: Record,
    sources: Collection[str],
    receiver: RemoteWriteSettings,
    *,
    rest: Rest = time.sleep,
    from_scratch: bool = False,
    done: Callable[[Step], object] = lambda _step: None,
) -> Written:
    """Write what a receiver has not taken yet, the oldest month first, and remember each month that it has taken.

    NotifyError where it cannot be written now, or not at all; what was taken stays remembered. Hold the writer's lock.
    """
    marks = kept.marks()
    if from_scratch:
        marks.written.pop(receiver.name, None)
    taken = marks.written.setdefault(receiver.name, {})
    came = Written()
    with Sender(receiver, rest) as sender:
        for month, source in sorted((month, name) for name in sources for month in kept.months(name)):
            key, revision = f"{source}/{month}", kept.revision(source, month)
            if taken.get(key, 0) >= revision:
                continue
            if rest(0.0):
                came.whole = False
                break
            before = came.samples
            _month(sender, kept, source, month, taken.get(key, 0), came)
            taken[key] = revision
            kept.keep(marks)
            done(Step(source, month, came.samples - before))
    return came


def _month(sender: Sender, kept: Record, source: str, month: Month, after: int, came: Written) -> None:
    """Write one month. Where its older days are refused, the newer ones are written without them."""
    floor = 0  # Unix seconds: nothing older is offered any more

    def offered() -> Iterator[Series]:
        for several in kept.read(source, month, after):
            for one in several:
                left = _since(one, floor) if floor else one
                came.refused += len(one.costs) - len(left.costs)
                if left.costs:
                    yield left

    for body, inside in requests_of(SPEC.name, SPEC.labels, offered()):
        try:
            sender.send(body)
            came.samples += _count(inside)
        except TooOld as error:
            came.why = came.why or str(error)
            floor = max(floor, _newest_days(sender, inside, came))
        except Dropped as error:
            came.why = came.why or str(error)
            came.refused += _count(inside)


def _newest_days(sender: Sender, series: Sequence[Series], came: Written) -> int:
    """Write day by day, the newest first, until one is refused; from when on days are taken, in Unix seconds."""
    for day in sorted({instant // _DAY for one in series for instant in one.instants}, reverse=True):
        begin = day * _DAY
        of_day = [_since(one, begin, begin + _DAY) for one in series]
        try:
            for body, inside in requests_of(SPEC.name, SPEC.labels, (one for one in of_day if one.costs)):
                sender.send(body)
                came.samples += _count(inside)
        except TooOld:
            came.refused += sum(instant < begin + _DAY for one in series for instant in one.instants)
            return begin + _DAY
    return 0


def _since(one: Series, begin: int, end: int = 1 << 62) -> Series:
    chosen = [n for n, instant in enumerate(one.instants) if begin <= instant < end]
    return Series(one.labels, [one.instants[n] for n in chosen], [one.costs[n] for n in chosen])


def _count(series: Sequence[Series]) -> int:
    return sum(len(one.costs) for one in series)


def follow(
    receiver: RemoteWriteSettings | None,
    sources: Sequence[Source],
    paths: Paths,
    state: State,
    clock: Clock,
    basis: Cost,
    until: float,
) -> None:
    """Write what has settled since the last time, until `time.monotonic()` is `until`; the log tells of trouble once.

    Nothing of this is raised: the bill is stored and shown whether or not somebody takes its history.
    """
    if receiver is None:
        return

    def rest(seconds: float) -> bool:
        if time.monotonic() + seconds >= until:
            return True
        time.sleep(seconds)
        return False

    kept = record(paths)
    try:
        update(sources, paths, state, clock, basis)
        trouble = ""
        try:
            came = write(kept, [source.name for source in sources], receiver, rest=rest)
            if came.refused:
                _log.warning("days refused", extra={"fields": {"samples": came.refused, "error": came.why}})
            if came.samples:
                _log.info("history written", extra={"fields": {"samples": came.samples, "to": receiver.url}})
        except NotifyError as error:
            trouble = str(error)
        marks = kept.marks()
        before = marks.told.get(receiver.name, "")
        if bool(trouble) != bool(before):
            if trouble:
                _log.warning("history cannot be written", extra={"fields": {"error": trouble}})
            else:
                _log.info("history can be written again", extra={"fields": {"to": receiver.url}})
            marks.told[receiver.name] = trouble
            kept.keep(marks)
    except StoreError as error:
        _log.error("history cannot be kept", extra={"fields": {"error": error}})
