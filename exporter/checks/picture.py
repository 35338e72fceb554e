"""What a check judges: the published figures, and how far they can be trusted. Fails closed.

A figure that is missing or cannot be read is `Unanswerable`, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from exporter.checks.nagios import State, Unanswerable, worst

_GRACE = timedelta(hours=1)
"""How late a snapshot may be made anew where the clock asks for it, and how far two clocks may differ."""
_DENIED = "access_denied"


class Source(NamedTuple):
    """One billing source: how far its data reaches, and what is wrong with it. Instants are UTC."""

    name: str
    providers: frozenset[str]
    """`provider` labels of its charges; empty where that is not known."""
    published: bool
    """Whether its figures are in the snapshot."""
    newest: datetime | None
    settled: datetime | None
    """End of its newest settled day."""
    ended: bool
    """Its bill ended long ago, and nothing more is expected."""
    failed: str
    """Reason word of its last poll; empty where that was good."""
    why: str
    """The failure in words, with its hint."""

    @property
    def unusable(self) -> str:
        """Why nothing can be called good that this source is part of; empty where it can."""
        if not self.published:
            return f"{self.name}: no data: {self.why or 'never polled, or too old to be shown'}"
        return f"{self.name}: {self.why}" if self.failed == _DENIED else ""

    @property
    def note(self) -> str:
        """What is wrong with it and leaves its last good data in charge; empty where nothing is."""
        return f"{self.name}: the last poll failed: {self.why}" if self.failed and not self.unusable else ""

    def concerns(self, provider: str | None) -> bool:
        """Whether it may have charges of a provider; where that is not known, yes."""
        return provider is None or not self.providers or provider in self.providers


class Picture:
    """A check.json, with `served`. `now` is the exporter's business clock."""

    def __init__(self, document: Mapping[str, Any], max_age: timedelta | None = None) -> None:
        """Unanswerable where it is too old; `max_age` is the user's word on that, on top of the exporter's."""
        self._document = document
        served = self.part("served", dict)
        self.now = instant(served["now"])
        self.made = instant(served["made"])
        self._in_time(served, max_age)
        published = self.part("sources", dict)
        live: dict[str, Any] = served["sources"]
        self.sources = tuple(_source(name, published.get(name), live.get(name)) for name in sorted({*published, *live}))

    def part(self, name: str, kind: type) -> Any:
        """A top-level part of the document. Unanswerable where the exporter does not publish it."""
        found = self._document.get(name)
        if not isinstance(found, kind):
            raise Unanswerable(f"the exporter publishes no {name!r}. hint: is it of this version?")
        return found

    def judged(self, name: str, part: str) -> list[dict[str, Any]]:
        """What was judged, a part of the document. Unanswerable where the judgement failed, or nobody wants it."""
        found: list[dict[str, Any]] = self.part(part, list)
        if name in self._document.get("failed", ()):
            raise Unanswerable(f"the {name} could not be judged. hint: the exporter's log says why")
        if name not in self._document.get("judged", (name,)):
            raise Unanswerable(f"the {name} are switched off in the configuration")
        return found

    @property
    def today(self) -> date:
        """The UTC day that it is."""
        return self.now.date()

    def concerned(self, provider: str | None = None) -> tuple[Source, ...]:
        """The sources that a figure of this provider may come from. Unanswerable where there is none."""
        found = tuple(source for source in self.sources if source.concerns(provider))
        if not found:
            raise Unanswerable(
                f"no source has charges of provider {provider!r}" if self.sources else "there is no bill"
            )
        return found

    def _in_time(self, served: Mapping[str, Any], max_age: timedelta | None) -> None:
        expires, change = served.get("expires_at"), served.get("next_change_at")
        if expires and self.now >= instant(expires):
            raise Unanswerable(f"the data is too old since {minute(instant(expires))}. hint: does the exporter poll?")
        if change and self.now >= instant(change) + _GRACE:
            when = minute(instant(change))
            raise Unanswerable(f"the snapshot is stale: a new one was due at {when}. hint: does the exporter run?")
        if max_age is not None and self.now - self.made > max_age:
            raise Unanswerable(f"the snapshot is stale: made at {minute(self.made)}, longer ago than --max-age")
        if self.made - self.now > _GRACE:
            raise Unanswerable(f"the snapshot is of the future, made at {minute(self.made)}. hint: compare the clocks")


class Trust(NamedTuple):
    """What the sources behind a figure say of it."""

    unusable: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, sources: Iterable[Source]) -> Trust:
        """The trust that these sources deserve together."""
        known = tuple(sources)
        return cls(
            tuple(source.unusable for source in known if source.unusable),
            tuple(source.note for source in known if source.note),
        )

    def state(self, found: State) -> State:
        """OK only where nothing is missing; what is bad already stays so."""
        return worst((found, State.UNKNOWN)) if self.unusable else found

    def summary(self, words: str) -> str:
        """The summary, with what is missing in front of it."""
        return f"{self.unusable[0]}; {words}" if self.unusable else words

    @property
    def details(self) -> tuple[str, ...]:
        """A line for each source with a trouble."""
        return (*self.unusable[1:], *self.notes)


def settled_until(sources: Iterable[Source]) -> date | None:
    """The day up to which every source is settled, itself not; None where a source has no settled day.

    Bills that have ended do not hold it back. Unanswerable where all of them have.
    """
    current = [source for source in sources if source.published and not source.ended]
    if not current:
        raise Unanswerable("no source has a bill that goes on")
    ends = [source.settled for source in current]
    return min(end for end in ends if end).date() if all(ends) else None


def instant(text: object) -> datetime:
    """An instant of the document."""
    if not isinstance(text, str):
        raise Unanswerable(f"{text!r} is not an instant. hint: is the exporter of this version?")
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def day(text: object) -> date:
    """A day of the document."""
    if not isinstance(text, str):
        raise Unanswerable(f"{text!r} is not a day. hint: is the exporter of this version?")
    return date.fromisoformat(text[:10])


def amount(text: object) -> Decimal:
    """An amount of the document, exactly."""
    try:
        found = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise Unanswerable(f"{text!r} is not an amount. hint: is the exporter of this version?")
    return found


def minute(moment: datetime) -> str:
    """An instant for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _source(name: str, published: Mapping[str, Any] | None, live: Mapping[str, Any] | None) -> Source:
    said, state = published or {}, live or {}
    failed = said.get("failed") if live is None else state.get("failed")
    providers = said.get("providers") or [state.get("label")]
    newest, settled = said.get("newest"), said.get("settled")
    return Source(
        name=name,
        providers=frozenset(label for label in providers if label),
        published=published is not None,
        newest=instant(newest) if newest else None,
        settled=instant(settled) if settled else None,
        ended=bool(said.get("ended")),
        failed=_word(failed),
        why=_sentence(failed, state),
    )


def _word(failed: object) -> str:
    return str(failed.get("reason", "")) if isinstance(failed, dict) else str(failed or "")


def _sentence(failed: object, state: Mapping[str, Any]) -> str:
    said = {**failed, **state} if isinstance(failed, dict) else state
    parts = [_word(failed), said.get("message") or said.get("waiting")]
    words = ": ".join(str(part) for part in parts if part)
    return f"{words}. hint: {said['hint']}" if said.get("hint") else words
