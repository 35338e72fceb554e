"""What Alertmanager sends, as one message: its webhook, version 4.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter.notify.message import FIRING, RESOLVED, Message, key, rank, severity, worst
from exporter.notify.news import parts
from exporter.notify.words import NOWHERE, Pages

_SHOWN = 10
"""Alerts of a group that are told one by one; the worst come first."""
_LINES = 5
"""Lines of a finding that are told with its alert."""
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a group."""

    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: datetime
    url: str
    fingerprint: str

    @property
    def severity(self) -> str:
        """A finding's own, which `notify.direct` would tell, whatever word the rule routes it by."""
        return severity(self.labels.get("finding") or self.labels.get("severity"))

    @property
    def said(self) -> str:
        """What it says, for a person."""
        for name in ("description", "summary", "message"):
            if words := self.annotations.get(name, "").strip():
                return " ".join(words.split())[:_LONGEST]
        return self.labels.get("alertname", "an alert without a name")


@dataclass(frozen=True, slots=True)
class Group:
    """What one request tells: alerts that Alertmanager put together."""

    firing: bool
    key: str
    alerts: Sequence[Alert]
    labels: Mapping[str, str]
    """What all of them have in common."""
    annotations: Mapping[str, str]
    url: str
    """Where Alertmanager is."""
    truncated: int


def parsed(body: bytes) -> Group:
    """A group from the body of a request. ValueError, a sentence, for what is none."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(given, dict):
        raise ValueError("the body is not an object")  # noqa: TRY004  a sentence for people, like the others here
    if given.get("version") != "4":
        raise ValueError(f'version is {given.get("version")!r}, and only "4" of Alertmanager\'s webhook is known')
    alerts = _required(given, "alerts", list)
    if not alerts:
        raise ValueError("alerts is empty")
    return Group(
        firing=_status(given, "status"),
        key=_required(given, "groupKey", str),
        alerts=tuple(_alert(alert, f"alerts[{index}]") for index, alert in enumerate(alerts)),
        labels=_texts(given, "commonLabels"),
        annotations=_texts(given, "commonAnnotations"),
        url=given["externalURL"] if isinstance(given.get("externalURL"), str) else "",
        truncated=given["truncatedAlerts"] if isinstance(given.get("truncatedAlerts"), int) else 0,
    )


def identity(group: Group) -> str:
    """The same for the same alerts in the same states, whoever sends them and how often."""
    alerts = sorted(f"{alert.fingerprint}/{alert.firing}/{alert.starts.isoformat()}" for alert in group.alerts)
    return key("alert", group.key, *alerts)


def message(
    group: Group,
    now: datetime,
    findings: Mapping[str, Mapping[str, Any]],
    identity: str,
    pages: Pages = NOWHERE,
) -> Message:
    """A group as a message. `findings`: fingerprint → finding of check.json, to tell what is behind an alert."""
    firing = [alert for alert in group.alerts if alert.firing]
    ended = [alert for alert in group.alerts if not alert.firing]
    shown = sorted(firing or ended, key=lambda alert: alert.starts, reverse=True)
    shown.sort(key=lambda alert: rank(alert.severity), reverse=True)
    name = group.labels.get("alertname") or shown[0].labels.get("alertname") or "Alert"
    several = len(group.alerts) + group.truncated > 1
    counts = ", ".join(
        words
        for words in (f"{len(firing)} firing" if firing else "", f"{len(ended)} resolved" if ended else "")
        if words
    )
    common = " ".join(group.annotations.get("summary", "").split())
    first = " ".join(shown[0].annotations.get("summary", "").split())
    title = common or first or name
    if several:  # the worst of them says more than the name of a rule
        others = f" ({counts})" if common else f", and {len(group.alerts) + group.truncated - 1} more"
        title = title.removesuffix(".") + others
    sentence = (common or f"{name}: {counts}.") if several else shown[0].said
    lines = _lines(shown, ended if firing else [], findings, several=several)
    if group.truncated:
        lines.append(f"and {group.truncated} more that Alertmanager left out")
    return Message(
        key=identity,
        fingerprint=key("group", group.key),
        status=FIRING if group.firing else RESOLVED,
        kind="alert",
        severity=worst(alert.severity for alert in firing or ended),
        title=title[:_LONGEST],
        sentence=sentence,
        when=now,
        facts=_facts(group, shown, findings),
        lines=tuple(lines),
        links=_links(group, shown[0], pages),
        source=group.labels.get("source", ""),
    )


def _lines(
    shown: Sequence[Alert], ended: Sequence[Alert], findings: Mapping[str, Mapping[str, Any]], *, several: bool
) -> list[str]:
    lines = []
    for alert in shown[:_SHOWN]:
        finding = findings.get(alert.labels.get("fingerprint", ""))
        if several:
            lines.append(alert.said)
        if finding is not None:
            if finding["sentence"] not in alert.said:
                lines.append(str(finding["sentence"]))
            lines += parts(finding)[:_LINES]
    if len(shown) > _SHOWN:
        lines.append(f"and {len(shown) - _SHOWN} more")
    lines += [f"over: {alert.said}" for alert in ended[:_SHOWN]]
    if len(ended) > _SHOWN:
        lines.append(f"and {len(ended) - _SHOWN} more that are over")
    return lines


_TOLD = ("source", "provider", "account", "service", "region", "budget", "threshold", "currency")


def _facts(
    group: Group, shown: Sequence[Alert], findings: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[str, str], ...]:
    labels = group.labels if len(group.alerts) > 1 else shown[0].labels
    facts = [(name, labels[name]) for name in _TOLD if labels.get(name)]
    finding = findings.get(shown[0].labels.get("fingerprint", "")) if len(group.alerts) == 1 else None
    if finding is not None:
        amounts = (("expected", "expected"), ("actual", "actual"), ("since it began", "impact"))
        facts += [(words, f"{finding[name]} {finding['currency']}") for words, name in amounts]
    facts.append(("since", f"{min(alert.starts for alert in shown):%Y-%m-%d %H:%M} UTC"))
    return tuple(facts)


def _links(group: Group, first: Alert, pages: Pages) -> tuple[tuple[str, str], ...]:
    found = {
        "runbook": first.annotations.get("runbook_url", ""),
        **dict(pages.of(first.annotations)),
        "query": first.url,
        "Alertmanager": group.url,
    }
    return tuple((words, url) for words, url in found.items() if re.match(r"https?://", url))


def _alert(given: Any, where: str) -> Alert:
    if not isinstance(given, dict):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004
    url = given.get("generatorURL")
    return Alert(
        firing=_status(given, f"{where}.status"),
        labels=_texts(given, "labels", where),
        annotations=_texts(given, "annotations", where),
        starts=_instant(given.get("startsAt"), f"{where}.startsAt"),
        url=url if isinstance(url, str) else "",
        fingerprint=_required(given, "fingerprint", str, where),
    )


def _status(given: Mapping[str, Any], where: str) -> bool:
    if given.get("status") not in (FIRING, RESOLVED):
        raise ValueError(f"{where} is {given.get('status')!r}, and neither firing nor resolved")
    return bool(given["status"] == FIRING)


def _required(given: Mapping[str, Any], name: str, kind: type, where: str = "") -> Any:
    if not isinstance(given.get(name), kind):
        raise ValueError(f"{where}{'.' if where else ''}{name} is missing or of the wrong kind")  # noqa: TRY004
    return given[name]


def _texts(given: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, str]:
    found = given.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{where}{'.' if where else ''}{name} is not a mapping of texts")
    return found


def _instant(text: Any, where: str) -> datetime:
    """Alertmanager writes nanoseconds, which Python does not read."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except ValueError:
        raise ValueError(f"{where} is not an instant") from None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def by_fingerprint(check: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The findings of check.json by fingerprint; none where it has none."""
    found: Iterable[Mapping[str, Any]] = check.get("findings") or ()
    return {finding["fingerprint"]: finding for finding in found}
