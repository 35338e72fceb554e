"""One file of a FOCUS bill: its header read, its columns named, and the SQL that reads its rows.

CSV is UTF-8 with or without BOM, with commas, or with semicolons where the header has them. A row may end in fields
that are empty and that the header does not have, or lack some at its end that no bill is made of.
"""

from __future__ import annotations

import csv
import glob
import gzip
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from exporter.costs import engine
from exporter.costs.engine import identifier, literal
from exporter.errors import BadData, StoreError
from exporter.providers import focus_names as names

SUFFIXES = (".csv", ".csv.gz", ".parquet")

_SPARE = 8
"""Fields past the header that a CSV row is read with, so that empty ones can be told from others."""
_NEVER = "\\x01"
"""What stands for null in a CSV: nothing, so that a field that is absent can be told from one that is empty."""


class Reading(Enum):
    """How DuckDB reads the rows of a CSV, from the usual to the rare. Each finds a quote that never ends."""

    PADDED = "null_padding = true"
    """Rows may be uneven; cannot read line ends inside of quotes."""
    STRICT = "null_padding = false"
    """Line ends inside of quotes; all rows as wide as the header."""
    CHECKED = "null_padding = true, parallel = false"
    """Both. Drops a row with a quote that never ends in silence, so Python must have read the file first."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a bill."""

    path: Path
    name: str
    """What people call it: its path, or its address in object storage."""
    columns: dict[str, str]
    """FOCUS name → SQL of the column, for the columns that say anything to us."""
    types: dict[str, str]
    """FOCUS name → SQL type; text for CSV."""
    header: tuple[str, ...]
    version: str
    spelling: str = ""
    delimiter: str = ","
    place: dict[str, int] = field(default_factory=dict)
    """FOCUS name → where its column stands in a CSV."""
    reading: Reading = Reading.PADDED
    more: tuple[Path, ...] = ()
    """Further files of just this form, read with it."""

    @property
    def parquet(self) -> bool:
        """Parquet, else CSV."""
        return self.path.name.endswith(".parquet")

    def scan(self, *, numbered: bool = False) -> str:
        """The SQL that reads it; `numbered` adds `file_row_number`, from 0, to a Parquet file."""
        name = f"[{', '.join(map(_file, (self.path, *self.more)))}]"
        if self.parquet:
            return f"read_parquet({name}, hive_partitioning = false, file_row_number = {str(numbered).lower()})"
        spare = 0 if self.reading is Reading.STRICT else _SPARE
        columns = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(self.header) + spare))
        return (
            f"read_csv({name}, auto_detect = false, hive_partitioning = false, header = true,"
            f" delim = '{self.delimiter}', quote = '\"',"
            f" escape = '\"', strict_mode = true, nullstr = '{_NEVER}', {self.reading.value}, columns = {{{columns}}})"
        )

    def called(self, column: str) -> str:
        """What a person calls a column of ours: its name in the file, where that is another one."""
        return column

    def uneven(self) -> str:
        """SQL: whether a row has more or fewer fields than the header."""
        width = len(self.header)
        return "false" if self._even else f"(c{width} IS NOT NULL OR c{width - 1} IS NULL)"

    def torn(self, *, without: str = "") -> str:
        """SQL: whether that can not be tolerated: text past the header, or no field for a column that we read.

        `without` is a column that nobody asked for.
        """
        if self._even:
            return "false"
        spare = [f"c{len(self.header) + i}" for i in range(_SPARE)]
        last = max(at for name, at in self.place.items() if name not in (without, names.USD))
        return f"((c{last} IS NULL) OR ({spare[0]} IS NOT NULL AND concat({', '.join(spare)}) <> ''))"

    @property
    def _even(self) -> bool:
        """Whether its rows can have no other number of fields than the header."""
        return self.parquet or self.reading is Reading.STRICT


def opened(path: Path, name: str | None = None) -> Shard:
    """A file with its header read. BadData where it cannot be a bill."""
    name = name or str(path)
    header, types, delimiter = columns(path, name)
    read = names.read(header)
    lacking = names.missing(read.columns)
    if lacking:
        raise BadData(
            f"{name}: row 1: no column {lacking}",
            hint="a FOCUS bill has a header with at least " + ", ".join((*names.REQUIRED, "ProviderName")),
        )
    parquet = path.name.endswith(".parquet")
    place = {} if parquet else {each: header.index(given) for each, given in read.columns.items()}
    return Shard(
        path=path,
        name=name,
        columns={each: identifier(given) if parquet else f"c{place[each]}" for each, given in read.columns.items()},
        types={each: types[given] for each, given in read.columns.items()},
        header=header,
        version=read.version,
        spelling=read.spelling,
        delimiter=delimiter,
        place=place,
    )


def columns(path: Path, name: str) -> tuple[tuple[str, ...], dict[str, str], str]:
    """The columns of a file in order, their SQL types, and what stands between them in a CSV."""
    if path.name.endswith(".parquet"):
        types = _parquet_columns(path, name)
        return tuple(types), types, ","
    header, delimiter = _csv_header(path, name)
    return header, dict.fromkeys(header, "VARCHAR"), delimiter


def records(path: Path, name: str, delimiter: str) -> Generator[list[str]]:
    """The records of a CSV file, the header first. BadData where it cannot be read as text."""
    try:
        opening = gzip.open if path.name.endswith(".gz") else open
        with opening(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file, delimiter=delimiter, strict=True)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(
            f"{name}: cannot be read: {error}", hint="a CSV bill is UTF-8, and gzip when it ends in .gz"
        ) from error


def first_line(error: Exception | None) -> str:
    """What DuckDB said, without the statement that follows."""
    return str(error).partition("\n")[0].removeprefix("query failed: ")


def _file(path: Path) -> str:
    """A file as an SQL literal; `[1]` in its name is a name, not a pattern."""
    return literal(glob.escape(str(path)))


def _parquet_columns(path: Path, name: str) -> dict[str, str]:
    try:
        found = engine.run(f"DESCRIBE SELECT * FROM read_parquet({_file(path)}, hive_partitioning = false)")
    except StoreError as error:
        raise BadData(f"{name}: not a Parquet file: {first_line(error)}") from error
    return {column: type_ for column, type_, *_ in found}


def _csv_header(path: Path, name: str) -> tuple[tuple[str, ...], str]:
    """Its column names, and what stands between them."""
    _refuse_utf16(path, name)
    header: list[str] | None = None
    delimiter = ","
    for delimiter in (",", ";"):
        with closing(records(path, name, delimiter)) as lines:
            header = [column.strip() for column in next(lines, [])]
        # A header of semicolons is one field of many names when it is split at commas.
        if len(header) > 1 or ";" not in "".join(header):
            break
    if not header or header == [""]:
        raise BadData(f"{name}: row 1: the file is empty", hint="even a bill without charges has a header")
    doubled = next((column for i, column in enumerate(header) if column and column in header[:i]), None)
    if doubled is not None:
        raise BadData(f"{name}: row 1: column {doubled!r} stands there twice")
    return tuple(header), delimiter


def _refuse_utf16(path: Path, name: str) -> None:
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            start = file.read(4)
    except (OSError, EOFError) as error:
        raise BadData(
            f"{name}: cannot be read: {error}", hint="a CSV bill is UTF-8, and gzip when it ends in .gz"
        ) from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise BadData(f"{name}: is UTF-16, not UTF-8", hint=f"iconv -f UTF-16 -t UTF-8 {path.name.removesuffix('.gz')}")
