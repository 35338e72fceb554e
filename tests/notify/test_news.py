"""What has changed since people were told last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.notify.message import Message
from exporter.notify.news import FORGOTTEN_AFTER, Settings, news
from exporter.notify.words import Pages
from exporter.store.outbox import Told

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


PAGES = Pages("https://costs.example.org", "https://graphs.example.org")


def finding(**changes: Any) -> dict[str, Any]:
    return {
        "fingerprint": "f1",
        "source": "aws-prod",
        "provider": "aws",
        "account": "111122223333",
        "service": "EC2 - Other",
        "region": "us-east-1",
        "currency": "USD",
        "severity": "medium",
        "kind": "spike",
        "status": "open",
        "ended": None,
        "first_day": "2024-03-14",
        "first_seen": "2024-03-15",
        "day": "2024-03-14",
        "expected": "19.01",
        "actual": "225.68",
        "upper": "20",
        "excess": "206.67",
        "impact": "206.67",
        "told": "206.67",
        "score": "143",
        "settled": False,
        "parts": [{"account": "111122223333", "service": "NAT", "region": "us-east-1", "excess": "206.7", "new": True}],
        "sentence": "EC2 - Other cost 225.68 USD.",
    } | changes


def budget(*reached: bool, **changes: Any) -> dict[str, Any]:
    ratios = ("0.5", "0.8", "1")
    return {
        "name": "all",
        "currency": "USD",
        "period_id": "monthly/2024-03-01",
        "first": "2024-03-01",
        "until": "2024-04-01",
        "limit": "9000",
        "spent": "7400.12",
        "elapsed": "0.45",
        "forecast": "9100",
        "lower": "8800",
        "upper": "9300",
        "exhausted_on": "2024-03-28",
        "adjusted": "",
        "channels": [],
        "cool_down": 3600,
        "thresholds": [
            {"ratio": ratio, "severity": "critical" if ratio == "1" else "warning", "reached": each, "projected": True}
            for ratio, each in zip(ratios, (*reached, False, False, False), strict=False)
        ],
    } | changes


class People:
    """Who is told, and what they know."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.now = NOON
        self.again: datetime | None = None

    def hear(self, later: timedelta = timedelta(0), **check: Any) -> list[Message]:
        self.now += later
        found = news({"findings": [], **check}, self.told, self.now, Settings(HOUR, PAGES))
        self.told |= {each.fingerprint: each for each in found.told}
        for name in found.forgotten:
            del self.told[name]
        self.again = found.look_again
        return found.messages

    def statuses(self, later: timedelta = timedelta(0), **check: Any) -> list[str]:
        return [message.status for message in self.hear(later, **check)]


def test_a_finding_is_told_once() -> None:
    people = People()
    (message,) = people.hear(findings=[finding()])
    assert (message.status, message.kind, message.severity, message.source) == ("open", "anomaly", "medium", "aws-prod")
    assert message.lines == ("NAT / us-east-1 / 111122223333: +206.70 USD, new",)
    assert ("actual", "225.68 USD") in message.facts
    assert message.links == (
        ("explanation", "https://costs.example.org/#anomalies"),
        ("dashboard", "https://graphs.example.org/d/cloudspend-anomalies?var-currency=USD&var-provider=aws"),
    )
    assert people.hear(later=2 * HOUR, findings=[finding(actual="226", impact="300")]) == []


def test_a_finding_gets_worse_and_ends_and_each_is_told_once() -> None:
    people = People()
    people.hear(findings=[finding()])
    worse = finding(status="worsened", told="410", severity="high")
    assert people.statuses(2 * HOUR, findings=[worse]) == ["worsened"]
    assert people.statuses(2 * HOUR, findings=[worse]) == []
    assert people.statuses(2 * HOUR, findings=[worse | {"told": "900"}]) == ["worsened"]
    over = worse | {"status": "resolved", "ended": "2024-03-18", "told": "900"}
    assert people.statuses(2 * HOUR, findings=[over]) == ["resolved"]
    assert people.statuses(2 * HOUR, findings=[over]) == []
    assert people.statuses(48 * HOUR, findings=[]) == []


def test_the_same_news_have_the_same_key_whenever_they_are_told() -> None:
    first, second = People(), People()
    second.now += 5 * HOUR
    (one,), (two,) = first.hear(findings=[finding()]), second.hear(findings=[finding()])
    assert one.key == two.key
    (worse,) = first.hear(2 * HOUR, findings=[finding(status="worsened", told="300")])
    (over,) = first.hear(2 * HOUR, findings=[finding(status="resolved", ended="2024-03-16", told="300")])
    assert len({one.key, worse.key, over.key}) == 3
    assert one.fingerprint == worse.fingerprint == over.fingerprint


def test_what_came_and_went_unseen_is_no_news() -> None:
    assert People().hear(findings=[finding(status="resolved", ended="2024-03-14")]) == []


def test_a_cool_down_keeps_back_and_tells_the_last_word_later() -> None:
    people = People()
    people.hear(findings=[finding()])
    worse = finding(status="worsened", told="410")
    assert people.hear(HOUR / 2, findings=[worse]) == []
    assert people.again == NOON + HOUR
    assert people.statuses(HOUR / 2, findings=[worse]) == ["worsened"]
    assert people.again is None


def test_a_finding_that_opens_again_is_told_again() -> None:
    people = People()
    people.hear(findings=[finding()])
    people.hear(2 * HOUR, findings=[finding(status="resolved", ended="2024-03-15")])
    assert people.statuses(2 * HOUR, findings=[finding(first_day="2024-03-20")]) == ["open"]


def test_a_message_says_what_else_is_open() -> None:
    others = [finding(fingerprint="f2", severity="critical"), finding(fingerprint="f3", status="resolved")]
    (message, other) = People().hear(findings=[finding(), *others])
    assert (message.standing, other.standing) == ("critical", "medium")


def test_a_snapshot_without_findings_resolves_and_forgets_nothing() -> None:
    people = People()
    people.hear(findings=[finding()])
    found = news({"schema": 1}, people.told, NOON + 2 * FORGOTTEN_AFTER, Settings())
    assert (found.messages, found.forgotten) == ([], [])


def test_what_is_gone_for_long_is_forgotten() -> None:
    people = People()
    people.hear(findings=[finding()])
    people.hear(FORGOTTEN_AFTER - HOUR, findings=[])
    assert people.told
    people.hear(2 * HOUR, findings=[])
    assert people.told == {}


def test_a_drop_says_so() -> None:
    (message,) = People().hear(findings=[finding(kind="drop", excess="-100", impact="-100")])
    assert "costs less" in message.title
    assert ("since it began", "-100.00 USD") in message.facts


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_a_budget_tells_its_highest_threshold_once_in_a_period() -> None:
    people = People()
    (message,) = people.hear(budgets=[budget(True, True)])
    assert message.title == "Budget all is past 80%"
    assert message.sentence == "Budget all has spent 7,400.12 USD of 9,000.00 USD, more than 80% of it."
    assert ("spent", "7,400.12 USD (82.2%)") in message.facts
    assert ("expected in the end", "9,100.00 USD, between 8,800.00 USD and 9,300.00 USD") in message.facts
    titles = [message.title for message in people.hear(2 * HOUR, budgets=[budget(True, True)])]
    assert titles == ["Budget all is going to pass its limit"]
    assert people.hear(2 * HOUR, budgets=[budget(True, True)]) == []
    (message,) = people.hear(2 * HOUR, budgets=[budget(True, True, True, spent="9001")])
    assert (message.title, message.severity) == ("Budget all is past 100%", "critical")
    assert people.hear(2 * HOUR, budgets=[budget(True, True, True, spent="9001")]) == []


def test_a_new_period_begins_without_a_word() -> None:
    people = People()
    people.hear(budgets=[budget(True, True, True)])
    april = budget(period_id="monthly/2024-04-01", first="2024-04-01", until="2024-05-01", spent="10", thresholds=[])
    assert people.hear(2 * HOUR, budgets=[april]) == []
    assert people.statuses(2 * HOUR, budgets=[budget(True, period_id="monthly/2024-04-01")]) == ["open"]


def test_a_credit_that_takes_a_budget_below_its_threshold_is_told_after_the_cool_down() -> None:
    people = People()
    people.hear(budgets=[budget(True, True, forecast=None)])
    assert people.statuses(HOUR / 2, budgets=[budget(True, spent="7000", thresholds=_unprojected(True))]) == []
    assert people.again == NOON + HOUR
    (message,) = people.hear(HOUR, budgets=[budget(True, spent="7000", thresholds=_unprojected(True))])
    assert (message.status, message.title) == ("resolved", "Budget all is below 80% again")
    assert people.statuses(2 * HOUR, budgets=[budget(spent="7400", thresholds=_unprojected(True, True))]) == ["open"]


def _unprojected(*reached: bool) -> list[dict[str, Any]]:
    return [each | {"projected": False} for each in budget(*reached)["thresholds"]]


def test_a_budget_names_its_channels_and_its_own_cool_down() -> None:
    people = People()
    (message,) = people.hear(budgets=[budget(True, channels=["finance"])])
    assert message.channels == ("finance",)


# --- first spends ----------------------------------------------------------------------------------------------------


def first(name: str, **changes: Any) -> Mapping[str, Any]:
    return {
        "source": "aws-prod",
        "provider": "aws",
        "kind": "region",
        "name": name,
        "since": "2024-03-15T03:00:00+00:00",
        "cost": "3.2",
        "currency": "USD",
        "sentence": f"First spend in {name}.",
    } | changes


def test_first_spends_are_told_once_and_those_of_a_source_together() -> None:
    people = People()
    (alone,) = people.hear(first_spend=[first("ap-southeast-1")])
    assert alone.sentence == "First spend in ap-southeast-1."
    assert alone.lines == ("region ap-southeast-1: 3.20 USD since 2024-03-15 03:00",)
    several = [first("ap-southeast-1"), first("eu-south-2"), first("EKS", kind="service"), first("x", source="gcp")]
    together, other = people.hear(HOUR, first_spend=several)
    assert together.title == "First spend in region eu-south-2, service EKS (aws)"
    assert other.source == "gcp"
    assert people.hear(HOUR, first_spend=several) == []


# --- hourly jumps ----------------------------------------------------------------------------------------------------


def jump(hour: int, **changes: Any) -> Mapping[str, Any]:
    return {
        "source": "aws-prod",
        "provider": "aws",
        "currency": "USD",
        "hour": f"2024-03-15T{hour:02}:00:00+00:00",
        "cost": "1225.5",
        "before": "20000",
        "dearest": "31.25",
        "percent": "6.1",
        "services": [["AWS Lambda", "1190.125"], ["EC2 - Other", "4"]],
        "sentence": "aws-prod (aws) cost 1,225.50 USD in the hour from 03:00 UTC.",
    } | changes


def test_an_hour_that_jumped_is_told_once_with_the_services_that_moved() -> None:
    people = People()
    (message,) = people.hear(hourly_jumps=[jump(3)])
    assert (message.kind, message.status, message.severity, message.source) == (
        *("hourly_jump", "open", "medium"),
        "aws-prod",
    )
    assert message.title == "aws-prod (aws) made a jump of 6.1% within an hour"
    assert message.lines == ("AWS Lambda: +1,190.12 USD", "EC2 - Other: +4.00 USD")
    assert dict(message.facts)["month until then"] == "20,000.00 USD"
    assert people.hear(HOUR, hourly_jumps=[jump(3, cost="1300")]) == [], "an hour that is still growing is told already"
    (later,) = people.hear(HOUR, hourly_jumps=[jump(5), jump(3)])
    assert later.key != message.key
    assert people.hear(HOUR, hourly_jumps=[]) == []


def test_the_first_hour_of_a_month_has_no_share_and_a_long_list_is_cut() -> None:
    moved = [[f"service {number}", "2"] for number in range(20)]
    (message,) = People().hear(hourly_jumps=[jump(0, percent=None, services=moved)])
    assert message.title == "aws-prod (aws) made a jump within an hour"
    assert message.lines[-2:] == ("service 11: +2.00 USD", "and 8 more")
