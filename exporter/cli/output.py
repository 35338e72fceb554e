"""Printing records: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum


class Format(StrEnum):
    """The forms that every command can print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Record = Mapping[str, str | int | None]


def rendered(
    records: Sequence[Record],
    columns: Sequence[str],
    form: Format,
    *,
    title: str = "",
    totals: Sequence[Record] = (),
    right: Sequence[str] = (),
) -> str:
    """The records in one of the forms. Title and totals are a table's only; `right` columns align to the right."""
    if form is Format.JSON:
        return json.dumps([dict(record) for record in records], indent=2, ensure_ascii=False)
    if form is Format.CSV:
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return out.getvalue().rstrip("\n")
    return _table(records, columns, title, totals, right)


def _table(
    records: Sequence[Record], columns: Sequence[str], title: str, totals: Sequence[Record], right: Sequence[str]
) -> str:
    cells = [[_cell(record.get(column, "")) for column in columns] for record in (*records, *totals)]
    head = [column.replace("_", " ") for column in columns]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        aligned = (
            text.rjust(width) if column in right else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        return "  ".join(aligned).rstrip()

    rule = "  ".join("-" * width for width in widths)
    body = [line(row) for row in cells[: len(records)]]
    foot = [rule, *(line(row) for row in cells[len(records) :])] if totals else []
    return "\n".join([*([title, ""] if title else []), line(head), rule, *body, *foot])


def _cell(value: str | int | None) -> str:
    return "–" if value is None else str(value)
