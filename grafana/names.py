"""Selectors of families that there are: a name or a label that the catalogue lacks does not build."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from exporter.metrics.catalog import CATALOG

OTHERS: Mapping[str, tuple[str, ...]] = MappingProxyType({"ALERTS": ("alertname", "alertstate", "severity")})
"""What Prometheus itself has of us: family → its labels."""

Scope = Mapping[str, str]
"""Label → how it is matched, with the operator: `=~"$provider"`."""

NOWHERE: Scope = MappingProxyType({})

BILL: Scope = MappingProxyType(
    {"provider": '=~"$provider"', "currency": '="$currency"', "charge_category": '=~"$category"'}
)
"""What the variables of the overview choose. One currency: amounts of two are never added."""

PLACE: Scope = MappingProxyType({**BILL, "account": '=~"$account"', "service": '=~"$service"', "region": '=~"$region"'})
"""What the variables of the drill-down choose."""


class UnknownName(ValueError):
    """A family or label that nobody exports."""


def labels_of(name: str) -> tuple[str, ...]:
    """The labels of a family. Raises UnknownName."""
    if name in CATALOG:
        return CATALOG[name].labels
    if name in OTHERS:
        return OTHERS[name]
    near = difflib.get_close_matches(name, [*CATALOG, *OTHERS], n=1)
    raise UnknownName(f"no family {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def known(name: str, labels: Iterable[str]) -> tuple[str, ...]:
    """The labels, if the family has them all. Raises UnknownName."""
    asked, there = tuple(labels), labels_of(name)
    for label in asked:
        if label not in there:
            raise UnknownName(f"{name} has no label {label!r}, only {', '.join(there)}")
    return asked


def metric(name: str, scope: Scope = NOWHERE, **own: str) -> str:
    """A selector: those matchers of the scope whose label the family has, and all of its own."""
    known(name, own)
    matchers = {label: how for label, how in scope.items() if label in labels_of(name)} | own
    return f"{name}{{{','.join(label + how for label, how in matchers.items())}}}" if matchers else name


def total(name: str, scope: Scope = NOWHERE, *by: str, **own: str) -> str:
    """The sum of a family over everything but the labels `by`."""
    labels = ", ".join(known(name, by))
    return f"sum by ({labels}) ({metric(name, scope, **own)})" if labels else f"sum({metric(name, scope, **own)})"
