"""`budget`: what budgets have used, by their own thresholds or by limits in percent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from exporter.checks.nagios import Limits, Perf, Range, Result, State, Unanswerable, money, percent, plain, worst
from exporter.checks.picture import Picture, Source, Trust, amount, day

_HUNDRED = Decimal(100)
_STATUS = {"on_track": State.OK, "at_risk": State.WARNING, "over": State.CRITICAL}
SEVERITIES = {
    "info": State.OK,
    "low": State.WARNING,
    "medium": State.WARNING,
    "warning": State.WARNING,
    "high": State.CRITICAL,
    "critical": State.CRITICAL,
}
"""Severity → state, of thresholds and of findings; a word of the user's own is a warning."""


def budget(picture: Picture, names: Collection[str], limits: Limits) -> Result:
    """Judge these budgets, or all; `limits` are in percent of a budget's limit, and decide alone where given."""
    there = picture.judged("budgets", "budgets")
    if not there:
        raise Unanswerable(
            "no budget is configured. hint: 'budgets' in the configuration", Trust.of(picture.sources).details
        )
    known = [entry["name"] for entry in there]
    for name in names:
        if name not in known:
            raise Unanswerable(f"there is no budget {name!r}. hint: there are {', '.join(known)}")
    chosen = [entry for entry in there if not names or entry["name"] in names]
    judged = [(*_judged(picture, entry, limits), entry) for entry in chosen]
    trust = Trust.of(_sources(picture, chosen))
    judged.sort(key=lambda found: (-_rank(found[0]), found[2]["name"]))
    state = trust.state(worst(found for found, _, _ in judged))
    words = [sentence for _, sentence, _ in judged]
    summary = words[0] if len(words) == 1 else _counted(judged)
    below = () if len(words) == 1 else tuple(words)
    perf = tuple(item for _, _, entry in judged for item in _perf(entry, limits))
    return Result(state, trust.summary(summary), perf, (*below, *trust.details))


def _judged(picture: Picture, entry: Mapping[str, Any], limits: Limits) -> tuple[State, str]:
    if picture.today >= day(entry["until"]):
        raise Unanswerable(f"budget {entry['name']!r}: its period has ended, and no new figures came")
    limit, spent, currency = amount(entry["limit"]), amount(entry["spent"]), entry["currency"]
    words = [f"{money(spent, currency)} of {money(limit, currency)} used"]
    words += [f"{percent(spent, limit):.1f} %"] if limit else []
    if limits:
        state = limits.state(percent(spent, limit)) if limit else State.UNKNOWN
        moving = state and limits.state(percent(amount(entry["spent_settled"]), limit)) != state if limit else False
        words += [f"{limits.passed(state)} %"] if state in (State.WARNING, State.CRITICAL) else []
    else:
        state, moving = _by_thresholds(entry)
        words += [] if entry["status"] == "on_track" else [entry["status"].replace("_", " ")]
    if moving:
        words.append("by data that still moves")
    if entry.get("forecast") is not None:
        words.append(f"forecast {money(amount(entry['forecast']), currency)}")
    if entry.get("exhausted_on"):
        words.append(f"used up on {entry['exhausted_on']}")
    return state, f"{entry['name']}: {', '.join(words)}"


def _by_thresholds(entry: Mapping[str, Any]) -> tuple[State, bool]:
    """The worst of the status and of the thresholds reached; and whether only moving data says so."""
    reached = [(_severity(it), bool(it["reached_settled"])) for it in entry["thresholds"] if it["reached"]]
    status = _STATUS[entry["status"]]
    state = worst([status, *(found for found, _ in reached)])
    firm = worst(found for found, settled in reached if settled)
    over = entry["status"] == "over" and amount(entry["spent_settled"]) > amount(entry["limit"])
    said_by_spending = state in {found for found, _ in reached} or entry["status"] == "over"
    return state, said_by_spending and firm is not state and not over


def _severity(threshold: Mapping[str, Any]) -> State:
    return SEVERITIES.get(threshold["severity"], State.WARNING)


def _perf(entry: Mapping[str, Any], limits: Limits) -> list[Perf]:
    name, currency = entry["name"], entry["currency"]
    limit, spent = amount(entry["limit"]), amount(entry["spent"])
    found = [Perf(f"{name} spent {currency}", spent, limits=Limits() if limits else _steps(entry, limit))]
    if limit:
        used = percent(spent, limit).quantize(Decimal("0.01"))
        found.append(Perf(f"{name} used", used, "%", limits or _steps(entry, _HUNDRED)))
    found.append(Perf(f"{name} limit {currency}", limit))
    if entry.get("forecast") is not None:
        found.append(Perf(f"{name} forecast {currency}", amount(entry["forecast"])))
    return found


def _steps(entry: Mapping[str, Any], whole: Decimal) -> Limits:
    """The lowest threshold of each state, as a range."""
    found: dict[State, Range] = {}
    for ratio, state in sorted((amount(it["ratio"]), _severity(it)) for it in entry["thresholds"]):
        if state and state not in found:
            found[state] = Range.parse(plain(ratio * whole))
    return Limits(found.get(State.WARNING), found.get(State.CRITICAL))


def _sources(picture: Picture, chosen: list[dict[str, Any]]) -> tuple[Source, ...]:
    """The sources that the budgets draw on: those with charges of their providers, or all."""
    wanted = [entry.get("providers") or [None] for entry in chosen]
    asked = {provider for providers in wanted for provider in providers}
    return tuple(source for source in picture.concerned() if any(source.concerns(provider) for provider in asked))


def _rank(state: State) -> int:
    return (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL).index(state)


def _counted(judged: list[tuple[State, str, dict[str, Any]]]) -> str:
    """How many budgets are how; the worst by name."""
    bad = [(state, entry["name"]) for state, _, entry in judged if state]
    if not bad:
        return f"{len(judged)} budgets on track"
    named = ", ".join(f"{name} {state.name}" for state, name in bad[:5])
    return f"{len(bad)} of {len(judged)} budgets need a look: {named}" + (" …" if len(bad) > 5 else "")
