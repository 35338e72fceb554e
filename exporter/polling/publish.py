"""From the store to a published snapshot. Runs in the worker, or wherever a bill was just stored."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import snapshot
from exporter.analysis.basis import unknown
from exporter.analysis.folding import choose
from exporter.analysis.reach import Reach
from exporter.clock import Clock
from exporter.config.schema import Config
from exporter.costs import Cost, CostTable, dimension, engine
from exporter.errors import StoreError
from exporter.metrics.catalog import LINE
from exporter.metrics.exposition import Family, render
from exporter.metrics.families import Picture, SourceView, families, sizes
from exporter.normalise.currency import Rates
from exporter.periods import ALWAYS, DAY, Grain, Month, Window, day_of, midnight
from exporter.polling.check import check, source_said
from exporter.polling.rates import with_bills
from exporter.polling.reaching import reached
from exporter.polling.sources import Paths, Source, rendered_as
from exporter.store.files import need_room, storing
from exporter.store.lake import Lake
from exporter.store.state import SourceState, State

if TYPE_CHECKING:
    from exporter.metrics.judged import Judged

_log = logging.getLogger(__name__)

_GRACE = timedelta(hours=1)
_CUBE_DAYS = 62


def publish(
    sources: Sequence[Source],
    paths: Paths,
    state: State,
    clock: Clock,
    basis: Cost = Cost.BILLED,
    rates: Rates | None = None,
    judging: Config | None = None,
) -> Path:
    """Render what the store holds now and publish it; the snapshot's folder is returned.

    `rates` convert, if any; `judging` says how the bill is judged, and None that it is not.
    """
    lake, now = Lake(paths.lake), clock.now()
    states = state.sources()
    views, shown, reaches = [], [], {}
    for source in sources:
        remembered = states.get(source.name)
        if remembered is None or remembered.last_success is None:
            continue
        try:
            days, reach = reached(source, remembered, lake, now)
            if reach is None:
                continue
            reaches[source.name] = reach
            if now < remembered.last_success + source.max_age:
                view = _folded(source, _view(source, remembered, lake, days, reach, basis), state, now)
                views.append(view)
                shown.append((source, remembered, view))
        except StoreError as error:  # a damaged file of one source leaves the others whole
            _log.error("a source cannot be shown", extra={"fields": {"source": source.name, "error": error}})
    rates = rates and with_bills(rates, [remembered for _, remembered, _ in shown])
    accounts = state.accounts()
    judged = _judged(judging, views, reaches, lake, state, now) if judging else None
    picture = Picture(now, views, accounts, rates, judged)
    made = list(families(picture))
    without_rate = _without_rate(made)
    if rates is not None:
        _say_rates(paths, without_rate, rates.reporting)
    change, expiry = _clock_events(shown, now, rates)
    if judged is not None:  # budgets begin anew, and a day more has ended
        change = min(change, midnight(day_of(now) + DAY))
    said = {view.name: source_said(view, states[view.name], now) for view in views}
    manifest = snapshot.Manifest(
        made=now,
        next_change_at=change,
        expires_at=expiry,
        sources={name: it | _conversion(rates, without_rate, name) for name, it in said.items()},
        generation=lake.generation,
        rendered_as=rendered_as(judging) if judging else "",
    )
    cube = _cube(lake, paths, now, [view.name for view in views])
    try:
        return snapshot.publish(paths.snapshots, manifest, render(made), check(picture, said, lake), cube)
    finally:
        cube.unlink(missing_ok=True)


def _judged(
    config: Config, views: Sequence[SourceView], reaches: Mapping[str, Reach], lake: Lake, state: State, now: datetime
) -> Judged:
    from exporter.polling.judgement import judge  # numpy, only for those who publish

    return judge(config, views, reaches, lake, state, now)


def _view(
    source: Source, remembered: SourceState, lake: Lake, days: CostTable, reach: Reach, basis: Cost
) -> SourceView:
    hours = lake.read(ALWAYS, Grain.HOUR, [source.name]) if source.hours else None
    return SourceView(
        name=source.name,
        adapter=source.spec.name,
        days=days,
        hours=hours,
        by_account=lake.read(ALWAYS, Grain.ACCOUNT_DAY, [source.name]),
        read=remembered.last_success,
        reach=reach,
        settles_after=source.settles_after,
        restated=remembered.restated,
        unattributed=remembered.unattributed,
        basis=basis,
        unknown=unknown(days, basis),
    )


def _folded(source: Source, view: SourceView, state: State, now: datetime) -> SourceView:
    """The view with its largest lines chosen; remembered, so that the next choice is much the same."""
    since = Month.containing(now).previous().window().start
    day = view.reach.latest_day
    recent = Window(min(since, midnight(day)) if day else since, ALWAYS.end)
    lines = sizes(view.days.during(recent))
    shown = choose(lines, state.shown(source.name), source.series_limit)
    state.show(source.name, shown, len(lines) - len(shown))
    return replace(view, shown=shown)


def _clock_events(
    shown: list[tuple[Source, SourceState, SourceView]], now: datetime, rates: Rates | None
) -> tuple[datetime, datetime | None]:
    """When the content changes by the clock alone, and when it would begin to lie."""
    month = Month.containing(now).window().end
    ages = [s.last_success + source.max_age for source, s, _ in shown if s.last_success]
    rate = rates.next_change(day_of(now)) if rates else None
    return min([month, *ages, *([midnight(rate)] if rate else [])]), (min(ages) + _GRACE if ages else None)


def _without_rate(made: Iterable[Family]) -> frozenset[tuple[str, str]]:
    """(source, currency) of money that has no exchange rate."""
    return frozenset(
        (labels[0], labels[1])
        for family in made
        if family.spec.name == "cloudspend_unconverted_cost"
        for labels, _ in family.samples
    )


def _conversion(rates: Rates | None, without_rate: Collection[tuple[str, str]], source: str) -> dict[str, Any]:
    """What the manifest says of conversion: how it is configured, and what of a source has no rate."""
    if rates is None:
        return {}
    lacking = sorted(currency for name, currency in without_rate if name == source)
    return {"currency": rates.settings.model_dump(mode="json"), "without_rate": lacking}


def _say_rates(paths: Paths, without_rate: Collection[tuple[str, str]], reporting: str) -> None:
    """Log currencies that have lost or found their rate since the snapshot before."""
    last = snapshot.load(paths.snapshots)
    said = last.manifest.sources.items() if last else ()
    before = {(name, currency) for name, it in said for currency in it.get("without_rate", ())}
    for source, currency in sorted(set(without_rate) - before):
        fields = {"source": source, "from": currency, "to": reporting}
        _log.warning("no exchange rate: costs are not converted", extra={"fields": fields})
    for source, currency in sorted(before - set(without_rate)):
        fields = {"source": source, "from": currency, "to": reporting}
        _log.info("no costs lack this exchange rate any more", extra={"fields": fields})


def _cube(lake: Lake, paths: Paths, now: datetime, names: Sequence[str]) -> Path:
    """Recent days by label, as Parquet; the caller moves it into the snapshot."""
    tomorrow = midnight(day_of(now) + DAY)
    recent = lake.read(Window(tomorrow - DAY * _CUBE_DAYS, tomorrow), sources=names)
    charges, parameters = recent.sql()
    keys = ", ".join(f"{dimension(name)} AS {name}" for name in (*LINE, "day"))
    sums = ", ".join(f"sum({cost.column}) AS {cost.column}" for cost in Cost)
    need_room(paths.root)
    path = paths.root / "cube.tmp"
    query = f"SELECT {keys}, {sums}, sum(RowCount)::BIGINT AS RowCount FROM ({charges}) GROUP BY ALL ORDER BY ALL"
    try:
        with storing(path):
            engine.run(f"COPY ({query}) TO {engine.literal(str(path))} (FORMAT parquet, COMPRESSION zstd)", parameters)
    except StoreError:
        path.unlink(missing_ok=True)
        raise
    return path
