"""What has changed since people were told last, as messages: findings, budgets, first spends, hours that jumped.

Pure: check.json of a snapshot and what was told go in, messages and what is told now come out. Amounts are decimal
text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from exporter.notify.message import OPEN, RESOLVED, WORSENED, Message, key, rank, severity, worst
from exporter.notify.words import NOWHERE, Pages, minute, money, percent, used
from exporter.store.outbox import Told

Json = Mapping[str, Any]

FORGOTTEN_AFTER = timedelta(days=60)
"""What is told and no longer there is remembered this long, should it come back."""
_LONGEST = 12
"""Lines of a message."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How messages are made."""

    cool_down: timedelta = timedelta(hours=1)
    pages: Pages = NOWHERE


@dataclass(slots=True)
class News:
    """What is to be said, and remembered as said."""

    messages: list[Message] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    look_again: datetime | None = None
    """When a cool-down ends that keeps something back; None where none does."""

    def say(self, message: Message, mark: str) -> None:
        """Say it, and remember."""
        self.messages.append(message)
        self.remember(message.fingerprint, message.status, mark, message.when)

    def remember(self, fingerprint: str, status: str, mark: str, at: datetime) -> None:
        """Remember as said."""
        self.told.append(Told(fingerprint, status, mark, at))

    def wait(self, until: datetime) -> None:
        """Something is kept back until then."""
        self.look_again = min(until, self.look_again) if self.look_again else until


def news(check: Json, told: Mapping[str, Told], now: datetime, settings: Settings) -> News:
    """What a snapshot says that people do not know yet. Parts that it does not have say nothing."""
    found = News()
    standing = _standing(check)
    for finding in check.get("findings") or ():
        _finding(finding, told, now, settings, standing, found)
    for budget in check.get("budgets") or ():
        _budget(budget, told, now, settings, standing, found)
    _first_spends(check.get("first_spend") or (), told, now, settings, found)
    for jump in check.get("hourly_jumps") or ():
        _hourly_jump(jump, told, now, settings, found)
    if "findings" in check:
        here = {f["fingerprint"] for f in check["findings"]} | {each.fingerprint for each in found.told}
        here |= {name for budget in check.get("budgets") or () for name in _marks(budget)}
        here |= {_place(first) for first in check.get("first_spend") or ()}
        found.forgotten = [
            each.fingerprint
            for each in told.values()
            if each.fingerprint not in here and now - each.at > FORGOTTEN_AFTER
        ]
    return found


# --- findings --------------------------------------------------------------------------------------------------------


def _finding(
    finding: Json, told: Mapping[str, Told], now: datetime, settings: Settings, standing: Mapping[str, str], found: News
) -> None:
    before = told.get(finding["fingerprint"])
    status = _change(finding, before)
    if status is None:
        return
    if before is not None and now < before.at + settings.cool_down:
        found.wait(before.at + settings.cool_down)
        return
    found.say(finding_message(finding, status, now, settings.pages, standing), _mark(finding))


def _change(finding: Json, before: Told | None) -> str | None:
    """What is to be said of a finding: open, worsened, resolved; None where people know."""
    over = finding["status"] == RESOLVED
    if before is None or before.status == RESOLVED:
        # What came and went between two looks is no news; nor is one that was told as over, unless it is open again.
        return None if over else OPEN
    if over:
        return RESOLVED
    return WORSENED if finding["status"] == WORSENED and _mark(finding) != before.mark else None


def _mark(finding: Json) -> str:
    """Changes whenever the search for anomalies says that a finding has become worse."""
    return f"{finding.get('told', '')}/{finding['severity']}"


def finding_message(
    finding: Json,
    status: str,
    now: datetime,
    pages: Pages = NOWHERE,
    standing: Mapping[str, str] | None = None,
) -> Message:
    """A finding as a message."""
    about, currency = finding["fingerprint"], finding["currency"]
    said = {OPEN: "costs less" if finding["kind"] == "drop" else "costs more", WORSENED: "got worse"}
    place = _scope(finding)
    others = [word for name, word in (standing or {}).items() if name != about]
    facts = [
        ("expected a day", money(finding["expected"], currency)),
        ("actual", money(finding["actual"], currency)),
        ("since it began", money(finding["impact"], currency, signed=True)),
        ("on", finding["day"]),
        ("began", finding["first_day"]),
        ("kind", finding["kind"]),
        ("provider", finding["provider"]),
    ]
    if status == RESOLVED and finding.get("ended"):
        facts.append(("ended", finding["ended"]))
    title = f"{place} is back to normal" if status == RESOLVED else f"{place} {said[status]} than expected"
    if status == WORSENED:
        title = f"{place} got worse"
    return Message(
        key=key("anomaly", about, status, finding["first_day"], _mark(finding), finding.get("ended") or ""),
        fingerprint=about,
        status=status,
        kind="anomaly",
        severity=severity(finding["severity"]),
        title=title,
        sentence=finding["sentence"],
        when=now,
        facts=tuple(facts),
        lines=tuple(parts(finding)),
        links=pages.links("anomalies", "anomalies", currency=currency, provider=finding["provider"]),
        source=finding["source"],
        standing=worst(others),
    )


def parts(finding: Json) -> list[str]:
    """The services, regions and accounts that make a finding, one line each."""
    lines = []
    for part in finding.get("parts") or ():
        where = [part[name] for name in ("service", "region", "account") if part.get(name) not in (None, "", "all")]
        new = ", new" if part.get("new") else ""
        lines.append(
            f"{' / '.join(where) or 'everything'}: {money(part['excess'], finding['currency'], signed=True)}{new}"
        )
    return [*lines[:_LONGEST], *([f"and {len(lines) - _LONGEST} more"] if len(lines) > _LONGEST else [])]


def _scope(finding: Json) -> str:
    service = "Everything" if finding["service"] == "all" else finding["service"]
    region = "" if finding["region"] in ("all", "global") else f" in {finding['region']}"
    account = "" if finding["account"] == "all" else f", account {finding['account']}"
    return f"{service}{region}{account} ({finding['provider']})"


# --- budgets ---------------------------------------------------------------------------------------------------------


def _budget(
    budget: Json, told: Mapping[str, Told], now: datetime, settings: Settings, standing: Mapping[str, str], found: News
) -> None:
    """The highest threshold that was passed since; the lower ones with it are known then."""
    cool_down = timedelta(seconds=float(budget.get("cool_down", 0)))
    thresholds = sorted(budget["thresholds"], key=lambda each: Decimal(each["ratio"]))
    highest = None
    for threshold in thresholds:
        name = _threshold(budget, threshold)
        before = told.get(name)
        if threshold["reached"] and (before is None or before.status == RESOLVED):
            if before is not None and now < before.at + cool_down:
                found.wait(before.at + cool_down)
                continue
            found.remember(name, OPEN, threshold["severity"], now)
            highest = threshold
        elif not threshold["reached"] and before is not None and before.status != RESOLVED:
            # A credit or a restatement took it back. A new period has names of its own.
            if now < before.at + cool_down:
                found.wait(before.at + cool_down)
                continue
            found.say(_budget_message(budget, threshold, RESOLVED, now, settings, standing), before.mark)
    if highest is not None:
        found.messages.append(_budget_message(budget, highest, OPEN, now, settings, standing))
        return
    _projection(budget, thresholds, told, now, settings, standing, found)


def _projection(
    budget: Json,
    thresholds: list[Json],
    told: Mapping[str, Told],
    now: datetime,
    settings: Settings,
    standing: Mapping[str, str],
    found: News,
) -> None:
    """Once in a period: the limit is not reached, and is going to be."""
    over = [t for t in thresholds if t.get("projected") and not t["reached"] and Decimal(t["ratio"]) >= 1]
    name = f"{_period(budget)}/projected"
    if over and name not in told and not any(t["reached"] and Decimal(t["ratio"]) >= 1 for t in thresholds):
        message = _budget_message(budget, over[0], OPEN, now, settings, standing, projected=True)
        found.say(message, over[0]["severity"])


def _budget_message(
    budget: Json,
    threshold: Json,
    status: str,
    now: datetime,
    settings: Settings,
    standing: Mapping[str, str],
    *,
    projected: bool = False,
) -> Message:
    name, currency, share = budget["name"], budget["currency"], percent(threshold["ratio"])
    spent, limit = money(budget["spent"], currency), money(budget["limit"], currency)
    about = f"{_period(budget)}/projected" if projected else _threshold(budget, threshold)
    facts = [
        ("spent", f"{spent} ({used(budget['spent'], budget['limit'])})"),
        ("limit", limit),
        ("period", f"{budget['first']} to {budget['until']}, {percent(budget['elapsed'])} over"),
    ]
    if budget.get("forecast"):
        lower, upper = budget.get("lower"), budget.get("upper")
        between = f", between {money(lower, currency)} and {money(upper, currency)}" if lower and upper else ""
        facts.append(("expected in the end", f"{money(budget['forecast'], currency)}{between}"))
    if budget.get("exhausted_on"):
        facts.append(("used up on", budget["exhausted_on"]))
    if projected:
        title = f"Budget {name} is going to pass its limit"
        end = f" on {budget['exhausted_on']}" if budget.get("exhausted_on") else ""
        sentence = (
            f"Budget {name} has spent {spent} of {limit}, and is expected to pass {share} of it{end}:"
            f" {money(budget['forecast'], currency)} by the end of the period."
            if budget.get("forecast")
            else f"Budget {name} has spent {spent} of {limit}, and is expected to pass {share} of it{end}."
        )
    elif status == RESOLVED:
        title = f"Budget {name} is below {share} again"
        sentence = f"Budget {name} has spent {spent} of {limit}: credits or corrections took it below {share}."
    else:
        title = f"Budget {name} is past {share}"
        moving = "" if threshold.get("reached_settled", True) else " Part of it may still be corrected."
        sentence = f"Budget {name} has spent {spent} of {limit}, more than {share} of it.{moving}"
    if budget.get("adjusted"):
        facts.append(("limit adjusted", str(budget["adjusted"])))
    return Message(
        # `spent` is in it, so that passing a threshold for the second time is news to a channel.
        key=key("budget", about, status, budget["spent"]),
        fingerprint=about,
        status=status,
        kind="budget",
        severity=severity(threshold["severity"]),
        title=title,
        sentence=sentence,
        when=now,
        facts=tuple(facts),
        links=settings.pages.links("budgets", "budgets", budget=name, currency=currency),
        standing=worst(word for other, word in standing.items() if other != about),
        channels=tuple(budget.get("channels") or ()),
    )


def _period(budget: Json) -> str:
    return f"budget/{budget['name']}/{budget['period_id']}"


def _threshold(budget: Json, threshold: Json) -> str:
    return f"{_period(budget)}/{threshold['ratio']}"


def _marks(budget: Json) -> Iterator[str]:
    yield f"{_period(budget)}/projected"
    yield from (_threshold(budget, threshold) for threshold in budget["thresholds"])


# --- first spends ----------------------------------------------------------------------------------------------------


def _first_spends(
    firsts: Iterable[Json], told: Mapping[str, Told], now: datetime, settings: Settings, found: News
) -> None:
    """One message for all new places of a source: a new region brings its services with it."""
    new: dict[str, list[Json]] = {}
    for first in firsts:
        if _place(first) not in told:
            new.setdefault(first["source"], []).append(first)
    for source, several in new.items():
        names = sorted(map(_place, several))
        for name in names:
            found.remember(name, OPEN, "", now)
        found.messages.append(_first_message(source, several, names, now, settings))


def _first_message(source: str, several: list[Json], names: list[str], now: datetime, settings: Settings) -> Message:
    one, alone = several[0], len(several) == 1
    listed = ", ".join(f"{first['kind']} {first['name']}" for first in several[:3])
    listed += f" and {len(several) - 3} more" if len(several) > 3 else ""
    where = listed if alone else f"{len(several)} places: {listed}"
    sentence = f"{source} was charged for the first time in {where}."
    lines = [
        f"{each['kind']} {each['name']}: {money(each['cost'], each['currency'])} since {minute(each['since'])}"
        for each in several
    ]
    return Message(
        key=key("first_spend", *names),
        fingerprint=names[0] if alone else key("first_spends", *names),
        status=OPEN,
        kind="first_spend",
        severity="medium",
        title=f"First spend in {listed} ({one['provider']})",
        sentence=(one.get("sentence") or sentence) if alone else sentence,
        when=now,
        lines=(*lines[:_LONGEST], *([f"and {len(lines) - _LONGEST} more"] if lines[_LONGEST:] else [])),
        links=settings.pages.links(
            "anomalies",
            "service",
            currency=one["currency"],
            provider=one["provider"],
            **({one["kind"]: one["name"]} if alone else {}),
        ),
        source=source,
    )


def _place(first: Json) -> str:
    return "/".join(("first", first["source"], first["provider"], first["kind"], first["name"]))


# --- hourly jumps ----------------------------------------------------------------------------------------------------


def _hourly_jump(jump: Json, told: Mapping[str, Told], now: datetime, settings: Settings, found: News) -> None:
    """Each hour once: what it cost may still grow, and has been told as too much."""
    name = "/".join(("jump", jump["source"], jump["provider"], jump["currency"], jump["hour"]))
    if name in told:
        return
    currency = jump["currency"]
    share = "" if jump["percent"] is None else f" of {jump['percent']}%"
    moved = [f"{service}: {money(excess, currency, signed=True)}" for service, excess in jump["services"]]
    message = Message(
        key=key("hourly_jump", name),
        fingerprint=name,
        status=OPEN,
        kind="hourly_jump",
        severity="medium",
        title=f"{jump['source']} ({jump['provider']}) made a jump{share} within an hour",
        sentence=jump["sentence"],
        when=now,
        facts=(
            ("cost of the hour", money(jump["cost"], currency)),
            ("month until then", money(jump["before"], currency)),
            ("dearest hour of the day before", money(jump["dearest"], currency)),
            ("hour", f"{minute(jump['hour'])} UTC"),
        ),
        lines=(*moved[:_LONGEST], *([f"and {len(moved) - _LONGEST} more"] if moved[_LONGEST:] else [])),
        links=settings.pages.links("month", "service", currency=currency, provider=jump["provider"]),
        source=jump["source"],
    )
    found.say(message, "")


# --- words -----------------------------------------------------------------------------------------------------------


def _standing(check: Json) -> dict[str, str]:
    """The severity of everything that is open: findings and passed thresholds, by fingerprint."""
    open_ = {f["fingerprint"]: severity(f["severity"]) for f in check.get("findings") or () if f["status"] != RESOLVED}
    for budget in check.get("budgets") or ():
        reached = [each for each in budget["thresholds"] if each["reached"]]
        open_ |= {_threshold(budget, each): severity(each["severity"]) for each in reached}
    return {name: word for name, word in open_.items() if rank(word) >= 0}
