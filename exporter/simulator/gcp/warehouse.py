"""BigQuery's half that computes: tables with partitions, SQL by way of DuckDB, and what a scan costs.

The statement that arrives is parsed by sqlglot as BigQuery reads it and run by DuckDB. A scan is as large as the
fields that it names, in the partitions that its conditions on `_PARTITIONTIME` leave
(https://cloud.google.com/bigquery/docs/estimate-costs: strings 2 bytes and their UTF-8, numbers and times 8,
NUMERIC 16).
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from exporter.simulator.gcp.export import Field, Row

LEAST = 10 * 2**20
"""Bytes billed at least, for each table that a query names."""
MEBIBYTE = 2**20

_PARTITION = "_PARTITIONTIME"
_TYPES = {
    "STRING": "VARCHAR",
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMPTZ",
    "NUMERIC": "DECIMAL(38,9)",
}
_SIZES = {"FLOAT": 8, "TIMESTAMP": 8, "NUMERIC": 16, "BOOLEAN": 1}
_NO_FILTER = (
    "Cannot query over table '{}' without a filter over column(s) '_PARTITION_LOAD_TIME', '_PARTITIONDATE', "
    "'_PARTITIONTIME' that can be used for partition elimination"
)


class Trouble(Exception):
    """What BigQuery refuses: the HTTP status, its own reason word, its sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True, slots=True)
class Stored:
    """One row, the partition it lies in, and from when to when it can be seen."""

    row: Row
    partition: datetime
    shown_from: datetime
    shown_until: datetime | None = None


@dataclass(slots=True)
class Table:
    """One table, and how many bytes of which field lie in which partition."""

    name: str
    fields: list[Field]
    needs_filter: bool
    rows: Callable[[], Iterable[Stored]] | None
    """What it holds, until it is asked for the first time."""
    sizes: dict[datetime, dict[str, int]] = field(default_factory=dict)
    view: bool = False
    """Described as a view: without partitions."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query came to. Cells are as DuckDB gives them."""

    columns: list[Field] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    processed: int = 0
    billed: int = 0


class Warehouse:
    """All tables of a cloud, by `project.dataset.table`."""

    def __init__(self, scale: int = 1) -> None:
        self.scale = scale
        """How many times larger than it is every scan is billed: a small estate that costs like a big one."""
        self.tables: dict[str, Table] = {}
        self._lock = threading.Lock()
        offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        self._connection = duckdb.connect(":memory:", config={**offline, "threads": 1})
        self._connection.execute("LOAD icu; LOAD json; SET TimeZone = 'UTC'")

    def create(
        self, name: str, fields: list[Field], rows: Callable[[], Iterable[Stored]], *, needs_filter: bool = False
    ) -> None:
        """Make a table. Its rows are loaded when the first query names it."""
        self.tables[name] = Table(f"t{len(self.tables)}", fields, needs_filter, rows)

    def load(self, name: str) -> None:
        """Fill a table now."""
        with self._lock:
            self._load(self.tables[name])

    def _load(self, table: Table) -> None:
        """Fill a table. Rows travel as JSON: DuckDB takes a dict of `key` and `value` for a map."""
        if table.rows is None:
            return
        columns = {each["name"]: _duck(each) for each in table.fields}
        columns |= dict.fromkeys((_PARTITION, "_shown_from", "_shown_until"), "TIMESTAMPTZ")
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            for stored in table.rows():
                row = stored.row | {_PARTITION: stored.partition, "_shown_from": stored.shown_from}
                file.write(json.dumps(row | {"_shown_until": stored.shown_until}, default=str) + "\n")
                sizes = table.sizes.setdefault(stored.partition, defaultdict(int))
                for each in table.fields:
                    _measure(each, stored.row.get(each["name"]), each["name"].lower(), sizes)
            file.flush()
            types = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
            self._connection.execute(
                f"CREATE TABLE {table.name} AS SELECT * FROM"
                f" read_json('{file.name}', format='newline_delimited', columns={{{types}}})"
            )
        table.rows = None

    def query(
        self, sql: str, parameters: Mapping[str, Any], now: datetime, most: int | None = None, *, dry: bool = False
    ) -> Result:
        """Run a statement, or only price it. Trouble where BigQuery would refuse."""
        tree = _parsed(sql)
        with self._lock:
            named = self._bind(tree, now)
            processed = sum(self._scanned(tree, table, parameters, now) for table in named) * self.scale
            billed = max(-(-processed // MEBIBYTE) * MEBIBYTE, LEAST * max(len(named), 1))
            if dry:
                return Result(processed=processed)
            if most is not None and billed > most:
                needed = f"Query exceeded limit for bytes billed: {most}. {billed} or higher required."
                raise Trouble(400, "bytesBilledLimitExceeded", needed)
            found = self._run(tree.sql("duckdb"), parameters)
            columns = [_described(name, str(type_)) for name, type_, *_ in found.description]
            return Result(columns, found.fetchall(), processed, billed)

    def _run(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        try:
            return self._connection.execute(sql, used)
        except duckdb.Error as error:
            raise Trouble(400, "invalidQuery", f"{type(error).__name__}: {error}") from error

    def _bind(self, tree: exp.Query, now: datetime) -> list[Table]:
        """Put what can be seen of each table in place of its name; BigQuery's own ways into DuckDB's."""
        named = []
        common = {each.alias for each in tree.find_all(exp.CTE)}
        for found in list(tree.find_all(exp.Table)):
            if isinstance(found.this, exp.Func) or (not found.db and found.name in common):
                continue
            name = ".".join(part.name for part in found.parts)
            table = self.tables.get(name)
            if table is None:
                raise Trouble(404, "notFound", f"Not found: Table {name.replace('.', ':', 1)} was not found")
            self._load(table)
            named.append(table)
            seen = f"(_shown_until IS NULL OR _shown_until > '{now.isoformat()}')"
            visible = f"SELECT * FROM {table.name} WHERE _shown_from <= '{now.isoformat()}' AND {seen}"
            found.replace(exp.Subquery(this=sqlglot.parse_one(visible, read="duckdb"), alias=f"v_{table.name}"))
        for cast in tree.find_all(exp.Cast):
            if cast.to.is_type("bigdecimal"):
                cast.set("to", exp.DataType.build("DECIMAL(38, 24)"))
        return named

    def _scanned(self, tree: exp.Query, table: Table, parameters: Mapping[str, Any], now: datetime) -> int:
        conditions = [part for part in _conditions(tree) if _columns(part) == {_PARTITION}]
        if table.needs_filter and not conditions:
            raise Trouble(400, "invalidQuery", _NO_FILTER.format(table.name))
        where = " AND ".join(part.sql("duckdb") for part in conditions) or "true"
        days = [day for day in table.sizes if day <= now]
        kept = self._run(
            f"SELECT {_PARTITION} FROM (SELECT unnest($partitions) AS {_PARTITION}) WHERE {where}",
            {**parameters, "partitions": days},
        ).fetchall()
        fields = _fields(tree)
        return sum(
            size
            for (day,) in kept
            for name, size in table.sizes[day.astimezone(UTC)].items()
            if any(name == named or name.startswith(f"{named}.") for named in fields)
        )


def cell(value: Any, column: Field) -> dict[str, Any]:
    """A value as the API writes it: all but null is text, times are microseconds."""
    if value is None:
        return {"v": None}
    if column["type"] == "TIMESTAMP":
        return {"v": str(int(value.timestamp()) * 10**6 + value.microsecond)}
    if isinstance(value, Decimal):
        return {"v": format(value.normalize(), "f")}
    if isinstance(value, bool):
        return {"v": str(value).lower()}
    return {"v": repr(value) if isinstance(value, float) else str(value)}


def _parsed(sql: str) -> exp.Query:
    try:
        [tree] = sqlglot.parse(sql, read="bigquery")
    except (sqlglot.errors.ParseError, ValueError) as error:
        raise Trouble(400, "invalidQuery", f"Syntax error: {error}") from error
    if not isinstance(tree, exp.Query):
        raise Trouble(400, "invalidQuery", "only a SELECT statement is answered here")
    return tree


def _conditions(tree: exp.Query) -> list[Any]:
    found: list[Any] = []
    for where in tree.find_all(exp.Where):
        found += where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return found


def _columns(part: Any) -> set[str]:
    return {column.name.upper() for column in part.find_all(exp.Column)}


def _fields(tree: exp.Query) -> set[str]:
    """Every field that a statement names, as a path; those of an unnested array too."""
    arrays = {}
    for each in tree.find_all(exp.Unnest):
        alias = each.args.get("alias")
        names = [*(alias.columns if alias else ()), *([alias.this] if alias and alias.this else ())]
        for name in names:
            arrays[name.name.lower()] = _path(each.expressions[0])
    found = set()
    for column in tree.find_all(exp.Column):
        if isinstance(column.parent, (exp.Unnest, exp.Dot)):
            continue
        head, _, rest = _path(column).partition(".")
        found.add(f"{arrays[head]}.{rest}" if head in arrays else _path(column))
    return found


def _path(column: Any) -> str:
    return ".".join(part.name.lower() for part in column.parts)


def _duck(column: Field) -> str:
    if column["type"] == "RECORD":
        inner = ", ".join(f'"{each["name"]}" {_duck(each)}' for each in column["fields"])
        type_ = f"STRUCT({inner})"
    else:
        type_ = _TYPES[column["type"]]
    return f"{type_}[]" if column["mode"] == "REPEATED" else type_


def _described(name: str, type_: str) -> Field:
    types = {"VARCHAR": "STRING", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}
    kind = "BIGNUMERIC" if type_.startswith("DECIMAL") else types.get(type_, "INTEGER")
    return {"name": name, "type": kind, "mode": "NULLABLE"}


def _measure(column: Field, value: Any, path: str, sizes: dict[str, int]) -> None:
    if value is None:
        return
    values: Sequence[Any] = value if column["mode"] == "REPEATED" else [value]
    for each in values:
        if column["type"] == "RECORD":
            for inner in column["fields"]:
                _measure(inner, each.get(inner["name"]), f"{path}.{inner['name'].lower()}", sizes)
        else:
            sizes[path] += _SIZES.get(column["type"]) or 2 + len(str(each).encode())
