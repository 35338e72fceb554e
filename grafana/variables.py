"""What can be chosen at the top of a dashboard."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import CustomVariable, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from exporter.costs import ChargeCategory
from grafana.names import NOWHERE, Scope, known, metric
from grafana.panels import SOURCE

ALL = VariableOption(selected=True, text=["All"], value=["$__all"])
PROVIDER = '=~"$provider"'
BOTH_MONTHS = '{__name__=~"cloudspend_(month_to_date|previous_month)_cost"'


def data_source() -> DatasourceVariable:
    """Which Prometheus is asked."""
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def currency() -> QueryVariable:
    """One at a time: amounts of two currencies are never added. First the one with the most lines."""
    return _commonest("currency", "Currency", f"{BOTH_MONTHS}}}")


def currency_of_budgets() -> QueryVariable:
    """The same of budgets: first the one with the most."""
    return _commonest("currency", "Currency", metric("cloudspend_budget_limit"))


def budget() -> QueryVariable:
    """Budgets of one currency. All of them are those, not any: how a budget stands is told without its currency."""
    family = metric("cloudspend_budget_limit", currency='="$currency"')
    return several(_asked("budget", "Budget", f"label_values({family}, budget)"), any_value=False)


def label(name: str, heading: str, *above: str) -> QueryVariable:
    """The values of a label of the bill, where the variables `above` allow them."""
    matchers = "".join(f',{each}=~"${each}"' for each in above)
    selector = f'{BOTH_MONTHS},currency="$currency"{matchers}}}'
    return several(_asked(name, heading, f"label_values({selector}, {known('cloudspend_daily_cost', [name])[0]})"))


def account() -> QueryVariable:
    """Accounts by name, chosen by id."""
    both = f'{BOTH_MONTHS},currency="$currency",provider=~"$provider"}}'
    names = f"max by (account, name) ({metric('cloudspend_account_info', provider=PROVIDER)})"
    there = f"group by (account) ({both})"
    plain = f'label_replace({there}, "name", "$1", "account", "(.*)")'
    ask = f"query_result(({names} and on (account) {there}) or on (account) {plain})"
    return several(_asked("account", "Account", ask).regex('/account="(?<value>[^"]+)".*name="(?<text>[^"]+)"/'))


def of_family(name: str, heading: str, family: str, scope: Scope = NOWHERE) -> QueryVariable:
    """The values of a label of any family."""
    return several(_asked(name, heading, f"label_values({metric(family, scope)}, {known(family, [name])[0]})"))


def category() -> CustomVariable:
    """Charge categories: all but credits, until somebody wants the invoice."""
    words = [each.lower() for each in ChargeCategory]
    chosen = [word for word in words if word != ChargeCategory.CREDIT.lower()]
    made = CustomVariable("category").label("Charge category").values(",".join(words)).multi(True).include_all(True)
    options = [VariableOption(selected=False, text="All", value="$__all")]
    options += [VariableOption(selected=word in chosen, text=word, value=word) for word in words]
    return made.all_value(".*").current(VariableOption(selected=True, text=chosen, value=chosen)).options(options)


def basis() -> CustomVariable:
    """Which amount the month so far shows, where both are exported."""
    families = {"as configured": "cloudspend_month_to_date_cost", "billed": "cloudspend_billed_month_to_date_cost"}
    for family in families.values():
        metric(family)
    words = ", ".join(f"{word} : {family}" for word, family in families.items())
    first, *others = (VariableOption(selected=False, text=word, value=family) for word, family in families.items())
    first.selected = True
    return CustomVariable("basis").label("Cost basis").values(words).current(first).options([first, *others])


def several(variable: QueryVariable, *, any_value: bool = True) -> QueryVariable:
    """Any number of the values, all at first; all being any that there are."""
    made = variable.multi(True).include_all(True).current(ALL).sort(VariableSort.ALPHABETICAL_ASC)
    return made.all_value(".*") if any_value else made


def _commonest(name: str, heading: str, selector: str) -> QueryVariable:
    """The values of a label, that of most series first."""
    made = _asked(name, heading, f"query_result(sort_desc(count by ({name}) ({selector})))")
    return made.regex(f'/{name}="([^"]+)"/').sort(VariableSort.DISABLED)


def _asked(name: str, heading: str, query: str) -> QueryVariable:
    made: dict[str, Any] = {"query": query, "refId": f"variable-{name}"}
    variable = QueryVariable(name).label(heading).datasource(SOURCE).query(made)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
