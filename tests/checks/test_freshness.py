"""How old the bill is."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.checks.freshness import freshness
from exporter.checks.nagios import Limits, Range, Result, State, Unanswerable
from tests.checks.answers import answer, picture


def judged(*names: str, warning: str = "", critical: str = "", **changes: Any) -> Result:
    limits = Limits(Range.parse(warning) if warning else None, Range.parse(critical) if critical else None)
    return freshness(picture(**changes), names, limits)


def test_the_oldest_source_is_named_and_each_has_its_age() -> None:
    found = judged()
    assert found.text() == (
        "CLOUDSPEND OK - 2 sources up to date; lab: newest charge 6.0 h old, settled until 2024-03-14 00:00 UTC"
        " | 'lab age'=21600s;;;0; 'shop age'=7200s;;;0;"
    )


def test_limits_are_in_hours_and_seconds_in_the_numbers() -> None:
    found = judged(warning="3", critical="~:5.5")
    assert found.state is State.CRITICAL
    assert found.summary == "lab: newest charge 6.0 h old, settled until 2024-03-14 00:00 UTC, outside ~:5.5 h"
    assert "'lab age'=21600s;10800;~:19800;0;" in found.text()
    assert judged("shop", warning="3").state is State.OK


def test_a_poll_that_failed_is_a_warning_while_its_last_good_data_counts() -> None:
    failed = {"label": "aws", "failed": "throttled", "message": "asked too often", "hint": None}
    found = judged(served__sources__shop=failed)
    assert (found.state, found.summary) == (State.WARNING, "shop: the last poll failed: throttled: asked too often")


def test_a_denied_source_is_unknown_with_its_reason() -> None:
    denied = {"label": "aws", "failed": "access_denied", "message": "may not", "hint": "grant it"}
    found = judged(served__sources__shop=denied)
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("shop: access_denied: may not. hint: grant it; ")


def test_a_source_without_data_is_unknown() -> None:
    found = judged(sources={"lab": answer()["sources"]["lab"]})
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("shop: no data: never polled, or too old to be shown")


def test_a_bill_that_has_ended_is_named_and_not_judged() -> None:
    found = judged("lab", sources__lab__ended=True, warning="1")
    assert (found.state, found.perf) == (State.OK, ())
    assert found.more == ("lab: newest charge 6.0 h old, settled until 2024-03-14 00:00 UTC, ended",)


def test_a_source_that_does_not_exist_is_unknown() -> None:
    with pytest.raises(Unanswerable, match=r"no source 'shpo'. hint: there are lab, shop"):
        judged("shpo")
    with pytest.raises(Unanswerable, match="there is no bill"):
        judged(sources={}, served__sources={})
