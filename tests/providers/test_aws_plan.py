"""The planner alone: which questions, and how many."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.costs import ChargeCategory
from exporter.errors import BadData
from exporter.periods import Grain, Window
from exporter.providers.aws_plan import Extra, Plan, extra
from exporter.providers.aws_words import CATEGORIES, USAGE, category

NOVEMBER = Window.of_days(date(2026, 11, 1), date(2026, 12, 1))


def keys(plan: Plan, seen: tuple[str, ...] = ()) -> list[list[str]]:
    return [[group["Key"] for group in question.groups] for question in (plan.everything(), *plan.usage(seen))]


def test_the_default_is_two_questions() -> None:
    assert keys(Plan()) == [["LINKED_ACCOUNT", "RECORD_TYPE"], ["SERVICE", "REGION"]]
    assert Plan().everything().filter is None
    assert Plan().usage(())[0].filter == {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(USAGE)}}


def test_each_account_is_a_question_with_a_filter() -> None:
    questions = Plan(each=True).usage(("2", "1"))
    assert [question.account for question in questions] == ["1", "2"]
    assert questions[0].filter is not None
    assert {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": ["1"]}} in questions[0].filter["And"]


def test_listed_accounts_are_asked_for_whether_seen_or_not() -> None:
    plan = Plan(accounts=("1", "2"), each=True)
    assert [question.account for question in plan.usage(("3",))] == ["1", "2"]
    assert plan.everything().filter == {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": ["1", "2"]}}


def test_a_tag_takes_the_place_of_region_and_regions_become_filters() -> None:
    plan = Plan(extra=Extra.of_tag("team"), regions=("r1", "r2"))
    questions = plan.usage(())
    assert {tuple(group["Type"] for group in question.groups) for question in questions} == {("DIMENSION", "TAG")}
    assert [question.region for question in questions] == ["r1", "r2", "other"]
    assert questions[2].filter is not None
    assert {"Not": {"Dimensions": {"Key": "REGION", "Values": ["r1", "r2"]}}} in questions[2].filter["And"]


@given(
    accounts=st.lists(st.from_regex(r"\d{12}", fullmatch=True), min_size=1, max_size=9, unique=True),
    listed=st.booleans(),
    each=st.booleans(),
    regions=st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
    tagged=st.booleans(),
)
def test_the_count_is_the_number_of_questions_and_no_two_are_alike(
    accounts: list[str], listed: bool, each: bool, regions: list[str], tagged: bool
) -> None:
    plan = Plan(tuple(accounts) if listed else None, each, Extra.of_tag("team") if tagged else None, tuple(regions))
    questions = (plan.everything(), *plan.usage(accounts))
    requests = [repr(question.request(NOVEMBER, Grain.DAY)) for question in questions]
    assert len(set(requests)) == len(requests) == plan.count(len(accounts))


def test_days_and_hours_are_written_as_cost_explorer_wants_them() -> None:
    asked = Plan().everything().request(NOVEMBER, Grain.DAY)
    assert (asked["TimePeriod"], asked["Granularity"]) == ({"Start": "2026-11-01", "End": "2026-12-01"}, "DAILY")
    window = Window(datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 1, 7, tzinfo=UTC))
    asked = Plan().everything().request(window, Grain.HOUR)
    assert asked["TimePeriod"] == {"Start": "2026-11-01T05:00:00Z", "End": "2026-11-01T07:00:00Z"}
    assert asked["Granularity"] == "HOURLY"


def test_one_label_more_is_all_there_can_be() -> None:
    assert extra((), ()) is None
    assert extra((), ("cost_category:Stage",)) == Extra("Stage", "COST_CATEGORY", "Stage")
    assert extra((), ("usage_type",)) == Extra("usage_type", "DIMENSION", "USAGE_TYPE")
    with pytest.raises(BadData, match="team and usage_type"):
        extra(("team",), ("usage_type",))


def test_every_record_type_has_one_category_and_unknown_ones_are_adjustments() -> None:
    assert {CATEGORIES[word] for word in USAGE} == {ChargeCategory.USAGE}
    assert set(CATEGORIES.values()) == set(ChargeCategory)
    assert category("Karma") is ChargeCategory.ADJUSTMENT
