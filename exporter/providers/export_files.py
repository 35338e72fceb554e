"""A native export read as if it were FOCUS: a file whose scan also yields FOCUS columns, made of its own by SQL.

All that the reader of FOCUS files does (defects, dates, exact amounts, grouping, naming what is wrong) is done to these
columns too. What a column of ours is made of is data of each cloud (`aws_export_columns`, `azure_export_columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.costs.engine import identifier
from exporter.errors import BadData
from exporter.providers.focus_files import Shard, columns


@dataclass(frozen=True, slots=True)
class Made:
    """One FOCUS column made of a native file's."""

    sql: str
    """Over the file's own columns."""
    type: str = "VARCHAR"
    of: str = ""
    """The native column that it is made of, for whoever must mend it."""


@dataclass(frozen=True, slots=True)
class NativeShard(Shard):
    """A file of a native export."""

    made: Mapping[str, Made] = field(default_factory=dict)
    where: str = "true"
    """Which rows count."""

    def scan(self, *, numbered: bool = False) -> str:
        """Its own columns, and those of FOCUS behind them."""
        return f"(SELECT *, {_listed(self.made)} FROM {Shard.scan(self, numbered=numbered)} WHERE {self.where})"

    def plain(self) -> str:
        """The SQL that reads its own columns alone."""
        return Shard.scan(self)

    def called(self, column: str) -> str:
        """The native name."""
        return self.made[column].of or column


class Native:
    """The columns of a native file, found by names that do not depend on its dialect."""

    def __init__(self, path: Path, name: str, canonical: Callable[[str], str]) -> None:
        self.path = path
        self.name = name
        self.header, given, self.delimiter = columns(path, name)
        parquet = path.name.endswith(".parquet")
        self.names: dict[str, str] = {}
        """Canonical name → the name in the file; the first where several have the same."""
        for column in self.header:
            self.names.setdefault(canonical(column), column)
        self._sql = {
            column: identifier(column) if parquet else f"c{place}" for place, column in enumerate(self.header) if column
        }
        self._types = given

    def first(self, candidates: Iterable[str]) -> str | None:
        """The first of these canonical names that the file has."""
        return next((name for name in candidates if name in self.names), None)

    def need(self, candidates: Sequence[str], hint: str, called: str = "") -> str:
        """The same; BadData where it has none of them, in which the first is `called` as the vendor does."""
        found = self.first(candidates)
        if found is None:
            raise BadData(f"{self.name}: row 1: no column {called or candidates[0]}", hint=hint)
        return found

    def cell(self, name: str) -> str:
        """SQL of a column as it stands there."""
        return self._sql[self.names[name]]

    def exact(self, column: str) -> str:
        """SQL of a column by its name in the file."""
        return self._sql[column]

    def type(self, name: str) -> str:
        """Its SQL type."""
        return self._types[self.names[name]]

    def plain(self, name: str) -> Made:
        """A column taken over as it stands."""
        return Made(self.cell(name), self.type(name), self.names[name])

    def shard(self, made: Mapping[str, Made], where: str = "true") -> NativeShard:
        """The file with FOCUS columns."""
        parquet = self.path.name.endswith(".parquet")
        place = {} if parquet else {each: self.header.index(m.of) for each, m in made.items() if m.of}
        return NativeShard(
            path=self.path,
            name=self.name,
            columns={each: identifier(_named(each)) for each in made},
            # Files whose types are alike are read by one scan; the last entry keeps other columns apart.
            types={**{each: m.type for each, m in made.items()}, "": f"{_listed(made)} WHERE {where}"},
            header=self.header,
            version="",
            delimiter=self.delimiter,
            place=place,
            made=made,
            where=where,
        )


def _listed(made: Mapping[str, Made]) -> str:
    return ", ".join(f"{each.sql} AS {identifier(_named(column))}" for column, each in made.items())


def _named(column: str) -> str:
    """No native column is called so."""
    return f"focus {column}"
