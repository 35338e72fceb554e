"""Budgets by their own thresholds, and by limits in percent."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.checks.budget import budget
from exporter.checks.nagios import Limits, Range, Result, State, Unanswerable
from tests.checks.answers import answer, picture

SHOP: dict[str, Any] = answer()["budgets"][0]
NONE = Limits()


def entry(**changes: Any) -> dict[str, Any]:
    """The budget with changes; `warning` and `critical` are (reached, reached_settled)."""
    thresholds = []
    for threshold in SHOP["thresholds"]:
        reached, settled = changes.pop(threshold["severity"], (False, False))
        thresholds.append(threshold | {"reached": reached, "reached_settled": settled})
    return SHOP | {"thresholds": thresholds} | changes


def judged(*entries: dict[str, Any], names: tuple[str, ...] = (), limits: Limits = NONE, **changes: Any) -> Result:
    return budget(picture(budgets=list(entries), **changes), names, limits)


def test_a_budget_on_track_is_ok_with_everything_in_its_numbers() -> None:
    assert judged(entry()).text() == (
        "CLOUDSPEND OK - shop: 4,100.12 USD of 9,000.00 USD used, 45.6 %, forecast 8,800.10 USD"
        " | 'shop spent USD'=4100.12;7200;9000;0; 'shop used'=45.56%;80;100;0; 'shop limit USD'=9000;;;0;"
        " 'shop forecast USD'=8800.1;;;0;"
    )


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"status": "at_risk"}, State.WARNING, "at risk, forecast"),
        ({"warning": (True, True)}, State.WARNING, "45.6 %, forecast"),
        ({"warning": (True, False)}, State.WARNING, "by data that still moves"),
        ({"critical": (True, True), "warning": (True, True)}, State.CRITICAL, "45.6 %, forecast"),
        ({"critical": (True, False), "warning": (True, True)}, State.CRITICAL, "by data that still moves"),
        ({"status": "over", "spent": "9001", "spent_settled": "9001"}, State.CRITICAL, "100.0 %, over, forecast"),
        ({"status": "over", "spent": "9001"}, State.CRITICAL, "over, by data that still moves"),
        ({"exhausted_on": "2024-03-28", "status": "at_risk"}, State.WARNING, "used up on 2024-03-28"),
    ],
)
def test_thresholds_and_status_decide(changes: dict[str, Any], state: State, words: str) -> None:
    found = judged(entry(**changes))
    assert found.state is state
    assert words in found.summary


def test_limits_in_percent_decide_alone() -> None:
    limits = Limits(Range.parse("40"), Range.parse("45.6"))
    found = judged(entry(status="over", critical=(True, True)), limits=limits)
    assert found.state is State.WARNING
    assert "45.6 %, outside 40 %" in found.summary
    assert "'shop used'=45.56%;40;45.6;0;" in found.text()
    moving = judged(entry(spent_settled="100"), limits=limits)
    assert "by data that still moves" in moving.summary


def test_several_budgets_are_counted_and_each_has_a_line_the_worst_first() -> None:
    found = judged(entry(), entry(name="lab", status="over", spent="9999", spent_settled="9999"), entry(name="web"))
    assert found.state is State.CRITICAL
    assert found.summary == "1 of 3 budgets need a look: lab CRITICAL"
    assert [line.partition(":")[0] for line in found.details] == ["lab", "shop", "web"]
    assert judged(entry(), entry(name="web")).summary == "2 budgets on track"


def test_only_named_budgets_are_judged() -> None:
    over = entry(name="lab", status="over", spent="9999")
    assert judged(entry(), over, names=("shop",)).state is State.OK
    with pytest.raises(Unanswerable, match=r"no budget 'shpo'. hint: there are shop, lab"):
        judged(entry(), over, names=("shpo",))


def test_no_budget_at_all_is_unknown() -> None:
    with pytest.raises(Unanswerable, match="no budget is configured"):
        judged()
    with pytest.raises(Unanswerable, match="publishes no 'budgets'"):
        budget(picture(budgets=None), (), Limits())


def test_budgets_that_could_not_be_judged_are_unknown() -> None:
    with pytest.raises(Unanswerable, match="budgets could not be judged"):
        judged(entry(), failed=["budgets"])


def test_a_period_that_has_ended_is_unknown() -> None:
    with pytest.raises(Unanswerable, match="its period has ended"):
        judged(entry(until="2024-03-15"))


def test_a_limit_of_nothing_has_no_percent() -> None:
    found = judged(entry(limit="0", status="over"))
    assert found.state is State.CRITICAL
    assert "%" not in found.text()
    assert judged(entry(limit="0"), limits=Limits(Range.parse("80"))).state is State.UNKNOWN


def test_a_denied_source_makes_ok_unknown_unless_the_budget_does_not_draw_on_it() -> None:
    denied = {"label": "azure", "failed": "access_denied", "message": "no", "hint": None}
    assert judged(entry(), served__sources__lab=denied).state is State.UNKNOWN
    assert judged(entry(providers=["aws"]), served__sources__lab=denied).state is State.OK
    assert judged(entry(providers=["aws", "azure"]), served__sources__lab=denied).state is State.UNKNOWN
    assert judged(entry(status="at_risk"), served__sources__lab=denied).state is State.WARNING
