"""The state file: what was done and when, so that a restart neither polls nor counts anything twice.

One SQLite file in WAL mode. The worker writes; the daemon reads, and writes only that a worker died. Instants are
ISO 8601 text in UTC on the business clock, amounts are exact decimal text.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from exporter.costs import BilledRate, Line
from exporter.costs.money import MONEY, text
from exporter.errors import StoreError
from exporter.periods import Month
from exporter.store.files import keep_reserve, make_folder, refused, storing, use_reserve
from exporter.store.migrations import MIGRATIONS
from exporter.store.outbox import Outbox
from exporter.store.spending import Spending


@dataclass(frozen=True, slots=True)
class Vintage:
    """The billed total of a day in one currency, as it was first seen at an instant."""

    day: date
    currency: str
    seen: datetime
    billed: Decimal


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of one source. Instants are UTC; None says that it never happened."""

    source: str
    next_due: datetime | None = None
    attempt_pid: int | None = None
    asked_as: str | None = None
    stored_as: str | None = None
    history_as: str | None = None
    last_attempt: datetime | None = None
    last_success: datetime | None = None
    failed_reason: str | None = None
    failed_message: str | None = None
    failed_hint: str | None = None
    failures_in_row: int = 0
    poll_seconds: float | None = None
    rows: int = 0
    folded: int = 0
    observed_settling: float | None = None
    """Seconds after their end that recent days kept moving."""
    estimated: frozenset[date] = frozenset()
    open_months: frozenset[Month] | None = None
    restated: Mapping[str, Decimal] = field(default_factory=dict)
    unattributed: Mapping[str, Decimal] = field(default_factory=dict)
    rates: Mapping[str, BilledRate] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        """Whether the last poll succeeded."""
        return self.last_success is not None and self.failed_reason is None


@dataclass(frozen=True, slots=True)
class Success:
    """What a successful poll leaves behind."""

    at: datetime
    next_due: datetime
    seconds: float
    rows: int
    estimated: frozenset[date] = frozenset()
    open_months: frozenset[Month] | None = None
    restated: Mapping[str, Decimal] = field(default_factory=dict)
    unattributed: Mapping[str, Decimal] = field(default_factory=dict)
    rates: Mapping[str, BilledRate] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = True
    """Whether what was read need not be read again but for what moves; else the next poll asks for as much."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed poll leaves behind; the stored bill stays as it was."""

    at: datetime
    next_due: datetime
    reason: str
    message: str
    hint: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """A count that survives restarts: metric name, source ("" for none), label value ("" for none), value."""

    name: str
    source: str
    label: str
    value: Decimal


class State(Spending, Outbox):
    """The state file, open. One instance per thread; close it, or use it in a `with`."""

    def __init__(self, path: Path, patience: float = 30.0) -> None:
        """`patience`: seconds to wait for another writer before StoreError."""
        with storing(path.parent):
            make_folder(path.parent)
        self.path = path
        try:
            use_reserve(path.parent)
            # FULL: a poll that was paid for must be remembered after a power cut too. The log is written back while it
            # is half as long as the reserve.
            self._db = sqlite3.connect(path, timeout=patience, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128"
            )
            self._migrate()
        except sqlite3.Error as error:
            raise StoreError(refused(path, str(error))) from error

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def source(self, name: str) -> SourceState:
        """What is remembered of one source; all unset for one never polled."""
        return self.sources().get(name, SourceState(name))

    def sources(self) -> dict[str, SourceState]:
        """Every source that was ever polled."""
        return {row["source"]: _source(row) for row in self._read("SELECT * FROM sources ORDER BY source")}

    def counters(self) -> list[Counter]:
        """Every count, ordered."""
        rows = self._read("SELECT name, source, label, value FROM counters ORDER BY name, source, label")
        return [Counter(name, source, label, Decimal(value)) for name, source, label, value in rows]

    def accounts(self) -> dict[tuple[str, str], str]:
        """(provider, account) → name."""
        rows = self._read("SELECT provider, account, name FROM accounts ORDER BY provider, account")
        return {(provider, account): name for provider, account, name in rows}

    def version(self) -> int:
        """A number that changes when another connection has written; what this one writes does not change it."""
        return int(self._read("PRAGMA data_version")[0][0])

    def begin(self, source: str, at: datetime, next_due: datetime, pid: int, asked_as: str = "") -> None:
        """Remember that a poll begins, and when the next is due should this one never end.

        `asked_as` is a fingerprint of the question; a success puts it in `stored_as`.
        """
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO sources (source) VALUES (?)", (source,))
            self._db.execute(
                "UPDATE sources SET last_attempt = ?, next_due = ?, attempt_pid = ?, asked_as = ? WHERE source = ?",
                (at.isoformat(), next_due.isoformat(), pid, asked_as, source),
            )
            self._add("cloudspend_source_polls_total", source, "", Decimal(1))

    def succeed(self, source: str, success: Success) -> None:
        """Remember that the poll of a source succeeded."""
        with self._writing():
            self._db.execute(
                "UPDATE sources SET attempt_pid = NULL, last_success = ?, next_due = ?,"
                " stored_as = CASE WHEN ? THEN asked_as ELSE stored_as END,"
                " failed_reason = NULL, failed_message = NULL, failed_hint = NULL, failures_in_row = 0,"
                " poll_seconds = ?, rows = ?,"
                " estimated = ?, open_months = ?, restated = ?, unattributed = ?, rates = ?, notes = ?"
                " WHERE source = ?",
                (
                    success.at.isoformat(),
                    success.next_due.isoformat(),
                    success.lasting,
                    success.seconds,
                    success.rows,
                    json.dumps(sorted(day.isoformat() for day in success.estimated)),
                    None if success.open_months is None else json.dumps(sorted(map(str, success.open_months))),
                    _amounts(success.restated),
                    _amounts(success.unattributed),
                    json.dumps({name: [str(it.month), text(it.rate)] for name, it in sorted(success.rates.items())}),
                    json.dumps(dict(success.notes)),
                    source,
                ),
            )
        keep_reserve(self.path.parent)

    def backfilled(self, source: str, rows: int) -> None:
        """Remember how many rows a source has after a back-fill; everything else is the regular polls' to say."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO sources (source) VALUES (?)", (source,))
            self._db.execute("UPDATE sources SET rows = ? WHERE source = ?", (rows, source))

    def history_read(self, source: str, asked_as: str) -> None:
        """Remember that all the history of a source has been read, for the question with this fingerprint."""
        with self._writing():
            self._db.execute("UPDATE sources SET history_as = ? WHERE source = ?", (asked_as, source))

    def ask_again(self, source: str) -> None:
        """Let a source be due now, and be read whole: what it had stored was lost."""
        with self._writing():
            self._db.execute(
                "UPDATE sources SET next_due = NULL, asked_as = NULL, stored_as = NULL, history_as = NULL"
                " WHERE source = ?",
                (source,),
            )

    def forget(self, source: str) -> None:
        """Forget all that is remembered of a source."""
        with self._writing():
            for table in ("sources", "counters", "shown", "pages", "vintages", "answers", "paces", "backfills"):
                self._db.execute(f"DELETE FROM {table} WHERE source = ?", (source,))
            self._db.execute("DELETE FROM memory WHERE kind = 'anomalies' AND name = ?", (source,))

    def check(self) -> list[str]:
        """What SQLite finds wrong with the file, a sentence each."""
        return [str(row[0]) for row in self._read("PRAGMA integrity_check") if row[0] != "ok"]

    def copy_to(self, path: Path) -> None:
        """A copy of the file as it is now, taken while others may go on writing."""
        try:
            with closing(sqlite3.connect(path)) as copy:
                self._db.backup(copy)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be written: {error}") from error

    def fail(self, source: str, failure: Failure) -> None:
        """Remember that the poll of a source failed, and why."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO sources (source) VALUES (?)", (source,))
            self._db.execute(
                "UPDATE sources SET attempt_pid = NULL, next_due = ?, failed_reason = ?, failed_message = ?,"
                " failed_hint = ?, failures_in_row = failures_in_row + 1, poll_seconds = coalesce(?, poll_seconds)"
                " WHERE source = ?",
                (
                    failure.next_due.isoformat(),
                    failure.reason,
                    failure.message,
                    failure.hint,
                    failure.seconds,
                    source,
                ),
            )
            self._add("cloudspend_source_poll_failures_total", source, failure.reason, Decimal(1))

    def count(self, name: str, source: str = "", label: str = "", amount: Decimal = Decimal(1)) -> None:
        """Add to a count."""
        with self._writing():
            self._add(name, source, label, amount)

    def name_accounts(self, names: Mapping[tuple[str, str], str]) -> None:
        """Remember the names of accounts, keyed by (provider, account)."""
        with self._writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", [(*key, name) for key, name in names.items()]
            )

    def shown(self, source: str) -> frozenset[Line]:
        """The lines of a source that were last shown by name; empty while nothing was folded."""
        rows = self._read("SELECT provider, account, service, region FROM shown WHERE source = ?", source)
        return frozenset((str(a), str(b), str(c), str(d)) for a, b, c, d in rows)

    def show(self, source: str, lines: Collection[Line], folded: int) -> None:
        """Remember which lines of a source are shown by name, and how many are folded; all lines where none is."""
        with self._writing():
            self._db.execute("DELETE FROM shown WHERE source = ?", (source,))
            if folded:
                self._db.executemany("INSERT INTO shown VALUES (?, ?, ?, ?, ?)", [(source, *line) for line in lines])
            self._db.execute("UPDATE sources SET folded = ? WHERE source = ?", (folded, source))

    def vintages(self, source: str) -> list[Vintage]:
        """What polls have seen of the recent days of a source."""
        rows = self._read("SELECT day, currency, seen, billed FROM vintages WHERE source = ? ORDER BY seen", source)
        return [
            Vintage(date.fromisoformat(day), currency, datetime.fromisoformat(seen), Decimal(billed))
            for day, currency, seen, billed in rows
        ]

    def keep_vintages(self, source: str, vintages: Collection[Vintage], since: date, observed: float | None) -> None:
        """Add what a poll saw, drop days before `since`, and remember for how many seconds days keep moving."""
        with self._writing():
            rows = [(source, v.day.isoformat(), v.currency, v.seen.isoformat(), text(v.billed)) for v in vintages]
            self._db.executemany("INSERT OR REPLACE INTO vintages VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("DELETE FROM vintages WHERE source = ? AND day < ?", (source, since.isoformat()))
            self._db.execute("UPDATE sources SET observed_settling = ? WHERE source = ?", (observed, source))

    def remembered(self, kind: str) -> dict[str, str]:
        """What judgements of a kind said last: name → body, as they wrote it."""
        return {row["name"]: row["body"] for row in self._read("SELECT name, body FROM memory WHERE kind = ?", kind)}

    def remember(
        self, kind: str, bodies: Mapping[str, str], counter: str = "", counts: Mapping[str, int] | None = None
    ) -> None:
        """Remember these instead of all that was of this kind, and add to a counter what is new, both or neither.

        `counts`: label of the counter → how many.
        """
        with self._writing():
            self._db.execute("DELETE FROM memory WHERE kind = ?", (kind,))
            rows = [(kind, name, body) for name, body in sorted(bodies.items())]
            self._db.executemany("INSERT INTO memory VALUES (?, ?, ?)", rows)
            for label, count in (counts or {}).items():
                self._add(counter, "", label, Decimal(count))

    def page(self, key: str, now: datetime) -> bytes | None:
        """A page that is still fresh, or None."""
        rows = self._read("SELECT body FROM pages WHERE key = ? AND fresh_until > ?", key, now.isoformat())
        return zlib.decompress(rows[0]["body"]) if rows else None

    def keep_page(self, key: str, source: str, fresh_until: datetime, body: bytes) -> None:
        """Keep a page. It is on the disk when this returns."""
        packed = zlib.compress(body, 1)  # half the time of more, and pages do not stay long
        with self._writing():
            row = (key, source, fresh_until.isoformat(), packed)
            self._db.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)", row)

    def drop_pages(self, source: str | None = None, stale_at: datetime | None = None) -> int:
        """Drop pages: of one source or all, only those no longer fresh at `stale_at` or all. How many there were."""
        conditions, parameters = ["true"], []
        if source is not None:
            conditions.append("source = ?")
            parameters.append(source)
        if stale_at is not None:
            conditions.append("fresh_until <= ?")
            parameters.append(stale_at.isoformat())
        with self._writing():
            return self._db.execute(f"DELETE FROM pages WHERE {' AND '.join(conditions)}", parameters).rowcount

    def _add(self, name: str, source: str, label: str, amount: Decimal) -> None:
        found = self._db.execute(
            "SELECT value FROM counters WHERE name = ? AND source = ? AND label = ?", (name, source, label)
        ).fetchone()
        total = MONEY.add(Decimal(found[0]) if found else Decimal(0), amount)
        self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?)", (name, source, label, text(total)))

    def _read(self, sql: str, *parameters: str) -> list[sqlite3.Row]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be read: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; StoreError where it cannot be written."""
        use_reserve(self.path.parent)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk rolls back by itself, most of the time
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(refused(self.path, str(error))) from error

    def _migrate(self) -> None:
        if self._schema() == len(MIGRATIONS):
            return
        with self._writing():  # another process may have come first, so look again inside
            applied = self._schema()
            if applied > len(MIGRATIONS):
                raise StoreError(f"{self.path}: made by a newer version (schema {applied}). hint: upgrade cloudspend")
            for script in MIGRATIONS[applied:]:
                for statement in script.split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _schema(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])


def _source(row: sqlite3.Row) -> SourceState:
    amounts = {
        column: {currency: Decimal(amount) for currency, amount in json.loads(row[column]).items()}
        for column in ("restated", "unattributed")
    }
    return SourceState(
        source=row["source"],
        next_due=_instant(row["next_due"]),
        attempt_pid=row["attempt_pid"],
        asked_as=row["asked_as"],
        stored_as=row["stored_as"],
        history_as=row["history_as"],
        last_attempt=_instant(row["last_attempt"]),
        last_success=_instant(row["last_success"]),
        failed_reason=row["failed_reason"],
        failed_message=row["failed_message"],
        failed_hint=row["failed_hint"],
        failures_in_row=row["failures_in_row"],
        poll_seconds=row["poll_seconds"],
        rows=row["rows"],
        folded=row["folded"],
        observed_settling=row["observed_settling"],
        estimated=frozenset(map(date.fromisoformat, json.loads(row["estimated"]))),
        open_months=frozenset(map(Month.parse, json.loads(row["open_months"]))) if row["open_months"] else None,
        rates={
            currency: BilledRate(Month.parse(month), Decimal(rate))
            for currency, (month, rate) in json.loads(row["rates"]).items()
        },
        notes=json.loads(row["notes"]),
        **amounts,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _amounts(amounts: Mapping[str, Decimal]) -> str:
    return json.dumps({currency: text(amount) for currency, amount in sorted(amounts.items())})
