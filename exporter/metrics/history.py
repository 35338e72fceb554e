"""The settled days of the bill as `cloudspend_usage_cost`, and a record of what was ever said of each of them.

    history/source=demo/month=2024-09.parquet    line, day → the value last said of it, and when in the day it was said
    history/marks.json                           what the months were made of, and what was written where

A sample in Prometheus is never replaced: what was said stays. So a day is said at 12:00:00 UTC at first, and its n-th
restatement n seconds later, changed lines only; a line that vanished is said to be 0. Whoever reads the last sample of
a day reads the newest truth, and to say it all again, to an empty database or to a full one, never contradicts what
stands there: the same line and instant always have the same value.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from exporter.analysis.basis import Unknown
from exporter.analysis.folding import OTHER
from exporter.costs import Cost, CostTable, Line, dimension, engine
from exporter.costs.money import SQL_TYPE
from exporter.errors import StoreError
from exporter.metrics.catalog import CATALOG
from exporter.metrics.exposition import Labels, header
from exporter.periods import Month
from exporter.store.files import make_folder, storing, sync_file, sync_folder, write_durably

SPEC = CATALOG["cloudspend_usage_cost"]
NOON = 12 * 3600
"""Seconds of the day at which it is said first."""

_LINE = SPEC.labels[1:]  # the source is in the path
_KEYS = ", ".join(_LINE)
_LAST = NOON - 1  # restatements that have an instant of their own before the day ends; more share it
_SCHEMA = 1
_AT_ONCE = 2000  # series that are held in memory together


class Series(NamedTuple):
    """One line of the bill and what was said of it: Unix seconds, ascending, and the cost of each day."""

    labels: tuple[str, ...]
    """In the order of the catalogue."""
    instants: list[int]
    costs: list[float]


@dataclass(frozen=True, slots=True)
class View:
    """How the charges of a source are shown: as its live families show them."""

    basis: Cost = Cost.BILLED
    unknown: Unknown = frozenset()
    """Whose bills do not know the basis: they show billed."""
    shown: Collection[Line] = ()
    """Lines that are shown by name, the others being folded into `other`; nothing shows all."""


@dataclass(slots=True)
class Marks:
    """What is remembered beside the record. Months are named `demo/2024-09`."""

    made_of: dict[str, str] = field(default_factory=dict)
    """Month → fingerprint of what it was last brought up to date with."""
    written: dict[str, dict[str, int]] = field(default_factory=dict)
    """Receiver → month → revision up to which it has taken the month."""
    told: dict[str, str] = field(default_factory=dict)
    """Receiver → what was last said to be wrong with it."""


class Record:
    """What was said of the days of every source. One process writes at a time: hold the writer's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def months(self, source: str) -> list[Month]:
        """The months of a source of which something was said, in order."""
        return sorted(Month.parse(path.stem.partition("=")[2]) for path in self._of(source).glob("month=*.parquet"))

    def update(self, source: str, month: Month, charges: CostTable, until: date, view: View) -> int:
        """Say what is new of a month: its days before `until` as `charges` have them. How many samples that makes.

        Days from `until` on stay as they were said, if they were. StoreError where a file cannot be read or written.
        """
        path = self._path(source, month)
        old = f"SELECT * FROM read_parquet({engine.literal(str(path))})" if path.exists() else _NOTHING
        [(last,)] = engine.run(f"SELECT coalesce(max(revision), 0) FROM ({old})")
        new, parameters = _costs(charges.during(month.window()), view)
        draft = path.with_suffix(".tmp")
        with storing(path):
            make_folder(path.parent)
            try:
                select = _merged(old, new, until, last + 1)
                engine.run(
                    f"COPY ({select}) TO {engine.literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)", parameters
                )
                fresh = f"SELECT count(*) FROM read_parquet({engine.literal(str(draft))}) WHERE revision > {last}"
                [(said,)] = engine.run(fresh)
                if said:
                    sync_file(draft)
                    draft.replace(path)
                    sync_folder(path.parent)
            finally:
                draft.unlink(missing_ok=True)
        return int(said)

    def revision(self, source: str, month: Month) -> int:
        """How often a month has changed; 0 for one of which nothing was said."""
        path = self._path(source, month)
        if not path.exists():
            return 0
        [(last,)] = engine.run(f"SELECT coalesce(max(revision), 0) FROM read_parquet({engine.literal(str(path))})")
        return int(last)

    def read(self, source: str, month: Month, after: int = 0, since: date | None = None) -> Iterator[list[Series]]:
        """What was said of a month past a revision, of the days from `since` on: some series at a time, by labels."""
        path = self._path(source, month)
        days = f" AND day >= DATE '{since}'" if since else ""
        found = engine.stream(
            f"SELECT {_KEYS}, list(epoch(day)::BIGINT + {NOON} + restatement ORDER BY day), list(cost ORDER BY day)"
            f" FROM read_parquet({engine.literal(str(path))}) WHERE revision > {after}{days}"
            f" GROUP BY {_KEYS} ORDER BY {_KEYS}",
            size=_AT_ONCE,
        )
        n = len(_LINE)
        for rows in found:
            yield [Series((source, *row[:n]), row[n], row[n + 1]) for row in rows]

    def marks(self) -> Marks:
        """What is remembered; nothing where the record is new."""
        path = self.folder / "marks.json"
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return Marks()
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        if found.get("schema") != _SCHEMA:
            raise StoreError(
                f"{path}: made by another version (schema {found.get('schema')}, this one reads {_SCHEMA})"
            )
        return Marks(found["made_of"], found["written"], found["told"])

    def keep(self, marks: Marks) -> None:
        """Remember."""
        body = {"schema": _SCHEMA, "made_of": marks.made_of, "written": marks.written, "told": marks.told}
        with storing(self.folder):
            make_folder(self.folder)
            write_durably(self.folder / "marks.json", json.dumps(body, indent=1, sort_keys=True).encode())

    def copy_to(self, folder: Path) -> None:
        """A copy of what was said, whole by itself; nothing where nothing was."""
        if self.folder.exists():
            with storing(folder):
                shutil.copytree(self.folder, folder)

    def _of(self, source: str) -> Path:
        return self.folder / f"source={source}"

    def _path(self, source: str, month: Month) -> Path:
        return self._of(source) / f"month={month}.parquet"


def openmetrics(record: Record, sources: Collection[str], since: date | None = None) -> Iterator[str]:
    """All that was said of some sources as an OpenMetrics document with times, in parts that fit into memory.

    Month by month, and each series of a month in order of time: promtool refuses a sample that lies before the one of
    its series that it read last.
    """
    yield header(SPEC)
    labels = Labels(SPEC.labels)
    start = Month.of(since) if since else None
    wanted = {(month, source) for source in sources for month in record.months(source)}
    for month, source in sorted(wanted):
        if start is not None and month < start:
            continue
        for several in record.read(source, month, since=since):
            yield "".join(
                [
                    f"{SPEC.name}{labels[one.labels]} {cost!r} {instant}\n"
                    for one in several
                    for instant, cost in zip(one.instants, one.costs, strict=True)
                ]
            )
            labels.clear()
    yield "# EOF\n"


_NOTHING = (
    f"SELECT * FROM (SELECT {', '.join(f'NULL::VARCHAR AS {name}' for name in _LINE)}, NULL::DATE AS day,"
    " NULL::INTEGER AS restatement, NULL::BIGINT AS revision, NULL::DOUBLE AS cost) WHERE false"
)


def _costs(charges: CostTable, view: View) -> tuple[str, Mapping[str, object]]:
    """SELECT of line, day and cost as a float: the amounts that the live families show, summed exactly before."""
    select, parameters = charges.sql()
    names = ", ".join(f"{dimension(name)} AS {name}" for name in _LINE)
    billed, asked = Cost.BILLED.column, view.basis.column
    amounts = dict.fromkeys((billed, asked))
    sums = ", ".join(f"sum({amount})::{SQL_TYPE} AS {amount}" for amount in amounts)
    each = (
        f"SELECT {_KEYS}, day, {sums}"
        f" FROM (SELECT {names}, ChargePeriodStart::DATE AS day, {', '.join(amounts)} FROM ({select})) GROUP BY ALL"
    )
    known = asked
    if view.unknown:
        pairs = ", ".join(f"({engine.literal(p)}, {engine.literal(c)})" for _, p, c in sorted(view.unknown))
        known = f"if((provider, currency) IN ({pairs}), {billed}, {asked})"
    each = f"SELECT {_KEYS}, day, coalesce({known}, {billed}) AS amount FROM ({each})"
    if view.shown:
        named = "[provider, account, service, region] IN (SELECT unnest($shown::VARCHAR[][]))"
        columns = (f"if(named, {n}, '{OTHER}') AS {n}" if n in ("account", "service", "region") else n for n in _LINE)
        each = f"SELECT {', '.join(columns)}, day, amount FROM (SELECT *, {named} AS named FROM ({each}))"
        parameters = {**parameters, "shown": [list(one) for one in sorted(view.shown)]}
    # By way of text: DuckDB's cast of a DECIMAL may miss the nearest float, and an unchanged day must stay unchanged.
    return (
        f"SELECT {_KEYS}, day, sum(amount)::{SQL_TYPE}::VARCHAR::DOUBLE AS cost FROM ({each}) GROUP BY ALL",
        parameters,
    )


def _merged(old: str, new: str, until: date, revision: int) -> str:
    """SELECT of a month as it is to be said from now on."""
    keys = f"{_KEYS}, day"
    return (
        f"WITH old AS ({old}), new AS (SELECT * FROM ({new}) WHERE day < DATE '{until}'),"
        " said AS (SELECT day, max(restatement) AS restatement FROM old GROUP BY day),"
        f" pairs AS (SELECT {keys}, old.restatement, old.revision, old.cost AS was, coalesce(new.cost, 0) AS cost,"
        f" old.day IS NULL OR (day < DATE '{until}' AND old.cost <> coalesce(new.cost, 0)) AS changed"
        f" FROM old FULL JOIN new USING ({keys}))"
        f" SELECT {keys}, CASE WHEN changed THEN least(coalesce(said.restatement + 1, 0), {_LAST})"
        " ELSE pairs.restatement END::INTEGER AS restatement,"
        f" CASE WHEN changed THEN {revision} ELSE revision END::BIGINT AS revision,"
        " CASE WHEN changed THEN cost ELSE was END::DOUBLE AS cost"
        f" FROM pairs LEFT JOIN said USING (day) ORDER BY {keys}"
    )
