"""The page at `/`: the month so far, what is open, where it comes from, how fresh it is. No script, one request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from exporter import __version__
from exporter.web import landing_bill
from exporter.web.landing_summary import Summary, last_day

_PATHS = ("/metrics", "/config", "/api/v1/check", "/-/healthy", "/-/ready")
_TEMPLATE = (Path(__file__).parent / "landing.html").read_text()
_STYLE = _TEMPLATE.partition("<style>")[2].partition("</style>")[0]
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Nothing but the page's own style: a name in a bill that got past the escaping could load and run nothing.
    (b"content-security-policy", f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'".encode()),
    (b"x-content-type-options", b"nosniff"),
]


def page(facts: Sequence[Mapping[str, Any]], bill: Summary | None, now: datetime, notice: str | None = None) -> str:
    """The page over `Board.facts` and what is billed; None where nothing can be shown. `notice` stands on top."""
    failing = [fact for fact in facts if fact["failed"]]
    sections = [_sources(facts, now)]
    if bill is not None:
        money = landing_bill.sections(bill)
        sections = [*sections, *money] if failing else [*money, *sections]
    title = f"cloudspend: {_title(facts, bill)}" if facts else "cloudspend"
    return Template(_TEMPLATE).substitute(
        title=escape(title),
        version=escape(f"version {__version__}"),
        links="".join(f'<li><a href="{path}">{path}</a></li>' for path in _PATHS),
        verdict=_verdict(facts, bill, notice),
        sections="\n".join(sections),
        made=f"Figures of {when(bill.made, now)}." if bill else "",
    )


def standing(fact: Mapping[str, Any]) -> str:
    """What a source waits for, in words: for the page and for /-/ready."""
    if since := fact["polling_since"]:
        return f"waiting for its first poll, which runs since {_minute(since)} UTC"
    return f"waiting for its first poll, due {_minute(fact['next_poll'])} UTC"


# --- is anything wrong? ----------------------------------------------------------------------------------------------


def _concerns(facts: Sequence[Mapping[str, Any]], bill: Summary | None) -> list[tuple[str, str, str]]:
    """(class, where on the page, words) of all that needs a look."""
    found = []
    failing = sum(1 for fact in facts if fact["failed"])
    if failing:
        found.append(("bad", "sources", f"{failing} of {_count(len(facts), 'source')} failing"))
    if bill is None:
        return found
    for status, kind, words in (("over", "bad", "over its limit"), ("at_risk", "warn", "at risk")):
        if number := sum(1 for each in bill.budgets if each["status"] == status):
            words = words.replace("its limit", "their limits") if number > 1 else words
            found.append((kind, "budgets", f"{_count(number, 'budget')} {words}"))
    if number := len(bill.findings):
        word = "anomaly" if number == 1 else "anomalies"
        found.append(("warn", "anomalies", f"{number} open {word}"))
    if number := len(bill.first_spend):
        found.append(("warn", "anomalies", f"{_count(number, 'first spend')}"))
    if bill.failed:
        found.append(("bad", "anomalies", f"not judged: {', '.join(sorted(bill.failed))}"))
    return found


def _verdict(facts: Sequence[Mapping[str, Any]], bill: Summary | None, notice: str | None) -> str:
    concerns = _concerns(facts, bill)
    items = [f'<li class="mark bad"><span aria-hidden="true">▲</span> {escape(notice)}</li>'] if notice else []
    items += [
        f'<li class="mark {kind}"><span aria-hidden="true">▲</span> <a href="#{place}">{escape(words)}</a></li>'
        for kind, place, words in concerns
    ]
    if not facts:
        items.append("<li>No source is configured.</li>")
    elif bill is None and not notice:
        items.append("<li>No bill yet: figures appear here after the first poll.</li>")
    elif not items:
        up = sum(1 for fact in facts if fact["up"])
        items.append(f'<li><span class="mark good">● All quiet:</span> {up} of {_count(len(facts), "source")} up</li>')
    kind = "bad" if notice or any(kind == "bad" for kind, _, _ in concerns) else "warn" if concerns else "good"
    kind = "muted" if bill is None and kind == "good" else kind
    return f'<section class="verdict {kind}" aria-label="What needs a look"><ul>{"".join(items)}</ul></section>'


def _title(facts: Sequence[Mapping[str, Any]], bill: Summary | None) -> str:
    concerns = _concerns(facts, bill)
    if concerns:
        return ", ".join(words for _, _, words in concerns)
    return "no bill yet" if bill is None else "all quiet"


# --- sources ---------------------------------------------------------------------------------------------------------


def _sources(facts: Sequence[Mapping[str, Any]], now: datetime) -> str:
    if not facts:
        return ""
    return (
        '<section aria-labelledby="sources"><h2 id="sources">Sources</h2><div class="wide"><table>'
        "<caption>Where the bill comes from, and how fresh it is</caption><thead><tr>"
        '<th scope="col">source</th><th scope="col">provider</th><th scope="col">state</th>'
        '<th scope="col">last settled day</th><th scope="col">last success</th><th scope="col">next poll</th>'
        f'<th scope="col" class="n">rows</th></tr></thead><tbody>{"".join(_row(fact, now) for fact in facts)}</tbody>'
        "</table></div></section>"
    )


def _row(fact: Mapping[str, Any], now: datetime) -> str:
    if fact["failed"]:
        state = f'<span class="mark bad">▲ {escape(fact["failed"])}</span>'
        state += "".join(f"<p>{escape(text)}</p>" for text in (fact["message"],) if text)
        state += f"<p><small>hint: {escape(fact['hint'])}</small></p>" if fact["hint"] else ""
    elif fact["up"]:
        state = '<span class="mark good">● up</span>'
    else:
        state = f'<span class="mark warn">… {escape(standing(fact))}</span>'
    settled = f"{last_day(fact['settled'])}" if fact["settled"] else "–"
    return (
        f'<tr><th scope="row">{escape(fact["source"])}</th>{_cell("provider", escape(fact["provider"]))}'
        f'<td class="whole">{state}</td>{_cell("last settled day", settled, "t")}'
        f"{_cell('last success', when(fact['last_success'], now), 't')}"
        f"{_cell('next poll', when(fact['next_poll'], now), 't')}{_cell('rows', format(fact['rows'], ','), 'n')}</tr>"
    )


def _cell(name: str, content: str, kind: str = "") -> str:
    """A cell of a table; its name is shown beside it on narrow screens."""
    return f'<td data-name="{name}"{f" class={kind}" if kind else ""}>{content}</td>'


# --- words -----------------------------------------------------------------------------------------------------------


def when(instant: datetime | None, now: datetime) -> str:
    """An instant and how far away it is, as HTML."""
    if instant is None:
        return "–"
    away = abs(now - instant)
    if away < timedelta(minutes=1):
        words = "now"
    else:
        length = next(
            f"{away // unit} {word}" for unit, word in _LENGTHS if away >= unit * (2 if word == "days" else 1)
        )
        words = f"{length} ago" if instant < now else f"in {length}"
    return f'<time datetime="{instant:%Y-%m-%dT%H:%MZ}">{_minute(instant)}</time> <small>{words}</small>'


_LENGTHS = ((timedelta(days=1), "days"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
