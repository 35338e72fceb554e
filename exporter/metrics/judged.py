"""From judgements to families: budgets, expected costs, findings, first spends, forecasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from exporter.metrics.catalog import CATALOG
from exporter.metrics.exposition import Family, Value
from exporter.periods import midnight

# What judges needs numpy; what it says does not.
if TYPE_CHECKING:
    from exporter.analysis.anomalies import Finding
    from exporter.analysis.budgets import Standing
    from exporter.analysis.forecasts.standing import MonthForecast
    from exporter.analysis.jumps import Jump
    from exporter.analysis.tripwire import FirstSpend

SEVERITIES = ("info", "low", "medium", "high", "critical")
MOST = 200
"""So many findings are shown, the largest first."""
JUDGEMENTS = ("anomalies", "tripwire", "budgets", "forecasts")
HOURLY_JUMPS = "hourly_jumps"
"""One more judgement, where a source has hours."""
_STATUSES = ("on_track", "at_risk", "over")
_NOBODY = "none"
_DIGITS = 6
"""Behind the point of what is estimated. Nobody knows so many."""

Samples = list[tuple[tuple[str, ...], Value]]


@dataclass(frozen=True, slots=True)
class Band:
    """What one line of the bill should have cost on the latest settled day of its source."""

    labels: tuple[str, ...]
    """source, provider, account, service, region, currency."""
    actual: float
    expected: float
    upper: float
    """Up to where it would not have been odd."""
    score: float | None
    """Above 1 it is odd; None for a sum of folded lines."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on the alerts about one source speak, as configured."""

    source: str
    currencies: tuple[str, ...]
    """In which it has charges."""
    hourly_jump: float
    """Share of the month so far."""
    daily_spike: float
    """Share of what was expected."""
    minimum_cost: Decimal
    restated_cost: Decimal


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that was judged of the sources that are shown."""

    bands: Sequence[Band] = ()
    findings: Sequence[Finding] = ()
    """Open ones and those that ended lately."""
    first_spends: Sequence[FirstSpend] = ()
    """Of the last days."""
    jumps: Sequence[Jump] = ()
    """Hours of the last days that added too much to their month, of sources that have hours."""
    budgets: Sequence[Standing] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    """Budget → who answers for it, where somebody is named."""
    burning: tuple[float, float] = (2.0, 1.2)
    """Pace of a day, and of a week, from which on a budget burns fast."""
    forecasts: Sequence[MonthForecast] = ()
    thresholds: Sequence[Thresholds] = ()
    failed: frozenset[str] = frozenset()
    """Which of JUDGEMENTS could not be made."""
    wanted: tuple[str, ...] = JUDGEMENTS
    """Which of them are configured."""

    @property
    def open(self) -> list[Finding]:
        """The findings that are open, the largest first."""
        return [finding for finding in self.findings if not finding.ended]


def families(judged: Judged, providers: Sequence[str]) -> Iterator[Family]:
    """Every judged family that has data, in the order of the catalogue. `providers`: those with a count of findings."""
    yield from _budgets(judged)
    yield from _bands(judged.bands)
    if "anomalies" in judged.wanted:
        yield from _findings(judged.open, providers)
    first = [
        ((each.place.source, each.place.provider, each.place.kind, each.place.name, each.currency), each.cost)
        for each in judged.first_spends
    ]
    yield _family("cloudspend_first_spend_cost", first)
    yield from _forecasts(judged.forecasts)
    yield from _thresholds(judged.thresholds)
    failed: Samples = [((name,), int(name in judged.failed)) for name in judged.wanted]
    yield _family("cloudspend_judgement_failed", failed)


def _budgets(judged: Judged) -> Iterator[Family]:
    standings = judged.budgets
    pairs = [(each.budget.name, each.budget.currency) for each in standings]
    foreseen = [
        (pair, each.projection) for pair, each in zip(pairs, standings, strict=True) if each.projection is not None
    ]
    amounts: Mapping[str, Samples] = {
        "limit": [(pair, each.limit) for pair, each in zip(pairs, standings, strict=True)],
        "spent": [(pair, each.spent) for pair, each in zip(pairs, standings, strict=True)],
        "spent_settled": [(pair, each.spent_settled) for pair, each in zip(pairs, standings, strict=True)],
        "forecast": [(pair, projection.total) for pair, projection in foreseen],
        "forecast_lower": [(pair, projection.low80) for pair, projection in foreseen],
        "forecast_upper": [(pair, projection.high80) for pair, projection in foreseen],
        "threshold_ratio": [
            ((each.budget.name, percent(threshold.ratio), threshold.severity), threshold.ratio)
            for each in standings
            for threshold in each.budget.thresholds
        ],
        "burn_ratio": [
            ((each.budget.name, window), _short(burn.ratio))
            for each in standings
            for window, burn in (("day", each.fast), ("week", each.slow))
            if burn is not None
        ],
        "elapsed_ratio": [((each.budget.name,), _short(each.elapsed)) for each in standings],
        "period_start_timestamp_seconds": [((s.budget.name,), s.period.start.timestamp()) for s in standings],
        "period_end_timestamp_seconds": [((s.budget.name,), s.period.end.timestamp()) for s in standings],
        "exhaustion_timestamp_seconds": [
            ((s.budget.name,), midnight(s.exhausted_on).timestamp()) for s in standings if s.exhausted_on
        ],
        "burn_threshold_ratio": [
            ((each.budget.name, window), ratio)
            for each in standings
            for window, ratio in zip(("day", "week"), judged.burning, strict=True)
        ],
        "status": [
            ((each.budget.name, status), int(each.status == status)) for each in standings for status in _STATUSES
        ],
        "info": [
            ((s.budget.name, str(s.budget.recurrence.cycle), judged.owners.get(s.budget.name) or _NOBODY), 1)
            for s in standings
        ],
    }
    for name, samples in amounts.items():
        yield _family(f"cloudspend_budget_{name}", samples)


def _bands(bands: Sequence[Band]) -> Iterator[Family]:
    actual: Samples = [(band.labels, round(band.actual, _DIGITS)) for band in bands]
    expected: Samples = [(band.labels, round(band.expected, _DIGITS)) for band in bands]
    upper: Samples = [(band.labels, round(band.upper, _DIGITS)) for band in bands]
    score: Samples = [(band.labels, round(band.score, _DIGITS)) for band in bands if band.score is not None]
    yield _family("cloudspend_daily_usage_cost", actual)
    yield _family("cloudspend_daily_cost_expected", expected)
    yield _family("cloudspend_daily_cost_expected_upper", upper)
    yield _family("cloudspend_daily_cost_anomaly_score", score)


def _findings(found: Sequence[Finding], providers: Sequence[str]) -> Iterator[Family]:
    shown = found[:MOST]
    info: Samples = [((each.fingerprint, *each.scope[:5], each.kind.value, each.severity.value), 1) for each in shown]
    yield _family("cloudspend_anomaly_info", info)
    for name, amounts in (
        ("actual", [each.actual for each in shown]),
        ("expected", [each.expected for each in shown]),
        ("impact", [each.impact for each in shown]),
    ):
        labels = [(each.fingerprint, each.scope.currency) for each in shown]
        rounded = [round(amount, _DIGITS) for amount in amounts]
        yield _family(f"cloudspend_anomaly_{name}_cost", list(zip(labels, rounded, strict=True)))
    counts = {(provider, severity): 0 for provider in providers for severity in SEVERITIES}
    for each in found:
        key = each.scope.provider, each.severity.value
        counts[key] = counts.get(key, 0) + 1
    yield _family("cloudspend_anomalies", list(counts.items()))


def _forecasts(forecasts: Sequence[MonthForecast]) -> Iterator[Family]:
    for name, attribute in (
        ("month_forecast_cost", "total"),
        ("month_forecast_cost_lower", "lower"),
        ("month_forecast_cost_upper", "upper"),
        ("month_to_date_nowcast_cost", "nowcast"),
        ("month_to_date_nowcast_cost_lower", "nowcast_lower"),
        ("month_to_date_nowcast_cost_upper", "nowcast_upper"),
        ("forecast_error_ratio", "error"),
        ("forecast_coverage_ratio", "coverage"),
    ):
        values = [((each.provider, each.currency), getattr(each, attribute)) for each in forecasts]
        known: Samples = [(labels, _short(value)) for labels, value in values if value is not None]
        yield _family(f"cloudspend_{name}", known)


def _thresholds(thresholds: Sequence[Thresholds]) -> Iterator[Family]:
    for name in ("hourly_jump", "daily_spike"):
        ratios: Samples = [((each.source,), getattr(each, name)) for each in thresholds]
        yield _family(f"cloudspend_source_{name}_threshold_ratio", ratios)
    for name in ("minimum", "restated"):
        yield _family(
            f"cloudspend_source_{name}_alert_cost",
            [((s.source, currency), getattr(s, f"{name}_cost")) for s in thresholds for currency in s.currencies],
        )


def percent(ratio: Decimal) -> str:
    """A share as people write it: `80%`."""
    return f"{(ratio * 100).normalize():f}%"


def _short(value: Value) -> Value:
    """An estimate without the digits that mean nothing; exact amounts stay as they are written."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return round(value, _DIGITS) if isinstance(exponent, int) and exponent < -2 * _DIGITS else value
    return round(value, _DIGITS) if math.isfinite(value) else value


def _family(name: str, samples: Sequence[tuple[tuple[str, ...], Value]]) -> Family:
    return Family(CATALOG[name], samples)
