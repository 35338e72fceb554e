"""Ranges, performance data and the printed lines, as the guidelines for plugins have them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.checks.nagios import Limits, Perf, Range, Result, State, add, money, plain, worst


@pytest.mark.parametrize(
    ("text", "quiet", "loud"),
    [
        ("10", ["0", "10", "5.5"], ["-0.01", "10.01"]),
        ("10:", ["10", "1000000"], ["9.99", "-1"]),
        ("~:10", ["-1000", "10"], ["10.0001"]),
        ("10:20", ["10", "15", "20"], ["9", "21"]),
        ("@10:20", ["9.99", "20.01"], ["10", "15", "20"]),
        ("@10", ["-1", "10.5"], ["0", "10"]),
        ("@~:0", ["0.01"], ["0", "-7"]),
        ("-5:10", ["-5", "0"], ["-5.01", "11"]),
        (":10", ["0", "10"], ["-1", "11"]),
        (" 1.5 ", ["1.5"], ["1.50000000000000000000000001"]),
        (".5", ["0.5"], ["0.51"]),
    ],
)
def test_a_range_alerts_where_the_guidelines_say(text: str, quiet: list[str], loud: list[str]) -> None:
    limit = Range.parse(text)
    assert [value for value in quiet if limit.alerts(Decimal(value))] == []
    assert [value for value in loud if not limit.alerts(Decimal(value))] == []


@pytest.mark.parametrize(
    "text", ["", "@", "~", ":", "10:5", "1e3", "ten", "1,000", "1_000", "NaN", "10:20:30", "1000 USD", "--5", "١٠"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        Range.parse(text)


numbers = st.decimals(-1000, 1000, places=2)


@given(start=st.none() | numbers, end=st.none() | numbers, inside=st.booleans(), value=numbers, more=numbers)
def test_what_alerts_from_a_value_on_alerts_however_much_it_grows(
    start: Decimal | None, end: Decimal | None, inside: bool, value: Decimal, more: Decimal
) -> None:
    if start is not None and end is not None and start > end:
        start, end = end, start
    limit = Range("", start, end, inside)
    if limit.alerts_from(value):
        assert limit.alerts(value)
        assert limit.alerts(value + abs(more))
    elif limit.alerts(value):
        quiet = end + 1 if inside and end is not None else start
        assert quiet is not None
        assert quiet > value
        assert not limit.alerts(quiet)


def test_critical_goes_before_warning_and_the_unknown_hides_neither() -> None:
    limits = Limits(Range.parse("10"), Range.parse("20"))
    assert [limits.state(Decimal(value)) for value in (10, 11, 21)] == [State.OK, State.WARNING, State.CRITICAL]
    assert worst([State.UNKNOWN, State.WARNING]) is State.WARNING
    assert worst([State.UNKNOWN, State.OK]) is State.UNKNOWN
    assert worst([]) is State.OK
    assert not Limits()
    assert limits


def test_performance_data_has_label_value_and_limits() -> None:
    limits = Limits(Range.parse("1000"), Range.parse("~:2000"))
    assert str(Perf("aws daily USD", Decimal("123.4500"), limits=limits)) == "'aws daily USD'=123.45;1000;~:2000;0;"
    assert str(Perf("a", Decimal("-0.5"))) == "'a'=-0.5;;;;"
    assert str(Perf("used", Decimal("1E+2"), "%")) == "'used'=100%;;;0;"


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    assert str(Perf("it's = a\nlabel | x", Decimal(1))) == "'it s a label x'=1;;;0;"


def test_only_the_first_line_has_numbers_and_no_text_looks_like_them() -> None:
    result = Result(State.WARNING, "one | two\nthree", (Perf("a", Decimal(1)),), ("below | this",), ("for -v",))
    assert result.text() == "CLOUDSPEND WARNING - one / two three | 'a'=1;;;0;\nbelow / this"
    assert result.text(verbose=True).splitlines()[-1] == "for -v"
    assert Result(State.OK, "fine").text() == "CLOUDSPEND OK - fine"


def test_amounts_are_exact_and_written_plainly() -> None:
    long = Decimal("99999999999999.999999999999999999999999")
    assert add([long, Decimal("0.000000000000000000000001")]) == Decimal(10) ** 14
    assert [plain(Decimal(text)) for text in ("1E+3", "-0.00", "1.2300", "1E-7")] == ["1000", "0", "1.23", "0.0000001"]
    assert money(Decimal("1234.565"), "USD") == "1,234.56 USD"
