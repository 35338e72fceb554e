"""Daily costs, the month so far and the forecast against limits."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.checks.nagios import Limits, Range, Result, State, Unanswerable
from exporter.checks.threshold import DAILY, FORECAST, MONTH_TO_DATE, Scope, threshold
from tests.checks.answers import answer, picture

AWS = Scope(provider="aws")


def judged(
    scope: Scope = AWS, window: str = DAILY, warning: str = "1000", critical: str = "2000", **changes: Any
) -> Result:
    return threshold(picture(**changes), scope, window, Limits(Range.parse(warning), Range.parse(critical)))


def aws_days(**amounts: str) -> dict[str, Any]:
    """`days` of aws with the amounts of 13, 14 and 15 March."""
    return {"aws": {"USD": [[f"2024-03-{name[1:]}", amount] for name, amount in amounts.items()]}}


def test_the_newest_settled_day_is_judged_and_its_currency_is_in_the_label() -> None:
    assert judged().text() == ("CLOUDSPEND OK - aws: 123.45 USD on 2024-03-13 | 'aws daily USD'=123.45;1000;2000;0;")


@pytest.mark.parametrize(
    ("warning", "critical", "state"),
    [("123.45", "200", State.OK), ("123.44", "200", State.WARNING), ("100", "123.449", State.CRITICAL)],
)
def test_the_settled_day_decides_to_the_last_digit(warning: str, critical: str, state: State) -> None:
    assert judged(warning=warning, critical=critical).state is state


def test_a_settled_day_past_its_limit_says_so() -> None:
    found = judged(warning="100")
    assert found.summary == "aws: 123.45 USD on 2024-03-13, outside 100, settled"


def test_a_limit_passed_by_a_day_that_still_moves_is_told_at_once_and_says_so() -> None:
    found = judged(warning="200", critical="500", days=aws_days(d13="100", d14="80", d15="501.5"))
    assert found.state is State.CRITICAL
    assert found.summary == (
        "aws: 501.50 USD on 2024-03-15, outside 500, while that day still moves; 100.00 USD on 2024-03-13"
    )


def test_a_day_that_still_moves_is_not_blamed_for_costing_too_little() -> None:
    found = judged(warning="50:", critical="20:", days=aws_days(d13="100", d14="1", d15="0"))
    assert found.state is State.OK


def test_a_settled_day_that_costs_too_little_is_blamed() -> None:
    assert judged(warning="50:", critical="20:", days=aws_days(d13="10", d14="900")).state is State.CRITICAL


def test_a_worse_settled_day_goes_before_a_moving_one() -> None:
    found = judged(warning="50", critical="90", days=aws_days(d13="100", d14="60"))
    assert found.state is State.CRITICAL
    assert found.summary.endswith("settled")


def test_without_a_settled_day_nothing_is_ok() -> None:
    found = judged(sources__shop__settled=None)
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("no day has settled yet; aws:")


def test_without_a_settled_day_a_limit_passed_is_told_nevertheless() -> None:
    assert judged(sources__shop__settled=None, warning="100", critical="500").state is State.WARNING


def test_a_settled_day_without_charges_is_not_taken_for_a_cheap_one() -> None:
    found = judged(days=aws_days(d12="1", d14="2"))
    assert found.state is State.UNKNOWN
    assert "no charges are known of 2024-03-13" in found.summary


def test_a_bill_that_has_ended_holds_no_other_back() -> None:
    old = {"provider": "focus", "newest": "2023-09-01T00:00:00+00:00", "settled": "2023-09-01T00:00:00+00:00"}
    sources = answer()["sources"] | {"history": old | {"ended": True, "failed": None}}
    assert "2024-03-13" in judged(sources=sources).summary


def test_when_every_bill_has_ended_nothing_is_ok() -> None:
    with pytest.raises(Unanswerable, match="no source has a bill that goes on"):
        judged(sources__shop__ended=True, sources__lab__ended=True)


def test_the_source_that_settles_last_decides_which_day_it_is() -> None:
    slow = judged(Scope(currency="USD"), sources__lab__settled="2024-03-13T00:00:00+00:00")
    assert "101.00 USD on 2024-03-12" in slow.summary


def test_an_account_and_a_service_are_judged_by_their_latest_settled_day() -> None:
    found = judged(Scope("aws", "444455556666", "Amazon EC2"), warning="10", critical="11")
    assert found.text() == (
        "CLOUDSPEND WARNING - aws 444455556666 Amazon EC2: 10.50 USD on 2024-03-13, outside 10, settled"
        " | 'aws 444455556666 Amazon EC2 daily USD'=10.5;10;11;0;"
    )
    assert judged(Scope(service="Amazon EC2")).perf[0].value == 100.5


def test_a_moving_day_of_an_account_is_told_at_once_too() -> None:
    moving = {
        "2024-03-14": [["aws", "444455556666", "Amazon EC2", "USD", "10"]],
        "2024-03-15": [
            ["aws", "444455556666", "Amazon EC2", "USD", "300"],
            ["aws", "444455556666", "AWS Glue", "USD", "201.5"],
            ["aws", "111122223333", "Amazon EC2", "USD", "9000"],
            ["aws", "444455556666", "Amazon EC2", "EUR", "9000"],
        ],
    }
    found = judged(Scope("aws", "444455556666", currency="USD"), warning="200", critical="500", moving=moving)
    assert found.state is State.CRITICAL
    assert found.summary == (
        "aws 444455556666: 501.50 USD on 2024-03-15, outside 500, while that day still moves; 10.50 USD on 2024-03-13"
    )


def test_a_service_that_is_known_and_cost_nothing_that_day_costs_nothing() -> None:
    found = judged(Scope(service="AWS Glue"))
    assert (found.state, found.perf[0].value) == (State.OK, 0)


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(provider="gcp"), "no source has charges of provider 'gcp'"),
        (Scope(service="Amazon EC3"), "no costs of service 'Amazon EC3'.*AWS Glue, Amazon EC2"),
        (Scope("azure", service="Amazon EC2"), "no costs of service 'Amazon EC2'. hint: there are Virtual Machines"),
        (Scope(account="1"), "no costs of account '1'"),
        (Scope("aws", currency="EUR"), "no costs of currency 'EUR'. hint: there are USD"),
        (Scope(), "all is billed in EUR, USD. hint: choose one by --currency"),
    ],
)
@pytest.mark.parametrize("window", [DAILY, MONTH_TO_DATE])
def test_what_is_not_in_the_bill_is_unknown_and_what_is_there_is_named(scope: Scope, window: str, said: str) -> None:
    if window == DAILY and scope == Scope(account="1"):
        said = "no costs of account"
    with pytest.raises(Unanswerable, match=said):
        judged(scope, window)


def test_a_provider_of_rows_nobody_knows_beforehand_is_looked_for_in_the_bill() -> None:
    with pytest.raises(Unanswerable, match=r"no costs of provider 'gcp'. hint: there are aws, azure"):
        judged(Scope("gcp"), served__sources__shop={"label": "", "failed": None})


def test_the_month_so_far_counts_moving_days_and_says_what_is_settled() -> None:
    found = judged(window=MONTH_TO_DATE)
    assert found.text() == (
        "CLOUDSPEND WARNING - aws: 1,612.75 USD in 2024-03 so far, settled before 2024-03-14, outside 1000,"
        " by data that still moves | 'aws month-to-date USD'=1612.75;1000;2000;0;"
    )


def test_the_month_so_far_says_when_settled_days_alone_pass_the_limit() -> None:
    found = judged(window=MONTH_TO_DATE, warning="224", critical="9999")
    assert found.summary.endswith("already by settled days alone")
    assert judged(window=MONTH_TO_DATE, warning="225", critical="9999").summary.endswith("by data that still moves")


def test_amounts_keep_every_digit() -> None:
    scope = Scope("azure", currency="EUR")
    found = judged(scope, MONTH_TO_DATE, warning="50", critical="51")
    assert found.state is State.WARNING
    assert "outside 50 (50.000000000000000000000001)" in found.summary
    assert "'azure month-to-date EUR'=50.000000000000000000000001;50;51;0;" in found.text()


def test_on_the_first_of_the_month_before_the_bill_is_rendered_again_nothing_is_said_of_the_old_month() -> None:
    late = {"served__now": "2024-04-01T00:05:00+00:00", "served__next_change_at": "2024-04-01T00:00:00+00:00"}
    with pytest.raises(Unanswerable, match="a new month has begun"):
        judged(window=MONTH_TO_DATE, served__expires_at=None, **late)


def test_the_forecast_of_a_provider_has_its_band() -> None:
    found = judged(window=FORECAST, warning="8000", critical="9000")
    assert found.text() == (
        "CLOUDSPEND WARNING - aws: 8,800.00 USD expected for 2024-03 (8,500.00 to 9,100.00 by four in five),"
        " outside 8000 | 'aws forecast USD'=8800;8000;9000;0; 'aws forecast USD lower'=8500;;;0;"
        " 'aws forecast USD upper'=9100;;;0;"
    )


def test_forecasts_of_several_providers_add_up_and_their_bands_do_not() -> None:
    both = [entry | {"currency": "USD"} for entry in answer()["forecasts"]]
    found = judged(Scope(), FORECAST, forecasts=both)
    assert [str(item) for item in found.perf] == ["'all forecast USD'=8890;1000;2000;0;"]


def test_a_forecast_that_is_missing_of_another_month_or_too_narrow_is_unknown() -> None:
    with pytest.raises(Unanswerable, match="there is no forecast of 2024-03"):
        judged(window=FORECAST, forecasts=[])
    with pytest.raises(Unanswerable, match="there is no forecast of 2024-03"):
        judged(window=FORECAST, forecasts=[entry | {"month": "2024-02"} for entry in answer()["forecasts"]])
    with pytest.raises(Unanswerable, match="by provider and currency"):
        judged(Scope("aws", service="Amazon EC2"), FORECAST)
    with pytest.raises(Unanswerable, match="in EUR, USD"):
        judged(Scope(), FORECAST)


def test_a_denied_source_makes_ok_unknown_and_leaves_a_warning_a_warning() -> None:
    denied = {"label": "aws", "failed": "access_denied", "message": "may not ce:GetCostAndUsage", "hint": "grant it"}
    found = judged(served__sources__shop=denied)
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("shop: access_denied: may not ce:GetCostAndUsage. hint: grant it; aws: 123.45 USD")
    assert judged(served__sources__shop=denied, warning="100").state is State.WARNING


def test_a_denied_source_of_another_provider_hurts_nobody() -> None:
    denied = {"label": "azure", "failed": "access_denied", "message": "no", "hint": None}
    assert judged(served__sources__lab=denied).state is State.OK


def test_the_published_providers_of_a_source_go_before_its_label() -> None:
    denied = {"label": "azure", "failed": "access_denied", "message": "no", "hint": None}
    changes = {"served__sources__lab": denied, "sources__lab__providers": ["aws", "azure"]}
    assert judged(**changes).state is State.UNKNOWN


def test_a_poll_that_failed_for_a_passing_reason_is_told_and_the_last_good_data_counts() -> None:
    failed = {"label": "aws", "failed": "throttled", "message": "asked too often", "hint": None}
    found = judged(served__sources__shop=failed)
    assert found.state is State.OK
    assert found.details == ("shop: the last poll failed: throttled: asked too often",)


def test_a_source_that_has_no_data_at_all_makes_ok_unknown() -> None:
    sources = {"lab": answer()["sources"]["lab"]}
    waiting = {"label": "", "failed": None, "waiting": "waiting for its first poll"}
    found = judged(Scope("azure"), sources=sources, served__sources__shop=waiting)
    assert found.state is State.UNKNOWN
    assert found.summary.startswith("shop: no data: waiting for its first poll; azure: 4.00 EUR")


def test_the_reason_why_there_are_no_costs_comes_first() -> None:
    denied = {"label": "aws", "failed": "access_denied", "message": "no", "hint": None}
    with pytest.raises(Unanswerable, match="shop: no data: access_denied: no"):
        judged(sources={"lab": answer()["sources"]["lab"]}, days={}, served__sources__shop=denied)


@pytest.mark.parametrize("window", [DAILY, MONTH_TO_DATE, FORECAST])
@pytest.mark.parametrize("amount", [None, 5.5, "many", "NaN"])
def test_what_is_no_amount_is_unknown(window: str, amount: object) -> None:
    changes = {
        "days__aws": {"USD": [["2024-03-13", amount]]},
        "totals__month_to_date": [["aws", "1", "s", "USD", amount]],
        "forecasts": [answer()["forecasts"][0] | {"total": amount}],
    }
    with pytest.raises(Unanswerable, match="is not an amount"):
        judged(window=window, **changes)


def test_verbose_lines_say_how_far_each_source_reaches() -> None:
    assert judged().more == (
        "2024-03-14: 80 USD, may still grow",
        "2024-03-15: 7 USD, may still grow",
        "lab: newest charge until 2024-03-15 06:00 UTC, settled until 2024-03-14 00:00 UTC",
        "shop: newest charge until 2024-03-15 10:00 UTC, settled until 2024-03-14 00:00 UTC",
    )
