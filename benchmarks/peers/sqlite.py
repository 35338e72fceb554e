"""A SQLite file as a store of charges: one row a day and line, clustered by source and day as our questions are.

Amounts are whole ten-billionths, since it has no decimals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

_SCHEMA = """
    CREATE TABLE charges (
        source TEXT, day TEXT, account TEXT, service TEXT, region TEXT,
        billed INTEGER, effective INTEGER, list INTEGER, contracted INTEGER,
        PRIMARY KEY (source, day, account, service, region)
    ) WITHOUT ROWID
"""

Row = tuple[str, str, str, str, str, int, int, int, int]


class Charges:
    """The file, open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_SCHEMA}")

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    def replace(self, source: str, first: str, until: str, rows: Iterable[Row]) -> None:
        """Put rows in the place of everything that the source had from `first` to before `until`."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM charges WHERE source = ? AND day >= ? AND day < ?", (source, first, until))
        self._db.executemany("INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def by_service(self, first: str, until: str) -> list[tuple[str, int]]:
        """Service → billed, from `first` to before `until`."""
        asked = "SELECT service, sum(billed) FROM charges WHERE source = 'fleet' AND day >= ? AND day < ? GROUP BY 1"
        return self._db.execute(f"{asked} ORDER BY 1", (first, until)).fetchall()

    def size(self) -> int:
        """Bytes of the file, everything written."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.stat().st_size
