"""Messages on their way, as the state file keeps them: one row for each message and channel; and what was told of.

A row is `waiting` until its channel has taken it (`sent`), it went out within another message (`bundled`), or nobody
is to take it any more (`dead`). Once it is not waiting it never waits again, unless somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

SENT = "cloudspend_exporter_notifications_total"
FAILURES = "cloudspend_exporter_notification_failures_total"

_OFTEN = 8
_FAR = timedelta(days=1)
"""No retry lies further ahead; one that does was planned by a clock that has been set back since."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one channel. Instants are UTC on the business clock."""

    id: int
    key: str
    channel: str
    body: str
    """The message as JSON."""
    state: str
    """waiting, sent, bundled or dead."""
    urgent: bool
    made: datetime
    due: datetime
    """When to try next."""
    held: bool = False
    """Whether quiet hours kept it."""
    attempts: int = 0
    ended: datetime | None = None
    reason: str | None = None
    """Why the last try failed."""
    said: str | None = None
    """The sentence that goes with it."""
    done: tuple[str, ...] = ()
    """Recipients that have it already."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message to put into the outbox, for several channels at once."""

    key: str
    body: str
    channels: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What people were told last about something."""

    fingerprint: str
    status: str
    mark: str
    """How bad it was then."""
    at: datetime


class Outbox:
    """The part of the state file that knows what is to be sent. `State` inherits it."""

    if TYPE_CHECKING:
        _db: sqlite3.Connection

        def _read(self, sql: str, *parameters: str) -> list[sqlite3.Row]: ...

        def _writing(self) -> AbstractContextManager[None]: ...

        def _add(self, name: str, source: str, label: str, amount: Decimal) -> None: ...

    def post(self, posts: Iterable[Post], now: datetime, told: Iterable[Told] = ()) -> int:
        """Put messages into the outbox and remember what they tell, in one transaction. How many rows are new.

        A message that a channel has had, or is to have, is not put in again.
        """
        rows = [(p.key, channel, p.body, p.urgent, *2 * (now.isoformat(),)) for p in posts for channel in p.channels]
        with self._writing():
            before = self._db.total_changes
            self._db.executemany(
                "INSERT OR IGNORE INTO outbox (key, channel, body, urgent, made, due) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            new = self._db.total_changes - before
            self._db.executemany(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)",
                [(each.fingerprint, each.status, each.mark, each.at.isoformat()) for each in told],
            )
        return new

    def posted_since(self, beginning: str, since: datetime) -> bool:
        """Whether a message whose key begins so was put into the outbox at or after an instant."""
        sql = "SELECT 1 FROM outbox WHERE key >= ? AND key < ? AND made >= ? LIMIT 1"
        return bool(self._read(sql, beginning, beginning + "~", since.isoformat()))

    def told(self) -> dict[str, Told]:
        """What people were told, by fingerprint."""
        rows = self._read("SELECT fingerprint, status, mark, at FROM told")
        return {f: Told(f, status, mark, datetime.fromisoformat(at)) for f, status, mark, at in rows}

    def forget_told(self, fingerprints: Iterable[str]) -> None:
        """Forget that something was told."""
        with self._writing():
            self._db.executemany("DELETE FROM told WHERE fingerprint = ?", [(each,) for each in fingerprints])

    def next_letter(self, channel: str, *, urgent_only: bool = False) -> Letter | None:
        """The message that is next for a channel, due or not: the oldest, but for those that failed often.

        None where nothing waits. One that cannot be delivered must not keep the others back for ever.
        """
        urgent = " AND urgent" if urgent_only else ""
        order = f"ORDER BY attempts >= {_OFTEN}, id LIMIT 1"
        rows = self._read(f"SELECT * FROM outbox WHERE channel = ? AND state = 'waiting'{urgent} {order}", channel)
        return _letter(rows[0]) if rows else None

    def letters(self, *states: str, channel: str | None = None) -> list[Letter]:
        """Messages in these states, the oldest first; of one channel or of all."""
        marks = ", ".join("?" * len(states))
        sql, parameters = f"SELECT * FROM outbox WHERE state IN ({marks})", list(states)
        if channel is not None:
            sql, parameters = f"{sql} AND channel = ?", [*parameters, channel]
        return [_letter(row) for row in self._read(f"{sql} ORDER BY id", *parameters)]

    def held(self, channel: str) -> list[Letter]:
        """What quiet hours have kept from a channel, the oldest first."""
        sql = "SELECT * FROM outbox WHERE channel = ? AND state = 'waiting' AND held ORDER BY id"
        return [_letter(row) for row in self._read(sql, channel)]

    def waiting(self) -> dict[str, int]:
        """Channel → how many messages wait for it."""
        rows = self._read("SELECT channel, count(*) AS n FROM outbox WHERE state = 'waiting' GROUP BY channel")
        return {row["channel"]: row["n"] for row in rows}

    def acknowledged(self, letter: Letter, now: datetime) -> None:
        """A channel has taken a message. It is on the disk when this returns."""
        with self._writing():
            self._db.execute(
                "UPDATE outbox SET state = 'sent', ended = ?, attempts = attempts + 1, reason = NULL, said = NULL"
                " WHERE id = ?",
                (now.isoformat(), letter.id),
            )
            self._add(SENT, "", letter.channel, Decimal(1))

    def put_off(self, letter: Letter, due: datetime, reason: str, said: str, done: Sequence[str] = ()) -> None:
        """A channel has not taken a message, and is asked again."""
        self._failed(letter, "due = ?", due.isoformat(), reason, said, done)

    def bury(self, letter: Letter, now: datetime, reason: str, said: str, done: Sequence[str] = ()) -> None:
        """Nobody is going to take a message: it is kept for people to see."""
        self._failed(letter, "state = 'dead', ended = ?", now.isoformat(), reason, said, done)

    def hold(self, channel: str, *, urgent_too: bool) -> None:
        """Quiet hours keep what waits for a channel now."""
        urgent = "" if urgent_too else " AND NOT urgent"
        sql = f"SELECT id FROM outbox WHERE channel = ? AND state = 'waiting' AND NOT held{urgent}"
        if ids := [(row["id"],) for row in self._read(sql, channel)]:
            with self._writing():
                self._db.executemany("UPDATE outbox SET held = 1 WHERE id = ?", ids)

    def bundle(self, letters: Sequence[Letter], post: Post, now: datetime) -> None:
        """Let one message go out in place of several that quiet hours kept."""
        with self._writing():
            # It takes the place of the first one: what came after the quiet hours stays behind it.
            first, *rest = letters
            self._db.execute(
                "UPDATE outbox SET key = ?, body = ?, urgent = ?, held = 0, due = ? WHERE id = ?",
                (post.key, post.body, post.urgent, now.isoformat(), first.id),
            )
            self._db.executemany(
                "UPDATE outbox SET state = 'bundled', ended = ?, said = ? WHERE id = ?",
                [(now.isoformat(), f"within {post.key}", each.id) for each in rest],
            )
            # The first is remembered too, so that its message is not put in again.
            self._db.execute(
                "INSERT INTO outbox (key, channel, body, urgent, state, made, due, held, ended, said)"
                " VALUES (?, ?, ?, ?, 'bundled', ?, ?, 1, ?, ?)",
                (
                    *(first.key, first.channel, first.body, first.urgent, first.made.isoformat()),
                    *(first.due.isoformat(), now.isoformat(), f"within {post.key}"),
                ),
            )

    def unhold(self, letter: Letter) -> None:
        """Let a message go that quiet hours kept."""
        with self._writing():
            self._db.execute("UPDATE outbox SET held = 0 WHERE id = ?", (letter.id,))

    def try_again(self, now: datetime, channel: str | None = None) -> int:
        """Let messages that were put aside wait anew, for one channel or for all. How many there are."""
        sql = "UPDATE outbox SET state = 'waiting', made = ?, due = ?, ended = NULL WHERE state = 'dead'"
        parameters = [now.isoformat(), now.isoformat()]
        if channel is not None:
            sql, parameters = f"{sql} AND channel = ?", [*parameters, channel]
        with self._writing():
            return self._db.execute(sql, parameters).rowcount

    def prune_outbox(self, before: datetime) -> None:
        """Forget messages that ended before an instant."""
        if self._read("SELECT 1 FROM outbox WHERE state <> 'waiting' AND ended < ? LIMIT 1", before.isoformat()):
            with self._writing():
                self._db.execute("DELETE FROM outbox WHERE state <> 'waiting' AND ended < ?", (before.isoformat(),))

    def _failed(self, letter: Letter, change: str, at: str, reason: str, said: str, done: Sequence[str]) -> None:
        with self._writing():
            self._db.execute(
                f"UPDATE outbox SET {change}, attempts = attempts + 1, reason = ?, said = ?, done = ? WHERE id = ?",
                (at, reason, said, "\n".join(dict.fromkeys((*letter.done, *done))), letter.id),
            )
            self._add(FAILURES, "", f"{letter.channel} {reason}", Decimal(1))


def is_due(letter: Letter, now: datetime) -> bool:
    """Whether it is time to try a message."""
    return letter.due <= now or letter.due > now + _FAR


def failures(label: str) -> tuple[str, str]:
    """Channel and reason of a count of failures, from its label in the state file."""
    channel, _, reason = label.rpartition(" ")
    return channel, reason


def _letter(row: Mapping[str, object] | sqlite3.Row) -> Letter:
    return Letter(
        id=int(str(row["id"])),
        key=str(row["key"]),
        channel=str(row["channel"]),
        body=str(row["body"]),
        state=str(row["state"]),
        urgent=bool(row["urgent"]),
        made=datetime.fromisoformat(str(row["made"])),
        due=datetime.fromisoformat(str(row["due"])),
        held=bool(row["held"]),
        attempts=int(str(row["attempts"])),
        ended=datetime.fromisoformat(str(row["ended"])) if row["ended"] else None,
        reason=str(row["reason"]) if row["reason"] else None,
        said=str(row["said"]) if row["said"] else None,
        done=tuple(str(row["done"]).split("\n")) if row["done"] else (),
    )
