"""The protocol of Nagios and Icinga: states, ranges, performance data, and the text that a check prints.

https://www.monitoring-plugins.org/doc/guidelines.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import IntEnum
from typing import NamedTuple

_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_RATIO = Context(prec=60)
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_RANGE = re.compile(rf"(@)?(?:(~|{_NUMBER})?(:))?({_NUMBER})?")


class State(IntEnum):
    """What a check says; the number is its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_BADNESS = (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL)


def worst(states: Iterable[State]) -> State:
    """CRITICAL before WARNING before UNKNOWN before OK: what is known to be bad is not hidden by what is not known."""
    return max(states, key=_BADNESS.index, default=State.OK)


class Range(NamedTuple):
    """`10`, `10:`, `~:10`, `10:20` alert outside, `@10:20` inside; both ends belong to the range."""

    text: str
    start: Decimal | None
    """None: no limit."""
    end: Decimal | None
    inside: bool

    @classmethod
    def parse(cls, text: str) -> Range:
        """ValueError where it is none."""
        found = _RANGE.fullmatch(text.strip())
        if found is None or (found[2] is None and found[4] is None):
            raise ValueError(f"{text!r} is not a range such as 10, 10:, ~:10, 10:20 or @10:20")
        start = None if found[2] == "~" else Decimal(found[2] or 0)
        end = None if found[4] is None else Decimal(found[4])
        if start is not None and end is not None and start > end:
            raise ValueError(f"{text!r} is not a range: {start} is more than {end}")
        return cls(text.strip(), start, end, bool(found[1]))

    def alerts(self, value: Decimal) -> bool:
        """Whether a value is where it must not be."""
        above_start = self.start is None or value >= self.start
        below_end = self.end is None or value <= self.end
        return (above_start and below_end) is self.inside

    def alerts_from(self, value: Decimal) -> bool:
        """Whether this value alerts and every larger one: what data says that can only grow."""
        if self.inside:
            return self.end is None and self.alerts(value)
        return self.end is not None and value > self.end


class Limits(NamedTuple):
    """A warning and a critical range, each of which may be missing."""

    warning: Range | None = None
    critical: Range | None = None

    def __bool__(self) -> bool:
        return self.warning is not None or self.critical is not None

    def state(self, value: Decimal, *, growing: bool = False) -> State:
        """The state of a value; of one that is still `growing`, only what no growth can undo."""
        for state, limit in ((State.CRITICAL, self.critical), (State.WARNING, self.warning)):
            if limit is not None and (limit.alerts_from(value) if growing else limit.alerts(value)):
                return state
        return State.OK

    def passed(self, state: State) -> str:
        """What of these a state is about, in words."""
        limit = self.critical if state is State.CRITICAL else self.warning
        return f"{'inside' if limit.inside else 'outside'} {limit.text.lstrip('@')}" if limit else ""


class Perf(NamedTuple):
    """One item of performance data. The currency of an amount is part of the label: units have none."""

    label: str
    value: Decimal
    unit: str = ""
    limits: Limits = Limits()

    def __str__(self) -> str:
        label = re.sub(r"['=|\s]+", " ", self.label).strip()
        warning, critical = (limit.text if limit else "" for limit in self.limits)
        least = "" if self.value < 0 else "0"
        return f"'{label}'={plain(self.value)}{self.unit};{warning};{critical};{least};"


class Result(NamedTuple):
    """What a check found."""

    state: State
    summary: str
    perf: tuple[Perf, ...] = ()
    details: tuple[str, ...] = ()
    """Lines below the first."""
    more: tuple[str, ...] = ()
    """Further lines, for -v."""

    def text(self, *, verbose: bool = False) -> str:
        """All that is printed: one line with the performance data, then the others."""
        first = f"CLOUDSPEND {self.state.name} - {one_line(self.summary)}"
        numbers = " ".join(map(str, self.perf))
        below = (*self.details, *(self.more if verbose else ()))
        return "\n".join([f"{first} | {numbers}" if numbers else first, *map(one_line, below)])


class Unanswerable(Exception):
    """There is no honest answer: UNKNOWN. `details` are further lines."""

    def __init__(self, reason: str, details: Iterable[str] = ()) -> None:
        self.details = tuple(details)
        super().__init__(reason)


def add(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """How many hundredths of the whole."""
    return _RATIO.divide(_RATIO.multiply(part, Decimal(100)), whole)


def plain(value: Decimal) -> str:
    """Every digit, in fixed notation, without zeros at the end."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def money(amount: Decimal, currency: str) -> str:
    """For people: cents."""
    return f"{amount:,.2f} {currency}"


def one_line(text: str) -> str:
    """Text that cannot be taken for another line or for performance data."""
    return " ".join(text.replace("|", "/").split())
