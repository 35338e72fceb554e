"""The worker's judgement of what is stored: anomalies, first spends, budgets, forecasts.

Each is a pure function of `exporter.analysis`; this module hands it the stored bill and what it said before, and keeps
what it says now. One that fails is logged and shown as failed; the others, and the money itself, are published as ever.

Imports numpy: import it where it is needed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from exporter.analysis.anomalies import Edge, Fee, Report, Severity, detector, evaluate
from exporter.analysis.anomalies import Settings as AnomalySettings
from exporter.analysis.anomalies.scoring import DEFAULT
from exporter.analysis.budgets import evaluate as evaluate_budgets
from exporter.analysis.folding import folded
from exporter.analysis.forecasts.standing import HISTORY, charges, standing
from exporter.analysis.jumps import Jump, jumps
from exporter.analysis.reach import Reach, ended
from exporter.analysis.tripwire import FirstSpend, Place, Watched, learn, trip
from exporter.config.schema import Config
from exporter.costs import Cost, CostTable
from exporter.costs.money import text
from exporter.metrics.families import SourceView
from exporter.metrics.judged import HOURLY_JUMPS, JUDGEMENTS, Band, Judged, Thresholds
from exporter.periods import ALWAYS, DAY, HOUR, Month, Window, day_of, midnight
from exporter.polling.allowances import BUDGET, adjustments, budgets_of, remembered
from exporter.polling.estate import Stored, silent, usage_of
from exporter.store.lake import Lake
from exporter.store.state import State

_log = logging.getLogger(__name__)

FIRST_LOOK = 35
"""A source that was never judged is judged for so many settled days: what began lately and is not over shows."""
_MOST_LOOKS = 500_000
"""Lines × days of a first look: large bills are looked at for fewer days."""
NEWS = 7 * DAY
"""How long a first spend is shown, and a finding that has ended."""
_TRIPPED_DAYS, _TRIPPED_HOURS = 7 * DAY, 48 * HOUR
"""How far the tripwire, and the look for jumps, go back. Charges that arrive later are no news any more."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every judgement looks at."""

    config: Config
    views: Sequence[SourceView]
    reaches: Mapping[str, Reach]
    """Of every source that has charges, shown or not."""
    lake: Lake
    state: State
    now: datetime
    stored: Sequence[Stored]


def judge(
    config: Config,
    views: Sequence[SourceView],
    reaches: Mapping[str, Reach],
    lake: Lake,
    state: State,
    now: datetime,
) -> Judged:
    """Judge what is stored, and remember what was said. `views`: sources shown; `reaches`: of all that have charges."""
    wanted = tuple(name for name in JUDGEMENTS if name == "budgets" or getattr(config, name).enabled)
    if any(view.hours is not None for view in views):
        wanted += (HOURLY_JUMPS,)
    failed: set[str] = set()

    def attempt(name: str, judgement: Callable[[_Bench], Judged], so_far: Judged) -> Judged:
        if name not in wanted or (name == "budgets" and not config.budgets):
            return so_far
        try:
            said = judgement(bench)
        except Exception as error:  # whatever it is, the money is published
            _log.exception("a judgement failed", extra={"fields": {"judgement": name, "error": error}})
            failed.add(name)
            return so_far
        return replace(so_far, **{key: getattr(said, key) for key in _SAYS[name]})

    since = day_of(now) - DAY * (config.anomalies.look_back + FIRST_LOOK + 1)
    stored = [found for view in views if (found := usage_of(view.name, view.days, view.reach, now, since))]
    bench = _Bench(config, views, reaches, lake, state, now, stored)
    judged = Judged(wanted=wanted, thresholds=[_thresholds(config, view, now) for view in views])
    for name, judgement in (
        ("anomalies", _anomalies),
        ("tripwire", _tripwire),
        ("budgets", _budgets),
        ("forecasts", _forecasts),
        (HOURLY_JUMPS, _hourly_jumps),
    ):
        judged = attempt(name, judgement, judged)
    return replace(judged, failed=frozenset(failed))


_SAYS: Mapping[str, tuple[str, ...]] = {
    "anomalies": ("bands", "findings"),
    "tripwire": ("first_spends",),
    "budgets": ("budgets", "owners", "burning"),
    "forecasts": ("forecasts",),
    HOURLY_JUMPS: ("jumps",),
}


def _thresholds(config: Config, view: SourceView, now: datetime) -> Thresholds:
    its, month = config.alerts.of(view.name), Month.containing(now)
    recent = view.days.during(Window(month.previous().window().start, month.window().end))
    currencies = sorted({line.currency for line in recent.by("source").rows()})
    shares = its.hourly_jump / 100, its.daily_spike / 100
    return Thresholds(view.name, tuple(currencies), *shares, its.minimum_cost, its.restated_cost)


def anomaly_settings(config: Config) -> AnomalySettings:
    """The section `anomalies` as the analysis takes it."""
    given = config.anomalies
    fees = tuple(
        Fee(fee.day, float("inf") if fee.amount is None else fee.amount, fee.account, fee.service, fee.region)
        for fee in given.fees
    )
    return AnomalySettings(
        detector=given.detector,
        sensitivity=given.sensitivity,
        minimum_cost=given.minimum_cost,
        minimum_percent=given.minimum_percent,
        new_cost=given.new_cost,
        minimum_history=given.minimum_history,
        look_back=given.look_back,
        roll_ups=given.roll_ups,
        drops=given.drops,
        severity=Severity(given.severity) if given.severity else None,
        fees=fees,
    )


# --- anomalies ----------------------------------------------------------------------------------------------------

_ANOMALIES = "anomalies"


def _anomalies(bench: _Bench) -> Judged:
    settings = anomaly_settings(bench.config)
    reports = _reports(bench)
    counts: dict[str, int] = {}
    for each in bench.stored:
        before = reports.get(each.name) or _first_look(settings, each)
        report = evaluate(settings, each.series, {each.name: each.edge}, before)
        new = {*report.new, *(before.new if each.name not in reports else ())}
        reports[each.name] = report
        for finding in report.open:
            if finding.fingerprint in new:
                label = f"{finding.scope.provider} {finding.severity.value}"
                counts[label] = counts.get(label, 0) + 1
    written = {name: report.written() for name, report in reports.items()}
    bench.state.remember(_ANOMALIES, written, counter="cloudspend_anomalies_found_total", counts=counts)
    since, found = day_of(bench.now) - NEWS, []
    for view in bench.views:
        if said := reports.get(view.name):
            found += [*said.open, *(finding for finding in said.ended if finding.day >= since)]
    found.sort(key=lambda each: (each.ended != "", -abs(each.impact), each.fingerprint))
    return Judged(bands=list(_bands(bench, settings)), findings=found)


def _first_look(settings: AnomalySettings, stored: Stored) -> Report:
    """What a source that was never judged would have been said to have, had it been judged for a while.

    Only what is still open counts as found, and no drop: where the days begin, the end of a rise that nobody saw looks
    like one.
    """
    quiet, days = (
        replace(settings, drops=False),
        max(1, min(FIRST_LOOK, _MOST_LOOKS // max(len(stored.series.scopes), 1))),
    )
    report = Report()
    for back in reversed(range(days)):
        day = stored.edge.settled - DAY * back
        report = evaluate(quiet, stored.series, {stored.name: Edge(day, day)}, report)
    return Report(new=tuple(each.fingerprint for each in report.open), findings=report.open, judged=report.judged)


def _reports(bench: _Bench) -> dict[str, Report]:
    """What was said last, by source; not of sources that are configured no more."""
    names, found = {source.name for source in bench.config.sources}, {}
    for name, written in bench.state.remembered(_ANOMALIES).items():
        try:
            if name in names:
                found[name] = Report.read(written)
        except ValueError as error:  # written by another version: look anew
            fields = {"source": name, "error": error}
            _log.warning("earlier findings cannot be read", extra={"fields": fields})
    return found


def _bands(bench: _Bench, settings: AnomalySettings) -> Iterator[Band]:
    """What each line that is shown should have cost on the latest settled day of its source."""
    find = detector(settings.detector)
    views = {view.name: view for view in bench.views}
    for each in bench.stored:
        series = each.series.until(each.edge.settled)
        if not series.scopes or each.ended or not series.days or series.days[-1] != each.edge.settled:
            continue
        window = series.values[:, -settings.look_back :]
        judgement = find(window, series.days[-settings.look_back :])
        limit = DEFAULT.scales[0].threshold * settings.sensitivity
        sums: dict[tuple[str, ...], list[float]] = {}
        scores: dict[tuple[str, ...], float | None] = {}
        for row, scope in enumerate(series.scopes):
            expected, spread = float(judgement.expected[row]), float(judgement.spread[row])
            score = float(judgement.score[row]) / settings.sensitivity
            if not np.isfinite([expected, spread, score]).all() or np.isfinite(window[row]).sum() < (
                settings.minimum_history
            ):
                continue
            least = max(settings.minimum_cost, settings.minimum_percent / 100 * expected)
            upper = expected + max(limit * spread, least)
            line = (scope.provider, scope.account, scope.service, scope.region)
            shown = views[each.name].shown
            named = line if shown is None else folded(line, shown)
            key = (scope.source, *named, scope.currency)
            amounts = (float(window[row, -1]), expected, upper)
            sums[key] = [a + b for a, b in zip(sums.get(key, [0.0] * 3), amounts, strict=True)]
            scores[key] = None if key in scores or named != line else score
        yield from (Band(key, actual, low, high, scores[key]) for key, (actual, low, high) in sorted(sums.items()))


# --- tripwire -----------------------------------------------------------------------------------------------------

_TRIPWIRE, _FIRST = "tripwire", "first_spend"
_WATCHED = "watched"


def _tripwire(bench: _Bench) -> Judged:
    settings = bench.config.tripwire
    watched = _watched(bench)
    told = [each for each, seen in _told(bench) if bench.now - seen < NEWS]
    seen_at = dict(_told(bench))
    for view in bench.views:
        if ended(view.reach.newest, bench.now):
            continue
        if view.name not in watched.since:
            watched = learn(view.days, watched, minimum=settings.minimum_cost)
        newest = midnight(day_of(bench.now) + DAY)
        looked_at = [view.days.during(Window(newest - _TRIPPED_DAYS, newest))]
        if view.hours is not None:
            looked_at.append(view.hours.during(Window(newest - _TRIPPED_HOURS, newest)))
        for costs in looked_at:
            fresh, watched = trip(costs, watched, minimum=settings.minimum_cost, ignore=settings.ignore)
            for each in fresh:
                if not _known_of_old(each, view.days):
                    told.append(each)
                    seen_at[each] = bench.now
                    _log.info("first spend", extra={"fields": {"what": each.sentence}})
    bench.state.remember(_TRIPWIRE, {_WATCHED: watched.written()})
    bench.state.remember(_FIRST, {str(number): _first(each, seen_at[each]) for number, each in enumerate(told)})
    shown = {view.name for view in bench.views}
    return Judged(first_spends=[each for each in told if each.place.source in shown])


def _known_of_old(first: FirstSpend, days: CostTable) -> bool:
    """Whether the place cost something before: months that were read later than the newest ones tell so."""
    place = first.place
    earlier = days.where(**{"provider": place.provider, place.kind: place.name}).during(
        Window(ALWAYS.start, midnight(day_of(first.since)))
    )
    return any(line.billed > 0 or line.effective > 0 for line in earlier.by("provider").rows())


def _watched(bench: _Bench) -> Watched:
    written = bench.state.remembered(_TRIPWIRE).get(_WATCHED)
    if written is not None:
        try:
            return Watched.read(written)
        except ValueError as error:  # written by another version: learn anew, in silence
            _log.warning("what the tripwire knows cannot be read", extra={"fields": {"error": error}})
    return Watched(frozenset(), {})


def _told(bench: _Bench) -> Iterator[tuple[FirstSpend, datetime]]:
    """First spends that were told, and when."""
    for body in bench.state.remembered(_FIRST).values():
        given = json.loads(body)
        since, seen = (datetime.fromisoformat(given[name]) for name in ("since", "seen"))
        yield FirstSpend(Place(*given["place"]), since, Decimal(given["cost"]), given["currency"]), seen


def _first(first: FirstSpend, seen: datetime) -> str:
    return json.dumps(
        {
            "place": list(first.place),
            "since": first.since.isoformat(),
            "cost": text(first.cost),
            "currency": first.currency,
            "seen": seen.isoformat(),
        }
    )


# --- hourly jumps -------------------------------------------------------------------------------------------------


def _hourly_jumps(bench: _Bench) -> Judged:
    found: list[Jump] = []
    for view in bench.views:
        if view.hours is None:
            continue
        its = bench.config.alerts.of(view.name)
        window = Window(bench.now - _TRIPPED_HOURS, bench.now)
        share = Decimal(str(its.hourly_jump)).scaleb(-2)
        found += jumps(view.days, view.hours, window, share, its.minimum_cost, view.basis, view.unknown)
    return Judged(jumps=found)


# --- budgets ------------------------------------------------------------------------------------------------------


def _budgets(bench: _Bench) -> Judged:
    names = [source.name for source in bench.config.sources]
    before = remembered(bench.state)
    settled: dict[str, date] = {
        name: day_of(reach.settled) for name, reach in bench.reaches.items() if reach.settled is not None
    }
    costs = bench.lake.read(ALWAYS, sources=names)
    report = evaluate_budgets(budgets_of(bench.config), costs, day_of(bench.now), settled, before)
    for fields in adjustments(before, report):
        _log.info("a budget's limit has moved", extra={"fields": fields})
    bench.state.remember(BUDGET, {name: each.written() for name, each in report.remembered.items()})
    owners = {settings.name: settings.owner for settings in bench.config.budgets if settings.owner}
    burning = bench.config.alerts.burn_day / 100, bench.config.alerts.burn_week / 100
    return Judged(budgets=report.standings, owners=owners, burning=burning)


# --- forecasts ----------------------------------------------------------------------------------------------------


def _forecasts(bench: _Bench) -> Judged:
    today = day_of(bench.now)
    window = Window.of_days(today - DAY * HISTORY, today + DAY)
    basis = Cost(bench.config.cost.basis)
    bills = [
        charges(view.days, window, view.reach.latest_day, basis, view.unknown, frozenset(silent(view.days, window)))
        for view in bench.views
        if view.reach.latest_day is not None and not ended(view.reach.newest, bench.now)
    ]
    return Judged(forecasts=standing(bills, bench.now))
