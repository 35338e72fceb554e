"""check.json of a snapshot: totals, how fresh they are, and what was judged, for checks, notifications and the page.

Amounts are decimal text; instants are ISO 8601 in UTC; days are UTC days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from exporter import snapshot
from exporter.analysis.reach import ended
from exporter.costs import CostTable
from exporter.costs.money import add, text
from exporter.metrics.families import Picture, SourceView
from exporter.metrics.judged import MOST, Judged
from exporter.periods import DAY, Month, Window, day_of, midnight
from exporter.store.lake import Lake
from exporter.store.state import SourceState

if TYPE_CHECKING:
    from exporter.analysis.anomalies import Finding
    from exporter.analysis.budgets import Standing
    from exporter.analysis.forecasts.standing import MonthForecast
    from exporter.analysis.jumps import Jump
    from exporter.analysis.tripwire import FirstSpend

_MOVING = 3
"""So many days before today move where nothing is known to have settled."""
_DAYS = 35
"""So many days stand in `days`, today included."""


def check(picture: Picture, said: Mapping[str, Mapping[str, Any]], lake: Lake) -> dict[str, Any]:
    """The whole document. `said`: what `source_said` says of each source."""
    month = Month.containing(picture.now)
    windows = {"month_to_date": month.window(), "previous_month": month.previous().window()}
    names = [view.name for view in picture.sources]
    charges = lake.read(windows["previous_month"].join(windows["month_to_date"]), sources=names)
    totals = {name: _totals(charges.during(window)) for name, window in windows.items()}
    judged = picture.judged or Judged(wanted=())
    accounts = {account: name for (_, account), name in picture.accounts.items()}
    return {
        "schema": snapshot.CHECK_SCHEMA,
        "now": picture.now.isoformat(),
        "sources": said,
        "totals": totals | {"latest_day": _latest_day(picture)},
        "days": _days(charges, picture.now),
        "moving": _moving(picture),
        "budgets": [budget(each) for each in judged.budgets],
        "findings": [finding(each, accounts) for each in judged.findings[:MOST]],
        "first_spend": [first_spend(each) for each in judged.first_spends],
        "hourly_jumps": [hourly_jump(each) for each in judged.jumps],
        "forecasts": [forecast(each) for each in judged.forecasts],
        "judged": list(judged.wanted),
        "failed": sorted(judged.failed),
    }


def source_said(view: SourceView, remembered: SourceState, now: datetime) -> dict[str, Any]:
    """How far a source reaches, and why its last poll failed, if it did."""
    settled = view.reach.settled
    return {
        "provider": view.adapter,
        "providers": sorted({line.key[0] for line in view.days.by("provider").rows()}),
        "basis": str(view.basis),
        "newest": view.reach.newest.isoformat(),
        "settled": settled.isoformat() if settled else None,
        "previous_month": str(view.reach.previous_month),
        "ended": ended(view.reach.newest, now),
        "read": remembered.last_success and remembered.last_success.isoformat(),
        "failed": remembered.failed_reason,
    }


def _totals(charges: CostTable) -> list[list[str]]:
    """[provider, account, service, currency, billed] with exact amounts as text."""
    return [
        [*line.key, line.currency, text(line.billed)] for line in charges.by("provider", "account", "service").rows()
    ]


def _latest_day(picture: Picture) -> list[list[str]]:
    """The same of the latest settled day of each source that is still billed."""
    parts = [
        view.days.during(Window.of_day(view.reach.latest_day))
        for view in picture.sources
        if view.reach.latest_day is not None and not ended(view.reach.newest, picture.now)
    ]
    return _added(parts).get("", [])


def _moving(picture: Picture) -> dict[str, list[list[str]]]:
    """Day → the same of a day that has not settled yet at its source: it can still grow."""
    today, parts = day_of(picture.now), []
    for view in picture.sources:
        first = view.reach.latest_day + DAY if view.reach.latest_day else today - DAY * _MOVING
        if first <= today and not ended(view.reach.newest, picture.now):
            parts.append(view.days.during(Window.of_days(first, today + DAY)))
    return _added(parts, "day")


def _added(parts: Iterable[CostTable], *labels: str) -> dict[str, list[list[str]]]:
    """The bills of sources added up as `_totals` has them, by one more label in front; by none under the key ""."""
    sums: dict[str, dict[tuple[str, ...], Decimal]] = {}
    for charges in parts:
        for line in charges.by(*labels, "provider", "account", "service").rows():
            rows = sums.setdefault("".join(line.key[: len(labels)]), {})
            key = (*line.key[len(labels) :], line.currency)
            rows[key] = add(rows.get(key, Decimal(0)), line.billed)
    return {name: [[*key, text(amount)] for key, amount in sorted(rows.items())] for name, rows in sorted(sums.items())}


def _days(charges: CostTable, now: datetime) -> dict[str, dict[str, list[list[str]]]]:
    """Provider → currency → [day, billed] of the last days that have charges."""
    tomorrow = midnight(day_of(now) + DAY)
    found: dict[str, dict[str, list[list[str]]]] = {}
    recent = charges.during(Window(tomorrow - DAY * _DAYS, tomorrow))
    for line in sorted(recent.by("provider", "day").rows(), key=lambda line: (line.key, line.currency)):
        provider, day = line.key
        found.setdefault(provider, {}).setdefault(line.currency, []).append([day, text(line.billed)])
    return found


def budget(standing: Standing) -> dict[str, Any]:
    """How a budget stands."""
    its, projection = standing.budget, standing.projection
    settled = set(its.crossed(standing.spent_settled, standing.limit))
    return {
        "name": its.name,
        "providers": sorted(its.scope.provider),
        "currency": its.currency,
        "period": str(its.recurrence.cycle),
        "period_id": standing.period_id,
        "first": day_of(standing.period.start).isoformat(),
        "until": day_of(standing.period.end).isoformat(),
        "limit": text(standing.limit),
        "spent": text(standing.spent),
        "spent_settled": text(standing.spent_settled),
        "settled_until": standing.settled_until and standing.settled_until.isoformat(),
        "elapsed": _short(standing.elapsed),
        "forecast": projection and text(projection.total),
        "lower": projection and text(projection.low80),
        "upper": projection and text(projection.high80),
        "exhausted_on": standing.exhausted_on and standing.exhausted_on.isoformat(),
        "burn_day": standing.fast and _short(standing.fast.ratio),
        "burn_week": standing.slow and _short(standing.slow.ratio),
        "status": str(standing.status),
        "adjusted": standing.adjusted,
        "channels": list(its.channels),
        "cool_down": int(its.cool_down.total_seconds()),
        "thresholds": [
            {
                "ratio": text(threshold.ratio),
                "severity": threshold.severity,
                "reached": threshold in standing.crossed,
                "reached_settled": threshold in settled,
                "projected": threshold in standing.projected_crossed,
            }
            for threshold in its.thresholds
        ],
    }


def finding(found: Finding, accounts: Mapping[str, str]) -> dict[str, Any]:
    """A finding with its explanation. `accounts`: account id → name."""
    from exporter.analysis.anomalies import document

    said = document(found, accounts)
    estimates = ("expected", "actual", "upper", "excess", "impact", "score", "told")
    return {
        **said,
        **{name: _short(said[name]) for name in estimates},
        "parts": [{**part, "excess": _short(part["excess"])} for part in said["parts"]],
    }


def first_spend(first: FirstSpend) -> dict[str, Any]:
    """A place that spent for the first time."""
    return {
        "source": first.place.source,
        "provider": first.place.provider,
        "kind": first.place.kind,
        "name": first.place.name,
        "since": first.since.isoformat(),
        "cost": text(first.cost),
        "currency": first.currency,
        "sentence": first.sentence,
    }


def hourly_jump(jump: Jump) -> dict[str, Any]:
    """An hour that added too much to its month."""
    return {
        "source": jump.source,
        "provider": jump.provider,
        "currency": jump.currency,
        "hour": jump.hour.isoformat(),
        "cost": text(jump.cost),
        "before": text(jump.before),
        "dearest": text(jump.dearest),
        "percent": None if jump.percent is None else text(jump.percent),
        "services": [[service, text(excess)] for service, excess in jump.services],
        "sentence": jump.sentence,
    }


def forecast(said: MonthForecast) -> dict[str, Any]:
    """What the month comes to for one provider and currency."""
    amounts = ("settled", "total", "lower", "upper", "lower95", "upper95", "nowcast", "nowcast_lower", "nowcast_upper")
    return {
        "provider": said.provider,
        "currency": said.currency,
        "month": str(said.month),
        "settled_until": said.settled_until.isoformat(),
        **{name: text(getattr(said, name)) for name in amounts},
        "error": None if said.error is None else _short(said.error),
        "coverage": None if said.coverage is None else _short(said.coverage),
    }


def _short(value: float | Decimal) -> str:
    """An estimate as decimal text, six places."""
    return text(round(Decimal(str(float(value))) if isinstance(value, float) else value, 6))
