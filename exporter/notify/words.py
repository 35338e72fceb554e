"""Amounts, shares and instants as messages write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Pages:
    """Where people reach what messages point to: roots of URLs, None where that is not known."""

    exporter: str | None = None
    grafana: str | None = None

    def links(self, section: str, dashboard: str, **chosen: str) -> tuple[tuple[str, str], ...]:
        """A section of the exporter's page, and a shipped dashboard with variables chosen. Empty ones are not."""
        variables = urlencode({f"var-{name}": value for name, value in chosen.items() if value})
        path = f"/d/cloudspend-{dashboard}{'?' if variables else ''}{variables}"
        return self.of({"explanation": f"/#{section}", "dashboard": path})

    def of(self, annotations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The same from the annotations of a rule: paths, or whole URLs."""
        roots = {"explanation": self.exporter, "dashboard": self.grafana}
        found = (
            (words, annotations.get(f"{words}_url") or annotations.get(words, ""), root)
            for words, root in roots.items()
        )
        return tuple(
            (words, f"{root}{path}" if path.startswith("/") else path)
            for words, path, root in found
            if (path.startswith("/") and root) or path.startswith(("https://", "http://"))
        )


NOWHERE = Pages()
"""Nobody has said where they are: no links."""


def money(amount: str | None, currency: str, *, signed: bool = False) -> str:
    """Decimal text as `1,234.50 USD`; what is none stays as it is."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return f"{amount} {currency}"
    return f"{value:{'+' if signed else ''},.2f} {currency}"


def percent(ratio: str) -> str:
    """A share as `6.1%`."""
    return f"{format((Decimal(ratio) * 100).quantize(Decimal('0.1')).normalize(), 'f')}%"


def used(spent: str, limit: str) -> str:
    """What part of a limit is spent, as `84.0%`."""
    whole = Decimal(limit)
    return f"{Decimal(spent) / whole * 100:.1f}%" if whole else "–"


def minute(instant: str) -> str:
    """An instant as `2024-03-15 12:00`, a day as it is."""
    try:
        return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}"
    except ValueError:
        return str(date.fromisoformat(instant))
