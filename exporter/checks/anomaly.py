"""`anomaly`: what costs more, or much less, than it should, and is not over."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from exporter.checks.budget import SEVERITIES
from exporter.checks.nagios import Limits, Perf, Result, State, Unanswerable, add, money, worst
from exporter.checks.picture import Picture, Trust, amount
from exporter.checks.threshold import Scope

ORDER = ("info", "low", "medium", "high", "critical")
_SHOWN = 20


def anomaly(picture: Picture, scope: Scope, least: str, limits: Limits) -> Result:
    """Judge the open findings of a scope from severity `least` up; limits are on their number, and decide alone."""
    sources = picture.concerned(scope.provider)
    trust = Trust.of(sources)
    lacking = [source for source in sources if source.published and not source.ended and source.settled is None]
    if lacking:
        missing = tuple(f"{source.name}: no day has settled yet, so nothing was judged" for source in lacking)
        trust = trust._replace(unusable=(*trust.unusable, *missing))
    if not any(source.published for source in sources) and not trust.unusable:
        raise Unanswerable("there is no bill")
    found = [it for it in picture.judged("anomalies", "findings") if it["status"] != "resolved" and _inside(it, scope)]
    open_now = [it for it in found if ORDER.index(it["severity"]) >= ORDER.index(least)]
    open_now.sort(key=lambda it: (-ORDER.index(it["severity"]), -abs(amount(it["impact"])), it["fingerprint"]))
    count = Decimal(len(open_now))
    state = limits.state(count) if limits else worst(SEVERITIES[it["severity"]] for it in open_now)
    perf = [Perf("anomalies", count, limits=limits)]
    perf += [Perf(f"anomalies {word}", Decimal(sum(it["severity"] == word for it in open_now))) for word in ORDER[::-1]]
    for currency in sorted({it["currency"] for it in open_now}):
        impacts = (amount(it["impact"]) for it in open_now if it["currency"] == currency)
        perf.append(Perf(f"anomaly impact {currency}", add(impacts)))
    lines = [_line(it) for it in open_now]
    summary = _summary(scope, open_now, limits, state)
    return Result(
        trust.state(state),
        trust.summary(summary),
        tuple(perf),
        (*lines[:_SHOWN], *([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []), *trust.details),
    )


def _inside(finding: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a finding is about the scope. One that is rolled up over accounts or services concerns each of them."""
    pairs = (
        (scope.provider, finding["provider"]),
        (scope.account, finding["account"]),
        (scope.service, finding["service"]),
        (scope.currency, finding["currency"]),
    )
    return all(wanted is None or got in (wanted, "all") for wanted, got in pairs)


def _summary(scope: Scope, found: list[dict[str, Any]], limits: Limits, state: State) -> str:
    if not found:
        return f"{scope}: nothing costs more, or much less, than it should"
    number = f"{len(found)} open {'anomaly' if len(found) == 1 else 'anomalies'}"
    passed = f", {limits.passed(state)}" if limits and state else ""
    return f"{scope}: {number}{passed}; {_line(found[0])}"


def _line(finding: Mapping[str, Any]) -> str:
    said = finding.get("sentence") or f"{finding['kind']} of {finding['service']}"
    moving = "" if finding["settled"] else ", on data that still moves"
    return f"{finding['severity']}: {said} (impact {money(amount(finding['impact']), finding['currency'])}{moving})"
