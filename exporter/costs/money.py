"""Exact amounts: how money is added, divided, limited and written.

Sums are made in SQL on `DECIMAL(38,24)`, which never rounds; products, quotients and conversions are made in Python
inside one of the two contexts below. Python's default context (28 digits) rounds silently and is never used.
"""

from __future__ import annotations

from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

MONEY = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""For sums and products that must come out exact: raises `decimal.Inexact` rather than round."""

RATIO = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""For quotients and rates, which may have no end: 60 digits, half even."""

PLACES = 24
"""Digits behind the point that a stored amount keeps: the most seen in real bills (Azure)."""

LIMIT = Decimal(10) ** 14
"""A stored amount is smaller than this, in any currency."""

SQL_TYPE = f"DECIMAL(38,{PLACES})"

_STEP = Decimal(1).scaleb(-PLACES)
# Takes zeros off the end of an amount of any length: no amount is too long for this context, so none is ever rounded.
_trimmed = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[]).normalize
ZERO = Decimal(0)


def stored(amount: Decimal) -> Decimal:
    """The amount as the lake keeps it: at most 24 places, half even. ValueError past 10¹⁴, or for NaN and infinity."""
    if not amount.is_finite() or amount.copy_abs() >= LIMIT:
        raise ValueError(f"{amount} is not an amount below 10^14")
    return amount if _places(amount) <= PLACES else amount.quantize(_STEP, context=RATIO)


def add(*amounts: Decimal) -> Decimal:
    """The exact sum."""
    total = ZERO
    for amount in amounts:
        total = MONEY.add(total, amount)
    return total


def text(amount: Decimal) -> str:
    """The one way an amount is written: fixed notation, no trailing zeros, no exponent, no minus zero."""
    amount = _trimmed(amount)
    written = str(amount)
    if "E" in written:  # `format` takes twice as long as `str`, and few amounts need it
        written = format(amount, "f")
    return "0" if written == "-0" else written


def _places(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
