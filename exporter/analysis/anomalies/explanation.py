"""A finding in plain words, for people who pay: what, where, how much, since when, and which lines make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from exporter.analysis.anomalies.model import Finding, Kind, Part
from exporter.analysis.series import ALL, Scope
from exporter.costs import GLOBAL

_NAMED = 3
"""Lines that a sentence names."""


def sentence(finding: Finding, names: Mapping[str, str] | None = None) -> str:
    """One sentence without jargon. `names`: account id → name."""
    known = names or {}
    where, currency = place(finding.scope, known), finding.scope.currency
    day, cost = _day(finding.day), f"{finding.actual:,.2f} {currency}"
    if finding.kind is Kind.DROP:
        said = f"{where} cost {cost} on {day}, {-finding.excess:,.2f} less than expected"
    elif finding.kind is Kind.NEW:
        said = f"{where} cost {cost} on {day} and nothing in the weeks before {_day(finding.first_day)}"
    else:
        said = f"{where} cost {cost} on {day}, {finding.excess:,.2f} more than the {finding.expected:,.2f} expected"
    if finding.day > finding.first_day:
        more = "less" if finding.kind is Kind.DROP else "more"
        said += f", and {abs(finding.impact):,.2f} {more} in all since {_day(finding.first_day)}"
    if parts := _parts(finding.scope, finding.parts, known):
        said += f"; {parts}"
    return f"{said}." if finding.settled else f"{said}; the day is not complete yet."


def document(finding: Finding, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A finding for programs; amounts are floats in `currency`. `names`: account id → name."""
    return {
        "fingerprint": finding.fingerprint,
        **finding.scope._asdict(),
        "severity": finding.severity.value,
        "kind": finding.kind.value,
        "status": finding.status.value,
        "ended": finding.ended or None,
        "first_day": finding.first_day.isoformat(),
        "first_seen": finding.first_seen.isoformat(),
        "day": finding.day.isoformat(),
        "expected": _exact(finding.expected),
        "actual": _exact(finding.actual),
        "upper": _exact(finding.upper),
        "excess": _exact(finding.excess),
        "impact": _exact(finding.impact),
        "told": _exact(finding.told),
        "score": _exact(finding.score),
        "settled": finding.settled,
        "parts": [{**part._asdict(), "excess": _exact(part.excess)} for part in finding.parts],
        "sentence": sentence(finding, names),
    }


def place(scope: Scope, names: Mapping[str, str]) -> str:
    """What a scope is about: `EC2 - Other in us-east-1, account shop-production (aws)`."""
    service = "Everything" if scope.service == ALL else scope.service
    region = "" if scope.region in (ALL, GLOBAL) else f" in {scope.region}"
    account = "" if scope.account == ALL else f", account {names.get(scope.account, scope.account)}"
    return f"{service}{region}{account} ({scope.provider})"


def _parts(scope: Scope, parts: Sequence[Part], names: Mapping[str, str]) -> str:
    """The lines that make most of a change, by what the scope leaves open; '' where it leaves nothing open."""
    said = []
    for part in parts[:_NAMED]:
        words = [
            names.get(mine, mine)
            for mine, its in zip((part.account, part.service, part.region), scope[2:5], strict=True)
            if its == ALL
        ]
        if words:
            said.append(f"{' / '.join(words)} ({part.excess:+,.2f}{', new' if part.new else ''})")
    if not said:
        return ""
    others = len(parts) - len(said)
    return "most of it is " + ", ".join(said) + (f" and {others} more" if others else "")


def _exact(amount: float) -> float:
    """Without the digits that are an accident of adding floats."""
    return round(amount, 6)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
