"""The parts of the page at `/` that show a bill: money by currency, budgets, anomalies, services."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from html import escape

from exporter.costs.money import RATIO
from exporter.web import landing_svg as svg
from exporter.web.landing_summary import Expected, Json, Money, Provider, Service, Summary

_SERVICES, _LISTED = 8, 20
"""So many are shown; the number of the others is said."""

_BUDGET = {"over": ("bad", "▲ over"), "at_risk": ("warn", "▲ at risk"), "on_track": ("good", "● on track")}
_SEVERITY = {"critical": "bad", "high": "bad", "medium": "warn"}


def sections(bill: Summary) -> list[str]:
    """The sections, in the order of the page."""
    return [_month(bill), f'<div class="pair">{_budgets(bill)}{_anomalies(bill)}</div>', _services(bill)]


# --- the month -------------------------------------------------------------------------------------------------------


def _month(bill: Summary) -> str:
    panels = "".join(_money(money, bill) for money in bill.money)
    basis = f" Forecasts count {escape(bill.basis)} cost." if bill.basis != "billed" else ""
    note = (
        "<p><small>Pale days may still move; slashed ones are higher than drawn. Four in five months end in the range."
        f"{basis}</small></p>"
        if bill.money
        else "<p>No charges in this month or the one before.</p>"
    )
    return f'<section aria-labelledby="month"><h2 id="month">{_name(bill)} so far</h2>{panels}{note}</section>'


def _money(money: Money, bill: Summary) -> str:
    currency = escape(money.currency)
    rows = "".join(_provider(provider, money.currency, bill.first) for provider in money.providers)
    return (
        f'<div class="money"><div class="sum"><h3>{_amount(money.so_far)} <small>{currency} so far</small></h3><dl>'
        f"<div><dt>expected for {bill.month.first:%B}</dt><dd>{_expected(money.expected)}</dd></div>"
        f"<div><dt>{bill.month.previous().first:%B}</dt><dd>{_amount(money.previous)}</dd></div></dl></div>"
        f'<div class="wide"><table><caption class="hidden">{currency} by provider</caption>'
        '<thead><tr><th scope="col">provider</th>'
        '<th scope="col" class="n">so far</th><th scope="col" class="n">month before</th>'
        '<th scope="col" class="n">expected</th><th scope="col">last 35 days</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _provider(provider: Provider, currency: str, first: date) -> str:
    return (
        f'<tr><th scope="row">{escape(provider.name)}</th>'
        f'<td class="n" data-name="so far">{_amount(provider.so_far)}</td>'
        f'<td class="n" data-name="month before">{_amount(provider.previous)}</td>'
        f'<td class="n" data-name="expected">{_expected(provider.expected)}</td>'
        f'<td class="whole">{svg.days(provider.name, currency, provider.days, first)}</td></tr>'
    )


def _expected(expected: Expected | None) -> str:
    if expected is None:
        return '<span class="muted">no forecast</span>'
    if expected.lower is None or expected.upper is None:
        return _amount(expected.total)
    return f"{_amount(expected.total)}<br><small>{_amount(expected.lower)} to {_amount(expected.upper)}</small>"


# --- budgets ---------------------------------------------------------------------------------------------------------


def _budgets(bill: Summary) -> str:
    if "budgets" in bill.failed:
        content = '<p class="bad">Budgets could not be judged; the log says why.</p>'
    elif not bill.budgets:
        content = '<p class="muted">No budgets are configured.</p>'
    else:
        content = _listed(_budget(budget) for budget in bill.budgets[:_LISTED]) + _others(len(bill.budgets))
        content += (
            "<p><small>Pale: expected by the end. Stroke: the limit. Dots: how much of the time is gone.</small></p>"
        )
    return f'<section aria-labelledby="budgets"><h2 id="budgets">Budgets</h2>{content}</section>'


def _budget(budget: Json) -> str:
    limit, spent = Decimal(budget["limit"]), Decimal(budget["spent"])
    expected = Decimal(budget["forecast"]) if budget["forecast"] else None
    currency, kind = escape(budget["currency"]), _BUDGET.get(budget["status"], ("", budget["status"]))
    last = date.fromisoformat(budget["until"]) - timedelta(days=1)
    sentence = (
        f"{_amount(spent)} of {_amount(limit)} {currency} spent{_share(spent, limit)},"
        f" {Decimal(budget['elapsed']) * 100:.0f} % of the time gone."
    )
    label = f"{budget['name']}: {spent:,.2f} of {limit:,.2f} {budget['currency']} spent"
    if expected is not None:
        sentence += f" Expected by {_day(last)}: {_amount(expected)}{_share(expected, limit)}."
        label += f", {expected:,.2f} expected"
    if budget["exhausted_on"]:
        day = _day(date.fromisoformat(budget["exhausted_on"]))
        sentence += f" Used up since {day}." if spent > limit else f" Used up on {day} at this pace."
    bar = svg.budget(limit, spent, expected, Decimal(budget["elapsed"]), label)
    return (
        f'<div class="head"><h3>{escape(budget["name"])}</h3><span class="mark {kind[0]}">{escape(kind[1])}</span>'
        f"<small>{escape(budget['period'])}</small></div>{bar}<p>{sentence}</p>"
    )


def _share(part: Decimal, whole: Decimal) -> str:
    return f" ({RATIO.divide(part, whole) * 100:.0f} %)" if whole else ""


# --- anomalies -------------------------------------------------------------------------------------------------------


def _anomalies(bill: Summary) -> str:
    items = [_finding(each) for each in bill.findings]
    items += [_mark("warn", "new", escape(each["sentence"])) for each in bill.first_spend]
    content = ""
    if failed := bill.failed & {"anomalies", "tripwire"}:
        content = f'<p class="bad">Could not be told: {escape(", ".join(sorted(failed)))}; the log says why.</p>'
    if items:
        content += _listed(items[:_LISTED]) + _others(len(items))
    elif not content:
        content = '<p class="muted">Nothing is open.</p>'
    return f'<section aria-labelledby="anomalies"><h2 id="anomalies">Open anomalies</h2>{content}</section>'


def _finding(finding: Json) -> str:
    word = finding["severity"]
    return _mark(_SEVERITY.get(word, "muted"), word, escape(finding["sentence"]))


def _mark(kind: str, word: str, content: str) -> str:
    return f'<p><span class="mark {kind}">{escape(word)}:</span> {content}</p>'


# --- services --------------------------------------------------------------------------------------------------------


def _services(bill: Summary) -> str:
    tables = "".join(_top(money) for money in bill.money if money.services)
    if not tables:
        return ""
    return (
        '<section aria-labelledby="services"><h2 id="services">Top services</h2>'
        f'<div class="pair">{tables}</div></section>'
    )


def _top(money: Money) -> str:
    most = money.services[0].so_far
    rows = "".join(_service(service, money, most) for service in money.services[:_SERVICES])
    more = len(money.services) - _SERVICES
    others = f", the {_SERVICES} largest of {len(money.services)}" if more > 0 else ""
    return (
        f'<div class="wide"><table><caption>{escape(money.currency)}, this month so far{others}</caption><thead><tr>'
        '<th scope="col">service</th><th scope="col">provider</th><th scope="col" class="n">so far</th>'
        '<th scope="col" class="n">share</th><td></td></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _service(service: Service, money: Money, most: Decimal) -> str:
    share = f"{RATIO.divide(service.so_far, money.so_far) * 100:.1f} %" if money.so_far > 0 else "–"
    return (
        f'<tr><th scope="row">{escape(service.name)}</th><td data-name="provider">{escape(service.provider)}</td>'
        f'<td class="n" data-name="so far">{_amount(service.so_far)}</td><td class="n" data-name="share">{share}</td>'
        f'<td class="whole">{svg.share(service.so_far, most)}</td></tr>'
    )


# --- words -----------------------------------------------------------------------------------------------------------


def _listed(items: Iterable[str]) -> str:
    return f'<ul class="list">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _others(number: int) -> str:
    return f"<p><small>and {number - _LISTED} more</small></p>" if number > _LISTED else ""


def _amount(amount: Decimal) -> str:
    """With cents, and a true minus sign."""
    return f"{amount:,.2f}".replace("-0.00", "0.00").replace("-", "−")


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"


def _name(bill: Summary) -> str:
    return f"{bill.month.first:%B %Y}"
