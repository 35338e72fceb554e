"""A FOCUS bill from file to answer, beside a bare read of the same file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks import process
from benchmarks.bills import Bill
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale
from benchmarks.timing import in_turns

_OF_A_BARE_READ = Target(ratio=1 / 0.4)  # 40 % of its speed

_TRIED_PARQUET = (
    "most of the time goes into 20 keys of some hundred thousand groups, not into reading. Grouping by raw cells"
    " instead of cleaned ones, dropping keys that are always null, and summing in the file's own decimals each"
    " changed nothing that could be told from noise."
)
_TRIED_CSV = (
    "the reading takes five times the CPU time of bare decompression, so that it needs a second core, and misses this"
    " where the core is taken. Reading each amount and instant once, in a subquery, and asking for the length before"
    " the word null changed nothing that could be told from noise."
)


class Reading(NamedTuple):
    """One reading in a process of its own."""

    seconds: float
    peak: float
    """MiB."""
    digest: str


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Parquet with decimals, Parquet with doubles and a tag, CSV.gz."""
    yield from _parquet(scale)
    yield from _harder(scale)
    yield from _csv(scale)


def _parquet(scale: Scale) -> Iterator[Outcome]:
    path = Bill(scale.parquet_rows).write(scale.folder / "bill.parquet")
    bare = ["duckdb", *(["pyarrow"] if find_spec("pyarrow") else [])]
    read = in_turns({name: _reader(name, path) for name in ("ours", *bare)}, scale.heavy_rounds)
    path.unlink()
    size = _millions(scale.parquet_rows)
    ours = read["ours"]
    what = f"FOCUS Parquet, {size} rows"
    note = _speed(scale.parquet_rows, ours)
    if "pyarrow" in bare:
        yield Line(
            what, _took(ours), "pyarrow, bare read", _took(read["pyarrow"]), _OF_A_BARE_READ, tried=_TRIED_PARQUET
        )
    else:
        yield Skipped(f"{what} against pyarrow", "pip install pyarrow")
    duckdb = _took(read["duckdb"])
    yield Line(what, _took(ours), "DuckDB, bare read", duckdb, _OF_A_BARE_READ, note, _TRIED_PARQUET)
    yield Line(f"{what}: peak memory", Figure.of((each.peak for each in ours), "MiB"), target=Target(value=800))
    yield _same(what, ours)


def _harder(scale: Scale) -> Iterator[Outcome]:
    """What some bills add: amounts that are doubles, and a tag to keep."""
    rows = scale.parquet_rows // 5
    plain = Bill(rows).write(scale.folder / "plain.parquet")
    doubles = Bill(rows, money="DOUBLE").write(scale.folder / "doubles.parquet")
    read = in_turns(
        {
            "plain": _reader("ours", plain),
            "doubles": _reader("ours", doubles),
            "tag": _reader("ours", plain, "team"),
        },
        scale.heavy_rounds,
    )
    size = _millions(rows)
    yield Line(f"the same, {size} rows, doubles", _took(read["doubles"]), "decimals", _took(read["plain"]))
    yield Line(f"the same, {size} rows, one tag kept", _took(read["tag"]), "no tags", _took(read["plain"]))


def _csv(scale: Scale) -> Iterator[Outcome]:
    path = Bill(scale.csv_rows).write(scale.folder / "bill.csv.gz")
    read = in_turns({name: _reader(name, path) for name in ("ours", "gunzip")}, scale.heavy_rounds)
    what = f"FOCUS CSV.gz, {_millions(scale.csv_rows)} rows"
    note = _speed(scale.csv_rows, read["ours"])
    yield Line(
        what, _took(read["ours"]), "gzip, only decompressed", _took(read["gunzip"]), Target(ratio=4), note, _TRIED_CSV
    )
    yield _same(what, read["ours"])


def _reader(name: str, path: Path, *tags: str) -> Callable[[], Reading]:
    def read() -> Reading:
        ended = process.run("benchmarks.focus_read", name, path, *tags)
        said = json.loads(ended.printed)
        return Reading(said["seconds"], ended.peak, said.get("digest", ""))

    return read


def _took(readings: list[Reading]) -> Figure:
    return Figure.of((each.seconds for each in readings), "s")


def _same(what: str, readings: list[Reading]) -> Line:
    """How many different answers there were."""
    different = len({each.digest for each in readings})
    return Line(f"{what}: different answers", Figure.of([different], f"of {len(readings)}"), target=Target(value=1))


def _speed(rows: int, readings: list[Reading]) -> str:
    return f"{rows / _took(readings).median / 1e6:.2f} M rows/s, four exact sums"


def _millions(rows: int) -> str:
    return f"{rows / 1e6:g} M"
