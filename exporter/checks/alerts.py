"""`alerts`: what an Alertmanager fires at this moment, as one state. Silenced and inhibited alerts do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from exporter.checks.nagios import Limits, Perf, Result, State, Unanswerable, worst

OURS = 'alertname=~"Cloudspend.*"'
"""The matcher of the alerts that are shipped with cloudspend."""

_SEVERITIES = {
    "none": State.OK,
    "info": State.OK,
    "critical": State.CRITICAL,
    "page": State.CRITICAL,
    "emergency": State.CRITICAL,
    "error": State.CRITICAL,
}
"""Any other severity, and none at all, is a warning."""
_SHOWN = 20


def query(matchers: Sequence[str]) -> str:
    """The query of `/api/v2/alerts` for what is firing and fits every matcher."""
    from urllib.parse import urlencode

    states = [("active", "true"), ("silenced", "false"), ("inhibited", "false")]
    return urlencode([*states, *(("filter", matcher) for matcher in matchers)])


def alerts(found: Sequence[Mapping[str, Any]], limits: Limits) -> Result:
    """Judge firing alerts: by their severities, or by limits on their number."""
    firing = sorted(found, key=lambda it: (-_state(it), _name(it), sorted(it["labels"].items())))
    count = Decimal(len(firing))
    state = limits.state(count) if limits else worst(map(_state, firing))
    perf = [Perf("alerts", count, limits=limits)]
    for bad in (State.CRITICAL, State.WARNING):
        number_of = Decimal(sum(_state(it) is bad for it in firing))
        perf += [Perf(f"alerts {bad.name.lower()}", number_of)]
    lines = [_line(it) for it in firing]
    number = f"{len(firing)} alert{'s' if len(firing) > 1 else ''} firing" if firing else "no alert is firing"
    passed = f", {limits.passed(state)}" if limits and state else ""
    summary = ": ".join([number + passed, *lines[:1]])
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return Result(state, summary, tuple(perf), (*lines[1:_SHOWN], *more))


def must_fire(name: str, found: Sequence[Mapping[str, Any]]) -> None:
    """Unanswerable where no alert is found that always fires: then nobody knows whether Prometheus still judges."""
    if not found:
        raise Unanswerable(f"{name} is not firing, so Prometheus may not be judging. hint: does it run?")


def _state(alert: Mapping[str, Any]) -> State:
    return _SEVERITIES.get(alert["labels"].get("severity", "").lower(), State.WARNING)


def _name(alert: Mapping[str, Any]) -> str:
    return str(alert["labels"].get("alertname", "an alert without a name"))


def _line(alert: Mapping[str, Any]) -> str:
    severity = alert["labels"].get("severity")
    words = f"{_name(alert)} ({severity})" if severity else _name(alert)
    return ": ".join([words, *filter(None, [alert.get("annotations", {}).get("summary")])])
