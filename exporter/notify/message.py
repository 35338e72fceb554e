"""What is said: one value for every channel, written as JSON into the outbox."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""From good to know to get up."""

_ALIASES = {"warning": "medium", "warn": "medium", "error": "high", "page": "critical", "none": "info"}
_DEFAULT = "medium"

OPEN, WORSENED, RESOLVED, FIRING = "open", "worsened", "resolved", "firing"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that people are to know. All texts are plain: a channel escapes what it must."""

    key: str
    """The same whenever the same is said, so that a receiver can tell a second try from news."""
    fingerprint: str
    """What it is about; open, worsened and resolved share it."""
    status: str
    """open, worsened, resolved, or firing."""
    kind: str
    """anomaly, budget, first_spend, hourly_jump, alert, digest, test."""
    severity: str
    """One of SEVERITIES."""
    title: str
    sentence: str
    """What happened, for a person who pays."""
    when: datetime
    facts: tuple[tuple[str, str], ...] = ()
    """Name and value, the most telling first."""
    lines: tuple[str, ...] = ()
    """What moved, or what is meant: one line each."""
    links: tuple[tuple[str, str], ...] = ()
    """Words and URL."""
    source: str = ""
    """The billing source, where it is about one."""
    standing: str = ""
    """The worst severity of all that is open besides; empty where nothing is."""
    channels: tuple[str, ...] = ()
    """Who is to be told; everybody where nobody is named."""
    done: tuple[str, ...] = field(default=())
    """Recipients that have it already, from an earlier try."""

    @property
    def over(self) -> bool:
        """Whether it says that something has ended."""
        return self.status == RESOLVED

    @property
    def heading(self) -> str:
        """The title with the status in front: `[RESOLVED] …`."""
        word = {FIRING: self.severity, OPEN: self.severity}.get(self.status, self.status)
        return f"[{word.upper()}] {self.title}"

    def written(self) -> str:
        """As JSON."""
        body = asdict(self) | {"when": self.when.isoformat()}
        del body["done"]
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Message:
    """The message that `written` wrote."""
    body = json.loads(text)
    for name in ("facts", "links"):
        body[name] = tuple((str(first), str(second)) for first, second in body[name])
    for name in ("lines", "channels"):
        body[name] = tuple(body[name])
    return Message(**body | {"when": datetime.fromisoformat(body["when"])})


def plain(message: Message) -> str:
    """A message as text of several lines, without its heading."""
    parts = [message.sentence, *_block(f"{name}: {value}" for name, value in message.facts)]
    parts += _block(message.lines)
    parts += _block(f"{words}: {url}" for words, url in message.links)
    return "\n\n".join(part for part in parts if part)


def key(*parts: object) -> str:
    """A key from what a message says: the same parts, the same key."""
    return hashlib.blake2b(json.dumps([str(part) for part in parts]).encode(), digest_size=12).hexdigest()


def severity(word: str | None) -> str:
    """One of SEVERITIES for any word that rules and budgets use."""
    given = (word or "").strip().lower()
    return given if given in SEVERITIES else _ALIASES.get(given, _DEFAULT)


def rank(word: str) -> int:
    """How bad a severity is; -1 for none."""
    return SEVERITIES.index(word) if word in SEVERITIES else -1


def worst(words: Iterable[str]) -> str:
    """The worst of severities; empty where there are none."""
    return max(words, key=rank, default="")


def bundled(messages: Iterable[Message], now: datetime) -> Message:
    """One message in place of several: the last word about each thing, the worst first."""
    last = {message.fingerprint: message for message in messages}
    ordered = sorted(last.values(), key=lambda each: (each.over, -rank(each.severity), each.when))
    still = [each for each in ordered if not each.over]
    ended = len(ordered) - len(still)
    counts = [f"{len(still)} new or worse" if still else "", f"{ended} over" if ended else ""]
    links = dict.fromkeys(link for each in ordered for link in each.links)
    identity = key("digest", *sorted(each.key for each in ordered))
    return Message(
        key=identity,
        fingerprint=identity,
        status=OPEN if still else RESOLVED,
        kind="digest",
        severity=worst(each.severity for each in still or ordered),
        title=f"{len(ordered)} messages from the quiet hours",
        sentence=f"While nobody was to be disturbed: {', '.join(filter(None, counts))}.",
        when=now,
        lines=tuple(f"{each.heading}: {each.sentence}" for each in ordered),
        links=tuple(links)[:3],
        standing=ordered[-1].standing,
    )


def trial(channel: str, now: datetime) -> Message:
    """What `cloudspend notify --test` sends."""
    identity = key("test", channel, now.isoformat())
    return Message(
        key=identity,
        fingerprint=identity,
        status=OPEN,
        kind="test",
        severity="info",
        title="cloudspend can reach this channel",
        sentence=f"A test of the channel {channel}, sent by hand. Nothing has happened to the bill.",
        when=now,
        facts=(("channel", channel), ("sent", f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")),
        lines=("Services that moved stand here, one line each",),
    )


def with_done(message: Message, done: tuple[str, ...]) -> Message:
    """The message for a further try."""
    return replace(message, done=done)


def _block(lines: Iterable[str]) -> list[str]:
    return ["\n".join(lines)]
