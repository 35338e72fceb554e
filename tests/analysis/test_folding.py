"""Folding: bounded, exact, and calm."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.folding import OTHER, choose, folded
from exporter.costs import Line


def line(number: int) -> Line:
    return ("aws", "a", f"s{number:03}", "r")


def sizes(amounts: dict[int, int]) -> dict[Line, Decimal]:
    return {line(number): Decimal(amount) for number, amount in amounts.items()}


some_sizes = st.dictionaries(st.integers(0, 60), st.integers(0, 1000), max_size=40).map(sizes)
some_lines = st.sets(st.integers(0, 60).map(line))


def test_below_the_limit_every_line_is_shown() -> None:
    assert choose(sizes({1: 5, 2: 0}), (), 2) == {line(1), line(2)}


def test_past_the_limit_the_largest_are_shown_and_one_place_is_for_other() -> None:
    assert choose(sizes({1: 5, 2: 1, 3: 9, 4: 2}), (), 3) == {line(3), line(1)}


def test_a_line_that_hovers_around_the_limit_does_not_flap() -> None:
    before = sizes({number: 1000 - number for number in range(100)})
    shown = choose(before, (), 51)
    assert line(49) in shown
    assert line(50) not in shown
    swapped = before | {line(49): before[line(50)], line(50): before[line(49)]}
    assert choose(swapped, shown, 51) == shown


def test_a_line_that_grows_well_into_the_limit_enters_and_the_smallest_leaves() -> None:
    before = sizes({number: 1000 - number for number in range(100)})
    shown = choose(before, (), 51)
    grown = before | {line(80): Decimal(2000)}
    assert choose(grown, shown, 51) == (shown - {line(49)}) | {line(80)}


def test_a_line_that_falls_well_behind_the_limit_leaves() -> None:
    before = sizes({number: 1000 - number for number in range(100)})
    shown = choose(before, (), 51)
    fallen = before | {line(10): Decimal(0)}
    assert choose(fallen, shown, 51) == (shown - {line(10)}) | {line(50)}


@given(some_sizes, some_lines, st.integers(1, 30))
def test_no_more_lines_are_shown_than_the_limit_allows_and_no_place_is_wasted(
    lines: dict[Line, Decimal], kept: set[Line], limit: int
) -> None:
    shown = choose(lines, kept, limit)
    assert shown <= set(lines)
    assert len(shown) == (len(lines) if len(lines) <= limit else limit - 1)


@given(some_sizes, some_lines, st.integers(1, 30))
def test_choosing_again_changes_nothing(lines: dict[Line, Decimal], kept: set[Line], limit: int) -> None:
    shown = choose(lines, kept, limit)
    assert choose(lines, shown, limit) == shown


@given(some_sizes, st.integers(1, 30))
def test_folding_preserves_every_sum(lines: dict[Line, Decimal], limit: int) -> None:
    shown = choose(lines, (), limit)
    sums: dict[Line, Decimal] = {}
    for each, size in lines.items():
        target = folded(each, shown)
        sums[target] = sums.get(target, Decimal(0)) + size
    assert sum(sums.values()) == sum(lines.values())
    assert set(sums) - {("aws", OTHER, OTHER, OTHER)} == shown
    assert len(sums) <= max(limit, 1)
