"""The half of the simulated Athena that computes: one ledger as a table, SQL by way of DuckDB, bytes read.

The statement that arrives is parsed by sqlglot as Athena reads it and run by DuckDB. A scan is as large as the columns
that it names, in the partitions that its conditions on their keys leave.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from exporter.simulator.athena_lines import Layout
from exporter.simulator.ledger import Ledger

_TYPES = {
    "string": "VARCHAR",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "map<string,string>": "MAP(VARCHAR, VARCHAR)",
}
_FAILED = {
    duckdb.ConversionException: "INVALID_CAST_ARGUMENT",
    duckdb.BinderException: "COLUMN_NOT_FOUND",
    duckdb.CatalogException: "TABLE_NOT_FOUND",
}


class QueryFailed(Exception):
    """A query that ends badly, in Athena's words."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query came to; cells are texts, or None."""

    columns: tuple[str, ...]
    rows: list[tuple[str | None, ...]]
    scanned: int


class ExportTable:
    """The table of an export over a ledger."""

    def __init__(self, ledger: Ledger, name: str, layout: Layout, scale: int = 1) -> None:
        self.ledger = ledger
        self.layout = layout
        self.name = name
        """`database.table`."""
        self.scale = scale
        """How many times larger than it is every scan is: a small estate that costs like a big one."""
        self._lock = threading.Lock()
        self._connection = duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False})
        self._connection.execute("LOAD json")
        self._loaded = False
        self._sizes: dict[tuple[str, ...], dict[str, int]] = {}

    def query(self, sql: str, now: datetime) -> Result:
        """Run a statement over what the export holds at `now`. Raises QueryFailed."""
        try:
            [tree] = sqlglot.parse(sql, read="athena")
        except (sqlglot.errors.ParseError, ValueError) as error:
            raise QueryFailed(f"mismatched input: {error}") from error
        if not isinstance(tree, exp.Query):
            raise QueryFailed("only a SELECT statement is answered here")
        with self._lock:
            self._load()
            scanned = self._scanned(tree) * self.scale
            self._bind(tree, now)
            found = self._run(tree.sql("duckdb"))
            columns = tuple(name for name, *_ in found.description)
            return Result(columns, [tuple(map(_written, row)) for row in found.fetchall()], scanned)

    def _run(self, sql: str) -> Any:
        try:
            return self._connection.execute(sql)
        except duckdb.Error as error:
            code = next((word for kind, word in _FAILED.items() if isinstance(error, kind)), "GENERIC_USER_ERROR")
            raise QueryFailed(f"{code}: {error}") from error

    def _load(self) -> None:
        if self._loaded:
            return
        columns, keys = self.layout.columns, ", ".join(self.layout.partitions)
        types = {name: _TYPES[type_] for name, type_ in columns.items()} | dict.fromkeys(
            self.layout.partitions, "VARCHAR"
        )
        types |= dict.fromkeys(("_from", "_until", "_invoiced"), "TIMESTAMP")
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            for charge in self.ledger.charges:
                file.write(json.dumps(self.layout.line(charge, self.ledger), default=_instant) + "\n")
            file.flush()
            listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in types.items())
            self._connection.execute(
                "CREATE TABLE lines AS SELECT * FROM"
                f" read_json('{file.name}', format='newline_delimited', columns={{{listed}}})"
            )
        sizes = ", ".join(f"sum(coalesce(strlen(CAST({name} AS VARCHAR)), 0))" for name in columns)
        count = len(self.layout.partitions)
        for found in self._connection.execute(f"SELECT {keys}, {sizes} FROM lines GROUP BY {keys}").fetchall():
            self._sizes[found[:count]] = dict(zip(columns, map(int, found[count:]), strict=True))
        self._loaded = True

    def _bind(self, tree: exp.Query, now: datetime) -> None:
        """Put what the export holds by now in place of the table."""
        common = {each.alias for each in tree.find_all(exp.CTE)}
        seen = f"TIMESTAMP '{now:%Y-%m-%d %H:%M:%S}'"
        invoice, when = self.layout.invoice, self.layout.when
        dated = f"CASE WHEN _invoiced <= {seen} THEN {invoice} ELSE '' END AS {invoice}"
        visible = (
            f"SELECT * REPLACE ({dated}) FROM lines WHERE ({when} > {seen}) IS NOT TRUE AND _from <= {seen}"
            f" AND (_until IS NULL OR _until > {seen})"
        )
        for found in list(tree.find_all(exp.Table)):
            name = ".".join(part.name for part in found.parts)
            if name in common:
                continue
            if name != self.name:
                raise QueryFailed(f"TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.{name}' does not exist")
            found.replace(exp.Subquery(this=sqlglot.parse_one(visible, read="duckdb"), alias="export"))

    def _scanned(self, tree: exp.Query) -> int:
        named = {column.name for column in tree.find_all(exp.Column)}
        keys = set(self.layout.partitions)
        conditions = [part for part in _conditions(tree) if {each.name for each in part.find_all(exp.Column)} <= keys]
        where = " AND ".join(part.sql("duckdb") for part in conditions) or "true"
        kept = self._run(f"SELECT DISTINCT {', '.join(self.layout.partitions)} FROM lines WHERE {where}").fetchall()
        return sum(size for each in kept for name, size in self._sizes[each].items() if name in named)


def _conditions(tree: exp.Query) -> Iterator[Any]:
    for where in tree.find_all(exp.Where):
        yield from where.this.flatten() if isinstance(where.this, exp.And) else [where.this]


def _written(value: Any) -> str | None:
    return None if value is None else format(value, "f") if hasattr(value, "as_tuple") else str(value)


def _instant(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"
