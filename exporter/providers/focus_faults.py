"""What is wrong with a bill that cannot be: the first file, row and column, for the person who can mend it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import closing

from exporter.costs import engine
from exporter.errors import BadData, SourceError, StoreError
from exporter.periods import Window
from exporter.providers.focus_columns import FIELDS, Layout
from exporter.providers.focus_files import Shard, first_line, records

_TAIL = 1 << 16


def refuse(layouts: Sequence[Layout], window: Window, error: StoreError | None = None) -> SourceError:
    """The error that names the first file, row and column that cannot be; `error` is what DuckDB said, if it did."""
    for layout in layouts:
        shard = layout.shard
        try:
            wrong = engine.run(layout.first_wrong(window))
        except StoreError as failure:
            return _ragged(shard, without="" if layout.tags else "Tags") or BadData(
                f"{shard.name}: cannot be read: {first_line(failure)}"
            )
        if wrong:
            column, value, row = wrong[0]
            if column == FIELDS:
                ragged = _ragged(shard, without="" if layout.tags else "Tags")
                return ragged or BadData(f"{shard.name}: a row does not fit its header")
            where = f"row {row + 1}" if row is not None else _row_of(shard, column, value)
            said = f"{value!r} {layout.complaint(column)}" if value is not None else "is empty"
            return BadData(f"{shard.name}: {where}, column {shard.called(column)}: {said}")
    paths = ", ".join(layout.shard.name for layout in layouts[:3])
    if error is not None and "Overflow" in str(error):
        return BadData(f"{paths}: sums of its amounts do not fit", hint="a stored amount stays below 10^14")
    return BadData(f"{paths}: cannot be read: {first_line(error) if error else 'for no reason found'}")


def refuse_ragged(layout: Layout) -> None:
    """BadData where a row of a CSV does not fit its header, or the file is no CSV. Reads all of it, in Python."""
    ragged = None if layout.shard.parquet else _ragged(layout.shard, without="" if layout.tags else "Tags")
    if ragged:
        raise ragged


def refuse_cut_off(shard: Shard) -> None:
    """BadData where a file ends in the middle of a row. Its last field may be half an amount."""
    if shard.parquet or shard.path.name.endswith(".gz"):  # a gzip file that is cut off says so itself
        return
    with shard.path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    last = tail.rpartition(b"\n")[2]
    if last:
        fields = next(csv.reader([last.decode("utf-8", "replace")], delimiter=shard.delimiter), [])
        if len(fields) < len(shard.header):
            raise BadData(
                f"{shard.name}: ends in the middle of a row, after {len(fields)} fields of {len(shard.header)}",
                hint="the file is still being written, or was cut off on its way",
            )


def _ragged(shard: Shard, *, without: str) -> BadData | None:
    """The first row that has text past the header, or ends before a column that we read."""
    width = len(shard.header)
    needed = 1 + max(at for name, at in shard.place.items() if name != without) if shard.place else 0
    with closing(records(shard.path, shard.name, shard.delimiter)) as lines:
        for number, line in enumerate(lines, start=1):
            if line and (len(line) < needed or any(line[width:])):
                return BadData(f"{shard.name}: row {number}: {len(line)} fields under a header of {width}")
    return None


def _row_of(shard: Shard, column: str, value: str | None) -> str:
    """`row 17`, counted with the header as row 1, of the first cell with this value."""
    place = shard.place[column]
    with closing(records(shard.path, shard.name, shard.delimiter)) as lines:
        for number, line in enumerate(lines, start=1):
            cell = line[place].strip() if len(line) > place else ""
            if number > 1 and line and ((cell.lower() in ("", "null")) if value is None else cell == value):
                return f"row {number}"
    return "a row"
