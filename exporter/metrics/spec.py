"""What a family is: the form in which the catalogue is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LINE = ("source", "provider", "account", "service", "region", "charge_category", "currency")
"""Labels of one line of the bill."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a family is. `money` families hold amounts of the `currency` label; `live` ones come from the daemon."""

    name: str
    type: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str
    unit: Literal["money", "seconds", "bytes", "ratio", ""] = ""
    live: bool = False
    section: str = ""
    """The section of the configuration that switches the family on; empty for one that is always there."""
    history: bool = False
    """Written with the time of its day by `cloudspend history`, and never part of a scrape."""


def money(name: str, labels: tuple[str, ...], help: str, section: str = "") -> Spec:
    """A family of amounts: a gauge, since credits and restatements make money fall."""
    return Spec(name, "gauge", labels, help, unit="money", section=section)
