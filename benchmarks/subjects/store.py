"""The lake: replacing a month, summing a quarter, and how much room a row takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.peers.sqlite import Charges, Row
from benchmarks.scale import Scale
from benchmarks.timing import in_turns, milliseconds
from exporter.costs import Bill, CostTable, Scope, engine
from exporter.costs.model import COLUMNS, COSTS
from exporter.periods import Month, Window
from exporter.store.lake import Lake

_FIRST, _DAYS = date(2025, 1, 1), 730
_QUARTER = Window.of_days(date(2026, 10, 1), date(2026, 12, 30))
"""90 days."""
_TEN_BILLIONTHS = Decimal(10) ** 10
_MONTH = Month(2026, 11)
_MONTH_ROWS = 100_000
_NOTHING = "''"


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many lines of the bill, each with an amount of ten decimals on each day. Another salt, other amounts."""

    lines: int
    salt: int = 0

    def charges(self, window: Window) -> CostTable:
        """Its charges, held in memory."""
        days = (window.end - window.start).days
        amount = f"pow(10, 3 + hash(line, day, {self.salt}) % 1000000 / 100000.0)::BIGINT"
        given = {
            "ChargePeriodStart": "day",
            "ChargePeriodEnd": "day + INTERVAL 1 DAY",
            "BillingPeriodStart": "date_trunc('month', day)",
            "ServiceProviderName": "'aws'",
            "BillingAccountId": "'900000000000'",
            "SubAccountId": "printf('%012d', 100000000000 + line // 100 * 7919)",
            "ServiceName": "'Amazon Service ' || line // 10 % 10",
            "RegionId": "'region-' || line % 10",
            "ChargeCategory": "'Usage'",
            "BillingCurrency": "'USD'",
            "Tags": "MAP {}",
            "CostBasis": "'reported'",
            "BilledCost": _exact("units"),
            "EffectiveCost": _exact("units * 8 // 10"),
            "ListCost": _exact("units * 11 // 10"),
            "ContractedCost": _exact("units * 9 // 10"),
            "RowCount": "24",
        }
        otherwise = {"BOOLEAN": "false"}
        columns = ", ".join(
            f"({given.get(c.name) or otherwise.get(c.type, _NOTHING)})::{c.type} AS {c.name}" for c in COLUMNS
        )
        return CostTable.over(
            f"SELECT {columns} FROM (SELECT *, {amount} AS units FROM range({self.lines}) a(line),"
            f" (SELECT TIMESTAMP '{window.start:%Y-%m-%d}' + INTERVAL (d) DAY AS day FROM range({days}) b(d)))"
        ).kept()

    def bill(self, window: Window) -> Bill:
        """What a provider would answer."""
        return Bill(self.charges(window), (Scope(window),))


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """On one lake of two years."""
    engine.configure(memory="1GB", threads=2, spill=scale.folder / "spill")
    lake, fleet = Lake(scale.folder / "lake"), Fleet(scale.store_rows // _DAYS)
    for month in Window.of_days(_FIRST, _FIRST + timedelta(_DAYS)).months():
        lake.replace("fleet", fleet.bill(month.window()))
    other = Charges(scale.folder / "charges.sqlite")
    try:
        # The question touches 90 days, which lie together in the file: more of them would only take time to load.
        other.replace("fleet", "", "9", _rows("fleet", fleet.charges(_QUARTER)))
        yield from _size(lake, other)
        yield from _quarter(scale, lake, other)
        yield from _month(scale, lake, other)
    finally:
        other.close()


def _size(lake: Lake, other: Charges) -> Iterator[Outcome]:
    rows, kept = lake.rows("fleet"), (_QUARTER.end - _QUARTER.start).days * lake.rows("fleet") // _DAYS
    ours = Figure.of([lake.size / rows / len(COSTS)], "bytes")
    what = f"store, {rows / 1e6:.1f} M rows: a row, per cost column"
    theirs = Figure.of([other.size() / kept / len(COSTS)], "bytes")
    yield Line(what, ours, "SQLite", theirs, Target(value=12), "the whole file, keys too, over rows × 4 amounts")


def _quarter(scale: Scale, lake: Lake, other: Charges) -> Iterator[Outcome]:
    first, until = (f"{edge:%Y-%m-%d}" for edge in (_QUARTER.start, _QUARTER.end))
    files = str(lake.folder / "grain=day/source=fleet/month=2026-1[012]/bill.parquet")
    bare = (
        f"SELECT ServiceName, sum(BilledCost) FROM read_parquet({engine.literal(files)})"
        f" WHERE ChargePeriodStart >= '{first}' AND ChargePeriodStart < '{until}' GROUP BY ALL"
    )
    lines = lake.read(_QUARTER).by("service").rows()  # the connection is warm from here on
    assert [(line.key[0], int(line.billed * _TEN_BILLIONTHS)) for line in lines] == other.by_service(first, until)
    took = in_turns(
        {
            "ours": lambda: milliseconds(lambda: lake.read(_QUARTER).by("service").rows()),
            "bare": lambda: milliseconds(lambda: engine.run(bare)),
            "sqlite": lambda: milliseconds(lambda: other.by_service(first, until)),
        },
        3 * scale.rounds,
    )
    ours = Figure.of(took["ours"], "ms")
    what = "store: 90 days by service, warm"
    note = "ours sums four amounts, the others one; the same answer to the last digit"
    yield Line(what, ours, "SQLite", Figure.of(took["sqlite"], "ms"), Target(value=100), note)
    yield Line(what, ours, "DuckDB on the same files", Figure.of(took["bare"], "ms"))


def _month(scale: Scale, lake: Lake, other: Charges) -> Iterator[Outcome]:
    """Other amounts each time, or nothing would be written."""
    window = _MONTH.window()
    lines = _MONTH_ROWS // (window.end - window.start).days
    bills = [Fleet(lines, salt).bill(window) for salt in (1, 2)]
    rows = [_rows("small", bill.costs) for bill in bills]
    first, until = (f"{edge:%Y-%m-%d}" for edge in (window.start, window.end))
    lake.replace("small", bills[0])
    other.replace("small", first, until, rows[0])
    turns = {"ours": 0, "sqlite": 0}

    def ours() -> None:
        turns["ours"] += 1
        assert lake.replace("small", bills[turns["ours"] % 2]).days, "every day changed"

    def sqlite() -> None:
        turns["sqlite"] += 1
        other.replace("small", first, until, rows[turns["sqlite"] % 2])

    took = in_turns({"ours": lambda: milliseconds(ours), "sqlite": lambda: milliseconds(sqlite)}, scale.rounds)
    what = f"store: a month of {lines * 30 / 1e3:.0f} k rows replaced"
    note = "ours compares old and new day by day, and syncs files and folders; SQLite has WAL and full sync"
    yield Line(what, Figure.of(took["ours"], "ms"), "SQLite", Figure.of(took["sqlite"], "ms"), Target(value=1000), note)


def _rows(source: str, charges: CostTable) -> list[Row]:
    """The charges as the peer keeps them."""
    amounts = (f"({cost} * 10000000000)::HUGEINT::BIGINT" for cost in COSTS)
    day = "strftime(ChargePeriodStart, '%Y-%m-%d')"
    found = charges.select(f"'{source}'", day, "SubAccountId", "ServiceName", "RegionId", *amounts)
    return [tuple(row) for row in sorted(found)]


def _exact(units: str) -> str:
    return f"({units})::BIGINT * 0.0000000001::DECIMAL(11,10)"
