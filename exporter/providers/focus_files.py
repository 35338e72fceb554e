"""The files of a FOCUS bill: finding them, reading their headers, and naming the row that cannot be."""

from __future__ import annotations

import csv
import glob
import gzip
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.costs import engine
from exporter.errors import BadData, NotReady, SourceError, StoreError
from exporter.periods import Window

if TYPE_CHECKING:
    from exporter.providers.focus_columns import Layout

SUFFIXES = (".csv", ".csv.gz", ".parquet")

REQUIRED = ("BilledCost", "BillingCurrency", "BillingPeriodStart", "ChargeCategory", "ChargePeriodStart")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a bill: where it is, its columns with their types (text for CSV), its FOCUS version."""

    path: Path
    columns: dict[str, str]
    version: str

    @property
    def parquet(self) -> bool:
        """Parquet, else CSV."""
        return self.path.name.endswith(".parquet")

    def scan(self, *, numbered: bool = False) -> str:
        """The SQL that reads it; `numbered` adds `file_row_number`, from 0, to a Parquet file."""
        name = engine.literal(str(self.path))
        if self.parquet:
            return f"read_parquet({name}, hive_partitioning = false, file_row_number = {str(numbered).lower()})"
        columns = ", ".join(f"{engine.literal(column)}: 'VARCHAR'" for column in self.columns)
        return (
            f"read_csv({name}, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"',"
            f" strict_mode = true, columns = {{{columns}}})"
        )


def find(pattern: str) -> list[Shard]:
    """Every file that the pattern means, with its header read. NotReady where there is none."""
    place = Path(pattern)
    if place.is_dir():
        paths = sorted(path for path in place.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())
        what = f"no {', '.join(SUFFIXES)} file below {pattern}"
    else:
        paths = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file())
        what = f"no file {pattern}"
    if not paths:
        raise NotReady(what, hint="check `path`, and that the export has been delivered")
    strange = next((path for path in paths if not path.name.endswith(SUFFIXES)), None)
    if strange:
        raise BadData(f"{strange}: not a bill by its name", hint=f"files end in {', '.join(SUFFIXES)}")
    return [_shard(path) for path in paths]


def version(columns: dict[str, str]) -> str:
    """The FOCUS version that a header belongs to, by the columns that each version brought or took."""
    if "ServiceProviderName" in columns:
        return "1.3" if "ProviderName" in columns else "1.4"
    # Azure's 1.0 exports already carry BillingAccountType, so that column proves nothing by itself.
    if "PricingCurrency" in columns or "InvoiceId" in columns:
        return "1.2"
    if "SkuMeter" in columns or "ServiceSubcategory" in columns:
        return "1.1"
    return "1.0"


def refuse(layouts: list[Layout], window: Window, error: StoreError | None = None) -> SourceError:
    """The error that names the first file, row and column that cannot be; `error` is what DuckDB said, if it did."""
    for layout in layouts:
        if not layout.shard.parquet:
            ragged = _ragged(layout.shard)
            if ragged:
                return ragged
        try:
            wrong = engine.run(layout.first_wrong(window))
        except StoreError as failure:
            return BadData(f"{layout.shard.path}: cannot be read: {_first_line(failure)}")
        if wrong:
            column, value, row = wrong[0]
            where = f"row {row + 1}" if row is not None else _row_of(layout.shard, column, value)
            said = f"{value!r} {layout.complaint(column)}" if value is not None else "is empty"
            return BadData(f"{layout.shard.path}: {where}, column {column}: {said}")
    paths = ", ".join(str(layout.shard.path) for layout in layouts[:3])
    if error is not None and "Overflow" in str(error):
        return BadData(f"{paths}: sums of its amounts do not fit", hint="a stored amount stays below 10^14")
    return BadData(f"{paths}: cannot be read: {_first_line(error) if error else 'for no reason found'}")


def _shard(path: Path) -> Shard:
    columns = _parquet_columns(path) if path.name.endswith(".parquet") else _csv_columns(path)
    provider = "ServiceProviderName" if "ServiceProviderName" in columns else "ProviderName"
    missing = [name for name in (*REQUIRED, provider) if name not in columns]
    if missing:
        raise BadData(
            f"{path}: row 1: no column {missing[0]}",
            hint="a FOCUS bill has a header with at least " + ", ".join((*REQUIRED, "ProviderName")),
        )
    return Shard(path, columns, version(columns))


def _parquet_columns(path: Path) -> dict[str, str]:
    try:
        found = engine.run(
            f"DESCRIBE SELECT * FROM read_parquet({engine.literal(str(path))}, hive_partitioning = false)"
        )
    except StoreError as error:
        raise BadData(f"{path}: not a Parquet file: {_first_line(error)}") from error
    return {name: type_ for name, type_, *_ in found}


def _csv_columns(path: Path) -> dict[str, str]:
    with closing(_lines(path)) as lines:
        header = next(lines, None)
    if not header:
        raise BadData(f"{path}: row 1: the file is empty", hint="even a bill without charges has a header")
    doubled = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if doubled is not None:
        raise BadData(f"{path}: row 1: column {doubled!r} stands there twice")
    return dict.fromkeys(header, "VARCHAR")


def _lines(path: Path) -> Generator[list[str]]:
    """The records of a CSV file, the header first. BadData where it cannot be read as text."""
    try:
        opened = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(
            f"{path}: cannot be read: {error}", hint="a CSV bill is UTF-8, and gzip when it ends in .gz"
        ) from error


def _ragged(shard: Shard) -> BadData | None:
    """The first row that has more or fewer fields than the header."""
    width = len(shard.columns)
    with closing(_lines(shard.path)) as lines:
        for number, line in enumerate(lines, start=1):
            if len(line) != width and line:
                return BadData(f"{shard.path}: row {number}: {len(line)} fields under a header of {width}")
    return None


def _row_of(shard: Shard, column: str, value: str | None) -> str:
    """`row 17`, counted with the header as row 1, of the first cell with this value."""
    place = list(shard.columns).index(column)
    with closing(_lines(shard.path)) as lines:
        for number, line in enumerate(lines, start=1):
            cell = line[place].strip()
            if number > 1 and ((cell.lower() in ("", "null")) if value is None else cell == value):
                return f"row {number}"
    return "a row"


def _first_line(error: Exception | None) -> str:
    return str(error).partition("\n")[0].removeprefix("query failed: ")
