"""The DuckDB connection under the cost tables: one per process, a cursor per query, memory and threads capped.

DuckDB is imported at first use, so that a process which never asks (the daemon, the checks) never pays for it.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.errors import StoreError

if TYPE_CHECKING:
    import duckdb

# Reentrant: a collection of garbage inside of it may drop a kept table, which runs a statement.
_LOCK = threading.RLock()
_NUMBERS = itertools.count()
_SETTINGS: dict[str, Any] = {"memory_limit": "1GB", "threads": 2}
_connection: duckdb.DuckDBPyConnection | None = None


def configure(*, memory: str | None = None, threads: int | None = None, spill: Path | None = None) -> None:
    """Set the caps of this process before its first query; later calls change nothing."""
    if memory:
        _SETTINGS["memory_limit"] = memory
    if threads:
        _SETTINGS["threads"] = threads
    if spill:
        _SETTINGS["temp_directory"] = str(spill)


def cursor() -> duckdb.DuckDBPyConnection:
    """A cursor on this process' in-memory database. Cursors may be used in different threads."""
    global _connection
    import duckdb

    with _LOCK:
        if _connection is None:
            # No extension is ever downloaded: sites without a way out get the same behaviour as all others.
            offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
            _connection = duckdb.connect(":memory:", config={**offline, **_SETTINGS})
            # A cast to TIMESTAMP drops an offset such as +08:00 in silence; through TIMESTAMPTZ it counts.
            _connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'")
        return _connection.cursor()


def run(sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement and fetch all of its rows. StoreError for what DuckDB refuses."""
    import duckdb

    try:
        return cursor().execute(sql, dict(parameters or {})).fetchall()
    except duckdb.Error as error:
        raise _refused(error) from error


def stream(sql: str, *, size: int) -> Iterator[list[tuple[Any, ...]]]:
    """Run one statement and hand out its rows, at most `size` at a time. StoreError for what DuckDB refuses."""
    import duckdb

    try:
        found = cursor().execute(sql)
        while rows := found.fetchmany(size):
            yield rows
    except duckdb.Error as error:
        raise _refused(error) from error


class Kept:
    """A table held in memory for as long as somebody holds this handle."""

    def __init__(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        self.name = f"kept_{next(_NUMBERS)}"
        run(f"CREATE TABLE {self.name} AS {sql}", parameters)
        weakref.finalize(self, run, f"DROP TABLE IF EXISTS {self.name}").atexit = False


def _refused(error: Exception) -> StoreError:
    first_line, _, _ = str(error).partition("\n")  # the rest quotes the statement
    return StoreError(f"query failed: {first_line}")


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
