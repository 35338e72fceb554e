"""Two copies of one file would be counted twice: told by their content, never by their names."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO

from exporter.costs import engine
from exporter.errors import BadData, StoreError
from exporter.periods import ALWAYS, Grain
from exporter.providers.focus_columns import Layout
from exporter.providers.focus_files import Shard, records

_CHUNK = 1 << 20


def refuse_twins(shards: Iterable[Shard]) -> None:
    """BadData where two files in one folder hold the same bytes, packed or not, or a CSV the charges of a Parquet file.

    Bills without rows may.
    """
    shards = tuple(shards)
    for one, other in _namesakes(shards):
        if (told := _told(one)) and told == _told(other):
            raise BadData(
                f"{one.name} and {other.name} hold the same charges, and would be counted twice",
                hint="keep one of the two",
            )
    for one, other in _suspects(shards):
        if _same(one.path, other.path) and _has_rows(one):
            raise BadData(
                f"{one.name} and {other.name} hold the same bytes, and would be counted twice",
                hint="keep one of the two",
            )


def _suspects(shards: Iterable[Shard]) -> Iterator[tuple[Shard, Shard]]:
    """Pairs in one folder that may be alike: of one size when unpacked, or of one name without its endings.

    Without reading them: gzip notes the size at its end (RFC 1952, ISIZE). Only a file packed in several pieces has
    another size there, and is found where it keeps the name.
    """
    alike: dict[tuple[str, object], list[Shard]] = {}
    for shard in shards:
        folder, _, name = shard.name.rpartition("/")
        stem = name.removesuffix(".gz")
        alike.setdefault((folder, (shard.parquet, _unpacked(shard.path))), []).append(shard)
        alike.setdefault((folder, stem), []).append(shard)
    for group in alike.values():
        yield from itertools.combinations(group, 2)


def _namesakes(shards: Iterable[Shard]) -> Iterator[tuple[Shard, Shard]]:
    """A Parquet file and a CSV of one name without its endings, in one folder: `bill.parquet` and `bill.csv`."""
    called: dict[str, list[Shard]] = {}
    for shard in shards:
        called.setdefault(shard.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet"), []).append(
            shard
        )
    for group in called.values():
        yield from ((one, other) for one, other in itertools.combinations(group, 2) if one.parquet != other.parquet)


def _told(shard: Shard) -> list[tuple[Any, ...]]:
    """Rows and billed cost by billing month, account and currency; nothing where it cannot be read."""
    try:
        charges = Layout(shard, Grain.DAY, ()).select(ALWAYS, rounding=False)
        return engine.run(
            "SELECT BillingPeriodStart, SubAccountId, BillingCurrency, sum(BilledCost), sum(RowCount)"
            f" FROM ({charges}) GROUP BY ALL ORDER BY ALL"
        )
    except StoreError:
        return []


def _unpacked(path: Path) -> int:
    """The size of its content, modulo 2³²."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not path.name.endswith(".gz"):
            return size % (1 << 32)
        file.seek(max(0, size - 4))
        return int.from_bytes(file.read(4), "little")


def _same(one: Path, other: Path) -> bool:
    with ExitStack() as stack:
        first, second = (stack.enter_context(_reading(path)) for path in (one, other))
        while True:
            left, right = first.read(_CHUNK), second.read(_CHUNK)
            if left != right:
                return False
            if not left:
                return True


def _reading(path: Path) -> BinaryIO:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _has_rows(shard: Shard) -> bool:
    if shard.parquet:
        return True
    with closing(records(shard.path, shard.name, shard.delimiter)) as lines:
        return len(list(itertools.islice(lines, 2))) == 2
