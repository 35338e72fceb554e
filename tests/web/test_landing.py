"""The page at `/`: what it says of a bill, of its absence and of failures, and that no name can become markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from exporter.errors import AccessDenied
from exporter.web import landing
from exporter.web.landing_summary import Summary, summarised
from tests.costs.rows import row
from tests.polling.house import full
from tests.web.asking import ask
from tests.web.conftest import Stand

NOW = datetime(2024, 9, 20, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&"
VOID = {"meta", "br"}
FORECAST = {
    "month": "2024-09",
    "settled_until": "2024-09-18",
    **dict.fromkeys(("settled", "nowcast", "nowcast_lower", "nowcast_upper", "lower95", "upper95"), "1"),
    "error": None,
    "coverage": None,
}
FINDING = {
    "fingerprint": "f1",
    "status": "open",
    "severity": "high",
    "impact": "107.9",
    "currency": "USD",
    "first_day": "2024-09-15",
    "sentence": "EC2 cost 201.01 USD on 16 September 2024, 54.69 more than the 146.32 expected.",
}
BUDGET = {
    "name": "azure",
    "currency": "EUR",
    "period": "monthly",
    "until": "2024-10-01",
    "limit": "9000",
    "spent": "7102.23263726",
    "elapsed": "0.6",
    "forecast": "11532.09",
    "exhausted_on": "2024-09-24",
    "status": "at_risk",
}


def check(**given: Any) -> dict[str, Any]:
    """A check.json; what is given takes the place of its keys."""
    return {
        "now": NOW.isoformat(),
        "sources": {
            "bills": {"providers": ["aws", "azure"], "basis": "billed", "settled": "2024-09-18T00:00:00+00:00"}
        },
        "totals": {
            "month_to_date": [
                ["aws", "1", "EC2", "USD", "1000.125"],
                ["aws", "2", "EC2", "USD", "0.0050000000000000000000001"],
                ["aws", "1", "S3", "USD", "250"],
                ["azure", "3", "Storage", "EUR", "10"],
                ["azure", "3", "Storage", "USD", "-1.5"],
            ],
            "previous_month": [["aws", "1", "EC2", "USD", "2000"], ["gcp", "9", "BigQuery", "JPY", "77"]],
            "latest_day": [],
        },
        "days": {"aws": {"USD": [["2024-09-16", "50"], ["2024-09-17", "70"], ["2024-09-18", "20"]]}},
        "forecasts": [
            FORECAST | {"provider": "aws", "currency": "USD", "total": "1900", "lower": "1800", "upper": "2000"},
            FORECAST | {"provider": "azure", "currency": "EUR", "total": "15", "lower": "14", "upper": "16"},
        ],
        "budgets": [],
        "findings": [],
        "first_spend": [],
        "judged": ["anomalies", "tripwire", "budgets", "forecasts"],
        "failed": [],
        **given,
    }


def fact(**given: Any) -> dict[str, Any]:
    """What the board says of a source."""
    return {
        "source": "bills",
        "provider": "focus",
        "label": "",
        "up": True,
        "failed": None,
        "message": None,
        "hint": None,
        "polling_since": None,
        "last_success": NOW - timedelta(hours=3),
        "next_poll": NOW + timedelta(minutes=5),
        "settled": "2024-09-18T00:00:00+00:00",
        "rows": 1234,
        **given,
    }


def page(facts: list[dict[str, Any]] | None = None, bill: Mapping[str, Any] | None = None, **given: Any) -> str:
    summary = summarised(bill if bill is not None else check(**given))
    return landing.page([fact()] if facts is None else facts, summary, NOW)


class Outline(HTMLParser):
    """Elements and words of a page; fails where tags are not closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), "an attribute stands twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def words(text: str) -> str:
    return re.sub(r"\s+", " ", Outline(text).words)


# --- money -----------------------------------------------------------------------------------------------------------


def test_each_currency_stands_for_itself_and_its_sum_is_exact() -> None:
    bill = summarised(check())
    assert [(money.currency, str(money.so_far)) for money in bill.money] == [
        ("USD", "1248.6300000000000000000000001"),
        ("EUR", "10"),
        ("JPY", "0"),
    ]
    said = words(page())
    assert "1,248.63 USD so far" in said
    assert "10.00 EUR so far" in said
    assert "0.00 JPY so far" in said
    assert "−1.50" in said


def test_an_interval_stands_where_one_provider_is_billed_and_a_sum_has_none() -> None:
    both = [
        FORECAST | {"provider": "aws", "currency": "USD", "total": "1900", "lower": "1800", "upper": "2000"},
        FORECAST | {"provider": "azure", "currency": "USD", "total": "100.5", "lower": "90", "upper": "110"},
        FORECAST | {"provider": "azure", "currency": "EUR", "total": "15", "lower": "14", "upper": "16"},
    ]
    usd, eur, _ = summarised(check(forecasts=both)).money
    assert usd.expected is not None
    assert (str(usd.expected.total), usd.expected.lower) == ("2000.5", None)
    assert eur.expected is not None
    assert (str(eur.expected.lower), str(eur.expected.upper)) == ("14", "16")
    assert "15.00 14.00 to 16.00" in words(page(forecasts=both).replace("<br>", " "))


def test_a_sum_that_lacks_a_providers_forecast_is_not_shown() -> None:
    [usd, *_] = summarised(check()).money
    assert usd.expected is None
    assert [provider.expected is None for provider in usd.providers] == [False, True]


def test_a_forecast_of_another_month_is_not_this_ones() -> None:
    old = [
        FORECAST | {"provider": "aws", "currency": "USD", "total": "1", "lower": "1", "upper": "1", "month": "2024-08"}
    ]
    assert all(money.expected is None for money in summarised(check(forecasts=old)).money)


def test_services_are_added_over_accounts_and_the_dearest_comes_first() -> None:
    [usd, *_] = summarised(check()).money
    assert [(each.name, str(each.so_far)) for each in usd.services] == [
        ("EC2", "1000.1300000000000000000000001"),
        ("S3", "250"),
        ("Storage", "-1.5"),
    ]
    many = [["aws", "1", f"service {n}", "USD", f"{n}"] for n in range(30)]
    totals = {"month_to_date": many, "previous_month": [], "latest_day": []}
    said = words(page(totals=totals))
    assert "the 8 largest of 30" in said
    assert "service 29" in said
    assert "service 21" not in said


def test_a_day_is_settled_when_every_source_of_the_provider_says_so() -> None:
    later = {"providers": ["aws"], "basis": "billed", "settled": "2024-09-17T00:00:00+00:00"}
    sources = check()["sources"]
    [usd, *_] = summarised(check(sources=sources)).money
    assert [day.settled for day in usd.providers[0].days] == [True, True, False]
    [usd, *_] = summarised(check(sources={**sources, "more": later})).money
    assert [day.settled for day in usd.providers[0].days] == [True, False, False]
    [usd, *_] = summarised(check(sources={**sources, "more": later | {"settled": None}})).money
    assert not any(day.settled for day in usd.providers[0].days)


def test_every_bar_has_its_day_and_the_picture_says_what_it_shows() -> None:
    outline = Outline(page())
    assert "17 Sep: 70.00 USD" in outline.words
    assert "18 Sep: 20.00 USD, may still move" in outline.words
    labels = [each["aria-label"] for each in outline.tags("svg") if each.get("role") == "img"]
    assert (
        "aws, USD a day, 16 Sep to 18 Sep: lowest 20.00 on 18 Sep, highest 70.00 on 17 Sep; last settled day, 17 Sep:"
        " 70.00" in labels
    )


@pytest.mark.parametrize(
    ("amounts", "cut"),
    [
        (["10"] * 30 + ["100"], 1),
        (["10"] * 30 + ["-100"], 1),
        (["10"] * 9 + ["-12"] * 9, 0),
        (["1", "2", "3"], 0),
        (["1"] * 10 + ["100"] * 8, 0),
        (["0"] * 5, 0),
        (["-5"], 0),
    ],
)
def test_few_days_that_dwarf_the_others_are_cut_off_and_say_so(amounts: list[str], cut: int) -> None:
    days = [[f"2024-08-{n + 1:02d}" if n < 31 else "2024-09-01", amount] for n, amount in enumerate(amounts)]
    outline = Outline(page(days={"aws": {"USD": days}}))
    assert outline.words.count("bar cut off") == cut
    for bar in outline.tags("rect"):
        assert all(float(bar.get(name) or 0) >= -0.1 for name in ("y", "width", "height"))
        assert float(bar.get("y") or 0) + float(bar["height"] or 0) <= 45


# --- what is open ----------------------------------------------------------------------------------------------------


def test_a_budget_says_how_it_stands_in_a_sentence() -> None:
    said = words(page(budgets=[BUDGET]))
    assert (
        "azure▲ at riskmonthly7,102.23 of 9,000.00 EUR spent (79 %), 60 % of the time gone. Expected by 30 September:"
        " 11,532.09 (128 %). Used up on 24 September at this pace." in said
    )
    assert "1 budget at risk" in said


def test_budgets_stand_with_the_worst_first() -> None:
    three = [BUDGET | {"name": name, "status": name} for name in ("on_track", "over", "at_risk")]
    assert [each["name"] for each in summarised(check(budgets=three)).budgets] == ["over", "at_risk", "on_track"]


@pytest.mark.parametrize("given", [{"forecast": None, "exhausted_on": None}, {"limit": "0"}, {"spent": "-5"}])
def test_a_budget_without_forecast_or_limit_or_below_zero_is_shown(given: dict[str, Any]) -> None:
    assert "azure" in words(page(budgets=[BUDGET | given]))


def test_open_anomalies_say_their_sentence_and_ended_ones_are_gone() -> None:
    ended = FINDING | {"fingerprint": "f2", "status": "resolved", "sentence": "It is over."}
    minor = FINDING | {"fingerprint": "f3", "severity": "low", "impact": "900", "sentence": "Minor."}
    said = words(page(findings=[minor, ended, FINDING]))
    assert "It is over." not in said
    assert said.index(FINDING["sentence"]) < said.index("Minor.")
    assert "2 open anomalies" in said


def test_a_place_that_is_new_says_its_sentence() -> None:
    said = words(page(first_spend=[{"sentence": "demo was charged for the first time in region r."}]))
    assert "charged for the first time in region r." in said
    assert "1 first spend" in said


def test_what_could_not_be_judged_is_no_good_news() -> None:
    said = words(page(failed=["anomalies", "budgets"]))
    assert "not judged: anomalies, budgets" in said
    assert "Budgets could not be judged" in said
    assert "Nothing is open" not in said
    assert "All quiet" not in said


def test_where_nothing_is_open_the_page_says_so() -> None:
    said = words(page())
    assert "All quiet: 1 of 1 source up" in said
    assert "No budgets are configured." in said
    assert "Nothing is open." in said


def test_a_long_list_is_cut_and_says_how_much_is_left_out() -> None:
    said = words(page(findings=[FINDING | {"fingerprint": f"f{n}"} for n in range(25)]))
    assert "25 open anomalies" in said
    assert said.count(FINDING["sentence"]) == 20
    assert "and 5 more" in said


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_failing_source_comes_first_with_its_reason_and_hint() -> None:
    failing = fact(source="prod", up=False, failed="access_denied", message="no ce:GetCostAndUsage", hint="attach it")
    said = words(page([fact(), failing]))
    assert said.index("access_denied") < said.index("so far")
    assert "1 of 2 sources failing" in said
    assert "no ce:GetCostAndUsage" in said
    assert "hint: attach it" in said
    assert words(page()).index("so far") < words(page()).index("Where the bill comes from")


def test_a_source_says_how_fresh_it_is() -> None:
    said = words(page())
    assert "2024-09-17 2024-09-20 09:00" in said.replace("2024-09-172024", "2024-09-17 2024")
    assert "3 h ago" in said
    assert "in 5 min" in said
    assert "1,234" in said


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(hours=48), "2 days ago"),
        (timedelta(days=-3, minutes=-1), "in 3 days"),
    ],
)
def test_how_far_away_an_instant_is(away: timedelta, said: str) -> None:
    assert landing.when(NOW - away, NOW).endswith(f"<small>{said}</small>")


def test_without_sources_and_without_a_bill_there_is_a_page() -> None:
    said = words(landing.page([], None, NOW))
    assert "No source is configured." in said
    waiting = fact(up=False, last_success=None, settled=None, rows=0, next_poll=NOW)
    said = words(landing.page([waiting], None, NOW))
    assert "No bill yet" in said
    assert "waiting for its first poll, due 2024-09-20 12:00 UTC" in said


# --- markup ----------------------------------------------------------------------------------------------------------


def hostile() -> str:
    totals = {
        name: [[HOSTILE, HOSTILE, HOSTILE, HOSTILE, "1"]] for name in ("month_to_date", "previous_month", "latest_day")
    }
    bad = fact(source=HOSTILE, provider=HOSTILE, up=False, failed=HOSTILE, message=HOSTILE, hint=HOSTILE)
    named = {"name": HOSTILE, "currency": HOSTILE, "period": HOSTILE, "status": HOSTILE}
    summary = summarised(
        check(
            totals=totals,
            days={HOSTILE: {HOSTILE: [["2024-09-16", "50"]]}},
            budgets=[BUDGET | named],
            findings=[FINDING | {"severity": HOSTILE, "sentence": HOSTILE, "currency": HOSTILE}],
            first_spend=[{"sentence": HOSTILE}],
            failed=[HOSTILE],
        )
    )
    return landing.page([bad], replace(summary, basis=HOSTILE), NOW, HOSTILE)


def test_no_name_becomes_markup() -> None:
    outline = Outline(hostile())
    assert outline.tags("script") == []
    assert outline.words.count(HOSTILE) >= 15
    known = {"class", "id", "href", "role", "scope", "lang", "name", "content", "charset", "datetime", "data-name"}
    drawn = {"d", "x", "y", "width", "height", "viewbox", "preserveaspectratio"}
    for tag, attributes in outline.elements:
        assert {name for name in attributes if not name.startswith("aria-")} <= known | drawn, tag


@pytest.mark.parametrize("text", [page(), page(budgets=[BUDGET], findings=[FINDING]), landing.page([], None, NOW)])
def test_the_page_has_landmarks_headings_in_turn_captions_and_names_for_pictures(text: str) -> None:
    outline = Outline(text)
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(outline.tags(landmark)) == 1, landmark
    assert outline.tags("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h\d", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(outline.tags("caption")) == len(outline.tags("table"))
    assert all(cell.get("scope") in ("col", "row") for cell in outline.tags("th"))
    for picture in outline.tags("svg"):
        assert picture.get("aria-hidden") == "true" or (picture.get("role") == "img" and picture.get("aria-label"))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in outline.tags("section"):
        assert section.get("aria-label") or section["aria-labelledby"] in ids
    for link in outline.tags("a"):
        target = link["href"] or ""
        assert target.startswith("/") or target[1:] in ids


def contrast(one: str, other: str) -> float:
    """By WCAG 2."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_pictures_stand_out_from_what_is_behind_them(scheme: int) -> None:
    text = page()
    block = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
    for ground in ("paper", "panel"):
        for ink in ("ink", "muted", "link", "good", "warn", "bad"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["bar"], colours[ground]) >= 3
        assert contrast(colours["over"], colours[ground]) >= 3


# --- the daemon's ----------------------------------------------------------------------------------------------------


def test_the_page_allows_its_own_style_and_nothing_else(stand: Stand) -> None:
    answer = ask(stand.web(), "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    outline = Outline(answer.text)
    assert not any("style" in attributes or "src" in attributes for _, attributes in outline.elements)


def test_the_page_shows_what_the_store_holds(stand: Stand) -> None:
    stand.house.poll("good")
    stand.house.publish()
    said = words(ask(stand.web(), "/").text)
    assert "September 2024 so far" in said
    assert "4.00 USD so far" in said


def test_a_failure_is_shown_beside_the_last_good_figures(stand: Stand) -> None:
    stand.house.poll("good")
    stand.house.publish()
    stand.house.poll("good", AccessDenied("not allowed", hint="ask for <it>"))
    said = words(ask(stand.web(), "/").text)
    assert "4.00 USD so far" in said
    assert "1 of 1 source failing" in said
    assert "access_denied" in said
    assert "hint: ask for <it>" in said


def test_a_new_snapshot_is_read_once_and_shown(stand: Stand) -> None:
    stand.house.poll("good")
    stand.house.publish()
    board = stand.board()
    first = board.summary()
    assert isinstance(first, Summary)
    assert board.summary() is first
    stand.house.now += timedelta(hours=1)
    stand.house.poll("good", full(row("2024-09-01", "9")))
    stand.house.publish()
    board.refresh()
    second = board.summary()
    assert second is not None
    assert str(second.money[0].so_far) == "9"


def test_a_snapshot_that_cannot_be_read_leaves_a_page(stand: Stand) -> None:
    stand.house.poll("good")
    (stand.house.publish().folder / "check.json").write_text('{"schema": 99}')
    board = stand.board()
    assert board.summary() is None
