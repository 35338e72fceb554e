"""`freshness`: how old the newest charges of each source are, and whether it can be asked."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from exporter.checks.nagios import Limits, Perf, Range, Result, State, Unanswerable, plain, worst
from exporter.checks.picture import Picture, Source, Trust, minute

_HOUR = Decimal(3600)


def freshness(picture: Picture, names: Collection[str], limits: Limits) -> Result:
    """Judge the age of the newest charge of these sources, or all; limits are in hours.

    A source whose last poll failed is a warning while its last good data counts, and UNKNOWN after that. One whose
    bill has ended is named and not judged.
    """
    known = [source.name for source in picture.sources]
    for name in names:
        if name not in known:
            raise Unanswerable(f"there is no source {name!r}. hint: there are {', '.join(known)}")
    chosen = [source for source in picture.sources if not names or source.name in names]
    if not chosen:
        raise Unanswerable("there is no bill")
    trust = Trust.of(chosen)
    judged = [(_state(picture, source, limits), source) for source in chosen if source.published and not source.ended]
    found = worst([*(state for state, _ in judged), *(State.WARNING for _ in trust.notes)])
    late = [f"{source.name}: {_words(picture, source)}, {limits.passed(state)} h" for state, source in judged if state]
    summary = "; ".join([*late[:3], *trust.notes[:1]]) or _fresh(picture, [source for _, source in judged])
    lines = [f"{source.name}: {_words(picture, source)}" for source in chosen if source.published]
    perf = []
    for _, source in judged:
        if source.newest:
            age = Perf(f"{source.name} age", _seconds(picture, source), "s", _in_seconds(limits))
            perf.append(age)
    return Result(trust.state(found), trust.summary(summary), tuple(perf), (*late[3:], *trust.details), tuple(lines))


def _state(picture: Picture, source: Source, limits: Limits) -> State:
    if source.newest is None:
        return State.UNKNOWN
    return limits.state(_seconds(picture, source) / _HOUR)


def _seconds(picture: Picture, source: Source) -> Decimal:
    assert source.newest is not None
    return Decimal(max(0, int((picture.now - source.newest).total_seconds())))


def _in_seconds(limits: Limits) -> Limits:
    """The same limits in the unit of the performance data."""
    scaled: list[Range | None] = []
    for limit in limits:
        if limit is None:
            scaled.append(None)
            continue
        start, end = (None if edge is None else edge * _HOUR for edge in (limit.start, limit.end))
        low = "~" if start is None else plain(start)
        text = plain(end) if low == "0" and end is not None else f"{low}:{'' if end is None else plain(end)}"
        scaled.append(limit._replace(text=f"{'@' if limit.inside else ''}{text}", start=start, end=end))
    return Limits(*scaled)


def _words(picture: Picture, source: Source) -> str:
    if source.newest is None:
        return "no charges"
    hours = _seconds(picture, source) / _HOUR
    settled = f"settled until {minute(source.settled)}" if source.settled else "nothing settled"
    ended = ", ended" if source.ended else ""
    return f"newest charge {hours:.1f} h old, {settled}{ended}"


def _fresh(picture: Picture, sources: list[Source]) -> str:
    if not sources:
        return "no source has a bill that goes on"
    oldest = min((source for source in sources if source.newest), key=lambda it: str(it.newest), default=None)
    number = f"{len(sources)} source{'s' if len(sources) > 1 else ''} up to date"
    return f"{number}; {oldest.name}: {_words(picture, oldest)}" if oldest else number
