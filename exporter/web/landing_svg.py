"""Pictures of the page at `/` as inline SVG: bars of the last days, a budget's bar, a share.

Colours come from the style sheet of the page, by class, so both colour schemes have their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from statistics import median

from exporter.web.landing_summary import DAYS, Day

_STEP, _BAR, _HEIGHT = 8.0, 6.4, 44.0
_FAR, _FEW = 3.0, 3
"""A day that cost so many times the usual is cut off, else it presses all others flat; at most so many are."""


def days(name: str, currency: str, shown: Sequence[Day], first: date) -> str:
    """Bars by day, from `first` on; those that may still move are pale. Each says its figure when pointed at."""
    if not shown:
        return '<span class="muted">none</span>'
    highest, lowest = _range(shown)
    scale = (_HEIGHT - 2) / ((highest - lowest) or 1.0)
    zero = 1 + highest * scale
    bars = [_bar(day, currency, (day.on - first) / timedelta(days=1), zero, scale, highest, lowest) for day in shown]
    width = DAYS * _STEP
    return (
        f'<svg class="days" role="img" aria-label="{escape(_said(name, currency, shown))}" width="{width:g}"'
        f' height="{_HEIGHT:g}" viewBox="0 0 {width:g} {_HEIGHT:g}">'
        f'<path class="axis" d="M0 {zero:.1f}H{width:g}"/>{"".join(bars)}</svg>'
    )


def _range(shown: Sequence[Day]) -> tuple[float, float]:
    """The amounts at the top and at the bottom."""
    amounts = [float(day.amount) for day in shown]
    usual = median(map(abs, amounts)) * _FAR
    near = [amount for amount in amounts if abs(amount) <= usual]
    if not len(amounts) - _FEW <= len(near) < len(amounts):
        return max(0.0, *amounts), min(0.0, *amounts)
    highest, lowest = max(0.0, *near), min(0.0, *near)
    room = (highest - lowest) / 4  # for those that are cut off
    highest += room if max(amounts) > usual else 0.0
    lowest -= room if min(amounts) < -usual else 0.0
    return highest, lowest


def _bar(day: Day, currency: str, place: float, zero: float, scale: float, highest: float, lowest: float) -> str:
    amount = float(day.amount)
    drawn = min(max(amount, lowest), highest)
    cut = amount != drawn
    height = max(abs(drawn) * scale, 0.8)
    top = zero - height if amount >= 0 else zero
    left = place * _STEP + (_STEP - _BAR) / 2
    kind = "settled" if day.settled else "moving"
    said = f"{_short(day.on)}: {day.amount:,.2f} {currency}{'' if day.settled else ', may still move'}"
    gap = f'<path class="gap" d="M{left - 0.5:.1f} {top + 5:.1f}l7.4 -3"/>' if cut and amount > 0 else ""
    return (
        f'<g><title>{escape(said)}{", bar cut off" if cut else ""}</title><rect class="{kind}" x="{left:.1f}"'
        f' y="{top:.1f}" width="{_BAR}" height="{height:.1f}"/>{gap}</g>'
    )


def _said(name: str, currency: str, shown: Sequence[Day]) -> str:
    low, high = min(shown, key=lambda day: day.amount), max(shown, key=lambda day: day.amount)
    settled = [day for day in shown if day.settled]
    last = f"; last settled day, {_short(settled[-1].on)}: {settled[-1].amount:,.2f}" if settled else ""
    return (
        f"{name}, {currency} a day, {_short(shown[0].on)} to {_short(shown[-1].on)}: lowest {low.amount:,.2f} on"
        f" {_short(low.on)}, highest {high.amount:,.2f} on {_short(high.on)}{last}"
    )


def budget(limit: Decimal, spent: Decimal, expected: Decimal | None, elapsed: Decimal, label: str) -> str:
    """Spent in full colour, what is expected besides pale; a stroke at the limit, a small one at today."""
    ends = [float(limit), float(spent), float(expected or 0)]
    full = max(ends) or 1.0
    at, used, then = (max(0.0, end) / full * 100 for end in ends)
    over = "over" if spent > limit else "settled"
    today = at * float(elapsed)
    return (
        f'<svg class="budget" role="img" aria-label="{escape(label)}" viewBox="0 0 100 10" preserveAspectRatio="none">'
        f'<rect class="track" width="100" height="10"/><rect class="moving" width="{then:.2f}" height="10"/>'
        f'<rect class="{over}" width="{used:.2f}" height="10"/>'
        f'<path class="today" d="M{today:.2f} 0V10"/><path class="limit" d="M{min(at, 99.7):.2f} 0V10"/></svg>'
    )


def share(part: Decimal, whole: Decimal) -> str:
    """A bar of a table; the figure stands beside it."""
    wide = max(0.0, min(1.0, float(part) / float(whole))) if whole else 0.0
    return (
        '<svg class="share" aria-hidden="true" viewBox="0 0 100 10" preserveAspectRatio="none"><rect class="track"'
        f' width="100" height="10"/><rect class="settled" width="{wide * 100:.1f}" height="10"/></svg>'
    )


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"
