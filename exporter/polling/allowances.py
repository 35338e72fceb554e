"""Budgets from the configuration to what is judged, and what is told when a limit moves.

Imports numpy: import it where it is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from exporter.analysis.budgets import Adjustment, Budget, BudgetReport, Remembered, Scope, Threshold, evaluate
from exporter.config.budgets import AdjustSettings, BudgetSettings, channel_name
from exporter.config.schema import Config
from exporter.costs import RATIO, Cost
from exporter.costs.money import text
from exporter.periods import ALWAYS, day_of
from exporter.polling.reaching import reached
from exporter.polling.sources import Paths, resolve
from exporter.store.lake import Lake
from exporter.store.state import SourceState, State

_log = logging.getLogger(__name__)

BUDGET = "budget"
"""Under which the state file remembers reports."""
_HUNDRED = Decimal(100)


def budgets_of(config: Config) -> tuple[Budget, ...]:
    """The budgets of a configuration, in its order.

    Channels are named as anybody may see them (`channel_name`): what is judged is published, addresses are secrets.
    """
    return tuple(_budget(settings, Cost(config.cost.basis)) for settings in config.budgets)


def stood(config: Config, now: datetime) -> BudgetReport:
    """How the budgets of a configuration stand, from the store, which stays as it is. Asks no cloud.

    Ended periods and limits are those that the daemon remembers, where it does.
    """
    paths, lake = Paths(config.store.path), Lake(Paths(config.store.path).lake)
    states: Mapping[str, SourceState] = {}
    before: Mapping[str, Remembered] = {}
    if paths.state.exists():
        with State(paths.state) as state:
            states = state.sources()
            before = remembered(state)
    settled = {}
    sources = resolve(config)
    for source in sources:
        _, reach = reached(source, states.get(source.name, SourceState(source.name)), lake, now)
        if reach is not None and reach.settled is not None:
            settled[source.name] = day_of(reach.settled)
    costs = lake.read(ALWAYS, sources=[source.name for source in sources])
    return evaluate(budgets_of(config), costs, day_of(now), settled, before)


def remembered(state: State) -> dict[str, Remembered]:
    """What the last report remembered, by budget. What cannot be read was written by another version: as if unknown."""
    found = {}
    for name, body in state.remembered(BUDGET).items():
        try:
            found[name] = Remembered.read(body)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            _log.warning(
                "the past of a budget cannot be read and is taken as unknown",
                extra={"fields": {"budget": name, "error": error}},
            )
    return found


def adjustments(before: Mapping[str, Remembered], after: BudgetReport) -> list[dict[str, str]]:
    """Fields of a log line for each limit that has moved by itself since the report that `before` is of.

    A limit that somebody configured anew has not moved by itself.
    """
    told = []
    for standing in after.standings:
        budget, known = standing.budget, before.get(standing.budget.name)
        last = known.limit if known and known.amount == budget.amount else budget.amount
        if standing.adjusted and standing.limit != last:
            told.append(
                {
                    "budget": budget.name,
                    "period": standing.period_id,
                    "from": text(last),
                    "to": text(standing.limit),
                    "currency": budget.currency,
                    "why": standing.adjusted,
                }
            )
    return told


def _budget(settings: BudgetSettings, basis: Cost) -> Budget:
    return Budget(
        name=settings.name,
        amount=settings.amount,
        currency=settings.currency,
        recurrence=settings.recurrence,
        scope=_scope(settings),
        net=settings.net,
        cost=Cost(settings.cost or basis),
        thresholds=tuple(Threshold(_ratio(at), severity) for at, severity in settings.graded),
        channels=tuple(channel_name(channel) for channel in settings.channels),
        cool_down=settings.cool_down,
        adjustment=_adjustment(settings.adjust) if settings.adjust else None,
    )


def _scope(settings: BudgetSettings) -> Scope:
    return Scope(
        provider=frozenset(settings.provider or ()),
        account=frozenset(settings.account or ()),
        service=frozenset(settings.service or ()),
        region=frozenset(settings.region or ()),
        charge_category=frozenset(settings.charge_category or ()),
        tags=MappingProxyType({key: frozenset(words) for key, words in settings.tags.items()}),
    )


def _adjustment(settings: AdjustSettings) -> Adjustment:
    return Adjustment(
        periods=settings.periods,
        headroom=_ratio(settings.headroom),
        most_change=_ratio(settings.most_change),
        least=settings.least,
        most=settings.most,
    )


def _ratio(percent: Decimal) -> Decimal:
    return RATIO.divide(percent, _HUNDRED)
