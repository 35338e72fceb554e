"""Budgets as they are configured: in a list, or in files of a folder."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import log
from exporter.config import Config, dump, load, masked, restore
from exporter.config.budget_files import folder_of, stamps
from exporter.config.budgets import BudgetSettings, anchor, channel_name, percent, percent_text
from exporter.costs import Cost
from exporter.errors import ConfigError
from exporter.periods import Cycle, Recurrence, day_of
from tests.config.conftest import HERE
from tests.config.stubs import STUBS

D = Decimal
SOURCE = "sources: [{name: a, provider: focus, path: x, tags: [team]}]\n"


def loaded(text: str, folder: Path = HERE, **environment: str) -> Config:
    return load(SOURCE + text, STUBS, file="c.yml", folder=folder, environment=environment)


def one(keys: str) -> BudgetSettings:
    (budget,) = loaded(f"budgets: [{{name: web, amount: 9000{keys}}}]").budgets
    return budget


def test_a_budget_of_two_keys_has_every_default() -> None:
    budget = one("")
    assert (budget.name, budget.amount, budget.currency, budget.period) == ("web", D(9000), "USD", "monthly")
    assert budget.graded == ((D(80), "warning"), (D(100), "critical"))
    assert (budget.cool_down, budget.channels, budget.net, budget.cost) == (timedelta(hours=1), (), False, None)
    assert (budget.provider, budget.tags, budget.adjust, budget.owner) == (None, {}, None, None)
    assert budget.recurrence == Recurrence(Cycle.MONTHLY)


def test_a_folder_holds_budgets_in_files_of_one_or_several() -> None:
    shop, web = (loaded("budgets: ./budgets/good", LIMIT="77").budgets[index] for index in (1, 2))
    everything = loaded("budgets: ./budgets/good", LIMIT="77").budgets[0]
    assert (everything.name, everything.amount) == ("all", D(77))
    assert everything.graded == ((D(50), "warning"), (D(80), "warning"), (D(100), "info"))
    assert (shop.amount, shop.currency) == (D("2.50"), "EUR")
    assert (web.amount, web.period, web.starts) == (D("1234.000000001"), "quarterly", "02-01")
    assert (web.provider, web.account, web.service) == (("aws",), ("111122223333",), ("a", "b"))
    assert (web.region, web.charge_category, web.tags) == (("eu",), ("usage", "tax"), {"team": ("web", "shop")})
    assert (web.net, web.cost, web.channels, web.cool_down) == (True, Cost.EFFECTIVE, ("log",), timedelta(hours=2))
    assert web.adjust is not None
    assert (web.adjust.periods, web.adjust.headroom, web.adjust.most_change) == (6, D("12.5"), D(30))
    assert (web.adjust.least, web.adjust.most, web.owner) == (D(1000), D(2000), "the platform team")


def test_all_mistakes_of_all_files_come_at_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("name: b\namount: ${NOPE}\ncurency: USD\n")
    (tmp_path / "a.yml").write_text("budgets:\n  - {name: b, amount: -1}\n  - {amount: 1}\n")
    with pytest.raises(ConfigError) as caught:
        loaded(f"budgets: {tmp_path}\ncost: {{basis: biled}}\n")
    assert [str(problem).replace(str(tmp_path), "") for problem in caught.value.problems] == [
        "line 2: budgets: /a.yml: line 2: budgets[0].amount: '-1' is not an amount such as 9000 or 12.50",
        "line 2: budgets: /a.yml: line 3: budgets[1].name: is missing",
        "line 2: budgets: /b.yml: line 1: name: 'b' is the name of /a.yml on line 2 too",
        (
            "line 2: budgets: /b.yml: line 2: amount: the environment variable NOPE is not set"
            ". hint: set it, or write ${NOPE:-default}"
        ),
        "line 2: budgets: /b.yml: line 3: curency: unknown key. hint: did you mean currency?",
        "line 3: cost.basis: 'biled' is not one of billed, effective, list. hint: did you mean billed?",
    ]


def test_the_worker_is_handed_the_budgets_themselves_and_people_see_them() -> None:
    config = loaded("budgets: ./budgets/good")
    assert restore(dump(config), STUBS) == config
    shown = masked(config)["budgets"]
    assert [budget["name"] for budget in shown] == ["all", "shop", "web"]
    assert (shown[0]["thresholds"][0]["at"], shown[2]["adjust"]["headroom"]) == ("50%", "12.5%")


def test_an_address_that_is_a_secret_is_shown_to_nobody() -> None:
    config = loaded("budgets: ./budgets/good")
    assert "hooks.example/not-shown" in dump(config)
    assert "not-shown" not in str(masked(config))
    assert "not-shown" not in log.masked("posted to https://hooks.example/not-shown")
    name = channel_name("slack:https://hooks.example/not-shown")
    assert name.startswith("slack:")
    assert "not-shown" not in name
    assert name != channel_name("slack:https://hooks.example/another")
    assert channel_name("email:costs@example.com") == "email:costs@example.com"


@pytest.mark.parametrize(
    ("keys", "first", "last"),
    [
        ("", "2024-03-01", "2024-03-31"),
        (", starts: 20", "2024-02-20", "2024-03-19"),
        (", starts: 31", "2024-02-29", "2024-03-30"),
        (", period: daily", "2024-03-15", "2024-03-15"),
        (", period: weekly", "2024-03-11", "2024-03-17"),
        (", period: weekly, starts: friday", "2024-03-15", "2024-03-21"),
        (", period: weekly, starts: Sunday", "2024-03-10", "2024-03-16"),
        (", period: quarterly", "2024-01-01", "2024-03-31"),
        (", period: quarterly, starts: 02-01", "2024-02-01", "2024-04-30"),
        (", period: yearly", "2024-01-01", "2024-12-31"),
        (", period: yearly, starts: 04-06", "2023-04-06", "2024-04-05"),
        (", period: yearly, starts: 02-29", "2024-02-29", "2025-02-27"),
    ],
)
def test_a_period_begins_where_it_is_told_to(keys: str, first: str, last: str) -> None:
    period = one(keys).recurrence.containing(date(2024, 3, 15))
    assert (str(day_of(period.start)), str(day_of(period.end - timedelta(days=1)))) == (first, last)


starts = st.one_of(
    st.tuples(st.just(Cycle.DAILY), st.none()),
    st.tuples(st.just(Cycle.WEEKLY), st.sampled_from(["monday", "tuesday", "Friday", "sunday"])),
    st.tuples(st.just(Cycle.MONTHLY), st.integers(1, 31).map(str)),
    st.tuples(
        st.sampled_from([Cycle.QUARTERLY, Cycle.YEARLY]),
        st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: f"{day:%m-%d}"),
    ),
)


@given(starts, st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_periods_tile_the_calendar_wherever_they_begin(how: tuple[Cycle, str | None], day: date) -> None:
    period, begins = how
    recurrence = Recurrence(period, anchor(period, begins))
    found = recurrence.containing(day)
    assert found.start < found.end
    assert day in list(found.days())
    assert recurrence.before(found).end == found.start
    assert recurrence.containing(day_of(found.end)).start == found.end
    # Each of its days lies in it and in no other.
    for inner in (found.start, found.end - timedelta(days=1)):
        assert recurrence.containing(day_of(inner)) == found


@given(st.decimals("0.0001", 99999, places=4))
def test_a_share_is_read_back_as_it_was_written(share: Decimal) -> None:
    assert percent(percent_text(share)) == share


def test_a_number_is_exact_with_and_without_quotes() -> None:
    amounts = [loaded(f"budgets: [{{name: a, amount: {text}}}]").budgets[0].amount for text in ("0.10", '"0.10"')]
    assert [str(amount) for amount in amounts] == ["0.10", "0.10"]


def test_where_budgets_are_is_known_without_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    for text, found in (
        ("budgets: ./budgets.d\nsources: nonsense", tmp_path / "budgets.d"),
        ("budgets: ${WHERE:-/etc/budgets}", Path("/etc/budgets")),
        ("budgets: [{name: a}]", None),
        ("sources: []", None),
    ):
        file.write_text(text)
        assert folder_of(file, {}) == found
    for text in ("a: [", "budgets: '~/budgets'"):
        file.write_text(text)
        with pytest.raises(ConfigError):
            folder_of(file, {})
    with pytest.raises(ConfigError):
        folder_of(tmp_path / "nowhere.yml", {})


def test_a_file_that_comes_goes_or_changes_changes_the_stamps(tmp_path: Path) -> None:
    assert stamps(tmp_path / "nowhere") == ()
    seen = [stamps(tmp_path)]
    for name, text in (("a.yml", "x"), ("a.yml", "xy"), ("b.yaml", "z")):
        (tmp_path / name).write_text(text)
        seen.append(stamps(tmp_path))
    (tmp_path / "a.yml").unlink()
    seen.append(stamps(tmp_path))
    assert len(set(seen)) == len(seen)
    (tmp_path / "note.txt").write_text("not a budget")
    (tmp_path / ".a.yml.swp").write_text("an editor's own")
    (tmp_path / ".#a.yml").write_text("an editor's own")
    assert stamps(tmp_path) == seen[-1]
