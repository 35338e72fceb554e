"""Two copies of one file would be counted twice: told by their content, never by their names."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

from exporter.errors import BadData
from exporter.providers.focus_files import Shard, records

_CHUNK = 1 << 20


def refuse_twins(shards: Iterable[Shard]) -> None:
    """BadData where two files in one folder hold the same bytes, packed or not. Bills without rows may."""
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
