"""The lake: bills as FOCUS Parquet files, one per source and month, that any engine can read in place.

    lake/
      manifest.json                                    which version of each month counts: the commit point
      versions/00000012-demo-day-2024-09.parquet       never changed once written
      grain=day/source=demo/month=2024-09/bill.parquet the current version again, for Trino, Athena, Spark, DuckDB …

A replacement writes new versions beside the old ones, syncs them, and renames one new manifest into place: readers
see all of it or nothing, over any number of months. A table that was read before goes on reading the versions it
started with; superseded ones are deleted an hour later. The second tree is hard links to the same files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from exporter.costs import Bill, CostTable, Scope, dimension, engine
from exporter.costs.model import COSTS, KEYS, NAMES
from exporter.costs.money import SQL_TYPE
from exporter.errors import StoreError
from exporter.periods import Grain, Month, Window
from exporter.store import Restatement
from exporter.store.files import make_folder, need_room, storing, sync_file, sync_folder, write_durably

_log = logging.getLogger(__name__)

SCHEMA = 1
_Mark = TypeVar("_Mark")
_GRACE = 3600  # seconds that a superseded version stays for the readers that started with it


@dataclass(frozen=True, slots=True)
class _Version:
    """One month of one source, as a file."""

    file: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What the lake holds. Keys of `months` are `grain=day/source=demo/month=2024-09`."""

    generation: int = 0
    months: Mapping[str, _Version] = field(default_factory=dict)
    coverage: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    made_of: Mapping[str, str] = field(default_factory=dict)

    def of(self, source: str, grain: Grain) -> Iterator[tuple[Month, str, _Version]]:
        prefix = f"grain={grain}/source={source}/month="
        for key, version in self.months.items():
            if key.startswith(prefix):
                yield Month.parse(key.removeprefix(prefix)), key, version


class Lake:
    """The default Store. Make one per process; its methods may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = threading.Lock()

    def replace(self, source: str, bill: Bill, grain: Grain = Grain.DAY) -> Restatement:
        """See `Store.replace`. StoreError where the bill has charges outside of what it covers."""
        with self._writing():
            need_room(self.folder)
            manifest = self._manifest()
            outside = bill.costs.select("count(*)", where=f"NOT {_covered(bill.covered)}")[0][0]
            if outside:
                raise StoreError(f"{source}: {outside} charges lie outside of the days and accounts the bill covers")
            months = dict(manifest.months)
            changes: dict[tuple[date, str], Decimal] = {}
            with self._undone(manifest):
                for month in self._touched(manifest, source, bill, grain):
                    key = f"grain={grain}/source={source}/month={month}"
                    old, new = months.get(key), self._written(manifest, key, source, month, bill)
                    changes.update(self._difference(old, new))
                    if new is None:
                        months.pop(key, None)
                    elif new != old:
                        months[key] = new
                changed = months != manifest.months
                coverage = dict(manifest.coverage)
                if grain is Grain.DAY:
                    coverage |= self._widened(manifest, source, bill)
                if changed or coverage != manifest.coverage:
                    made_of = _without(manifest.made_of, [source])
                    self._commit(_Manifest(manifest.generation + 1, months, coverage, made_of))
            self.sweep()
            return Restatement(changes, _rows_of_days(months, source), changed)

    def read(self, window: Window, grain: Grain = Grain.DAY, sources: Collection[str] | None = None) -> CostTable:
        """See `Store.read`. StoreError where a file that is needed is missing, cut off, or not ours."""
        manifest = self._manifest()
        files = []
        for key, version in sorted(manifest.months.items()):
            cut, source, month = (part.partition("=")[2] for part in key.split("/"))
            wanted = cut == grain and (sources is None or source in sources)
            if wanted and Month.parse(month).window().meet(window):
                files.append(self._checked(version))
        if not files:
            return CostTable.nothing()
        return CostTable.over(_scan(*files)).during(window)

    def coverage(self, source: str) -> Window | None:
        """See `Store.coverage`."""
        edges = self._manifest().coverage.get(source)
        return Window(*map(datetime.fromisoformat, edges)) if edges else None

    def mark(self, source: str, made_of: str) -> None:
        """Remember what the bill of a source was read from (`Bill.made_of`); the next change forgets it."""
        with self._writing():
            manifest = self._manifest()
            if manifest.made_of.get(source, "") != made_of:
                marks = _without(manifest.made_of, [source]) | ({source: made_of} if made_of else {})
                self._commit(replace(manifest, made_of=marks))

    def made_of(self, source: str) -> str:
        """What the stored bill of a source was read from; empty where that is not known."""
        return self._manifest().made_of.get(source, "")

    def rows(self, source: str) -> int:
        """Rows held of a source's days; hours and totals by account say the same money again and do not count."""
        return _rows_of_days(self._manifest().months, source)

    def versions(self, source: str, grain: Grain = Grain.DAY) -> dict[Month, str]:
        """The months that are stored of a source, each with a text that changes with what it holds."""
        return {month: version.sha256 for month, _, version in self._manifest().of(source, grain)}

    @property
    def size(self) -> int:
        """Bytes of everything the manifest counts."""
        return sum(version.size for version in self._manifest().months.values())

    @property
    def generation(self) -> int:
        """Grows by one with every replacement that changed anything."""
        return self._manifest().generation

    def repair(self) -> tuple[str, ...]:
        """Finish what a crash cut off, and make good what was damaged; the sources that lost a month by it.

        Unfinished files go, and the second tree shows the current versions again. A version that is missing or cut
        off is restored from the second tree; where that is no better, its month is dropped, to be read again.
        """
        with self._writing():
            for leftover in self._versions.glob("*.tmp"):
                leftover.unlink()
            manifest = self._manifest()
            lost = {key for key, version in manifest.months.items() if not self._restored(key, version)}
            if lost:
                sources = {key.split("/")[1].partition("=")[2] for key in lost}
                months = {key: version for key, version in manifest.months.items() if key not in lost}
                made_of = _without(manifest.made_of, sources)
                self._commit(_Manifest(manifest.generation + 1, months, manifest.coverage, made_of))
            else:
                sources = set()
                self._publish(manifest)
            self.sweep()
            return tuple(sorted(sources))

    def sources(self) -> dict[str, int]:
        """Every source that has charges stored, with its rows."""
        found: dict[str, int] = {}
        for key, version in self._manifest().months.items():
            source = key.split("/")[1].partition("=")[2]
            found[source] = found.get(source, 0) + version.rows
        return found

    def check(self) -> list[str]:
        """What is wrong with the stored files, a sentence each: every file is read whole and compared."""
        wrong = []
        for key, version in sorted(self._manifest().months.items()):
            path = self._versions / version.file
            if not path.exists():
                wrong.append(f"{key}: {path.name} is missing")
            elif _digest(path) != version.sha256:
                wrong.append(f"{key}: {path.name} is not the file that was written")
        return wrong

    def forget(self, source: str) -> int:
        """Drop all that is stored of a source; how many rows that was."""
        with self._writing():
            manifest = self._manifest()
            months = {key: version for key, version in manifest.months.items() if f"/source={source}/" not in key}
            rows = sum(version.rows for key, version in manifest.months.items() if key not in months)
            coverage = _without(manifest.coverage, [source])
            if months != manifest.months or coverage != manifest.coverage:
                made_of = _without(manifest.made_of, [source])
                self._commit(_Manifest(manifest.generation + 1, months, coverage, made_of))
            return rows

    def copy_to(self, folder: Path) -> None:
        """A copy of what is stored now, whole by itself."""
        with self._writing():
            manifest = self._manifest()
            versions = folder / "versions"
            versions.mkdir(parents=True)
            for version in manifest.months.values():
                shutil.copyfile(self._checked(version), versions / version.file)
            Lake(folder)._commit(manifest)  # noqa: SLF001  the same class

    def _restored(self, key: str, version: _Version) -> bool:
        """Whether a version is there whole, from the second tree if need be."""
        path, twin = self._versions / version.file, self.folder / key / "bill.parquet"
        if path.exists() and path.stat().st_size == version.size:
            return True
        if not twin.exists() or _digest(twin) != version.sha256:
            return False
        path.unlink(missing_ok=True)
        shutil.copyfile(twin, path)
        return True

    @property
    def _versions(self) -> Path:
        return self.folder / "versions"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone among threads and processes. StoreError for what the file system refuses inside."""
        with self._threads, storing(self.folder):
            make_folder(self._versions)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

    @contextmanager
    def _undone(self, manifest: _Manifest) -> Iterator[None]:
        """Where what is inside fails before it is committed, take its new versions away: the disk may be full."""
        try:
            yield
        except BaseException:
            with suppress(OSError, StoreError):
                if self._manifest().generation == manifest.generation:
                    for path in self._versions.glob(f"{manifest.generation + 1:08d}-*"):
                        path.unlink()
            raise

    def _manifest(self) -> _Manifest:
        path = self.folder / "manifest.json"
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return _Manifest()
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        if found.get("schema") != SCHEMA:
            raise StoreError(f"{path}: made by another version (schema {found.get('schema')}, this one reads {SCHEMA})")
        return _Manifest(
            found["generation"],
            {key: _Version(**version) for key, version in found["months"].items()},
            {source: (edges[0], edges[1]) for source, edges in found["coverage"].items()},
            found.get("made_of", {}),
        )

    def _checked(self, version: _Version) -> Path:
        path = self._versions / version.file
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise StoreError(f"{path}: is missing. hint: poll its source again, or restore a backup") from None
        if size != version.size:
            raise StoreError(
                f"{path}: has {size} bytes, not {version.size}. hint: restore it, or poll its source again"
            )
        return path

    def _touched(self, manifest: _Manifest, source: str, bill: Bill, grain: Grain) -> list[Month]:
        """Months whose file may change: those with stored charges that are covered, and those of the new charges."""
        near = [
            version
            for month, _, version in manifest.of(source, grain)
            if any(scope.window.meet(month.window()) for scope in bill.covered)
        ]
        fresh = {Month.parse(line.key[0]) for line in bill.costs.by("month").rows()}
        if not near:
            return sorted(fresh)
        stored = engine.run(
            f"SELECT DISTINCT strftime(ChargePeriodStart, '%Y-%m') FROM ({_scan(*map(self._checked, near))})"
            f" WHERE {_covered(bill.covered)}"
        )
        return sorted(fresh | {Month.parse(month) for (month,) in stored})

    def _written(self, manifest: _Manifest, key: str, source: str, month: Month, bill: Bill) -> _Version | None:
        """A new version of one month: what is stored outside the covered scopes, and what the bill says inside."""
        old = manifest.months.get(key)
        charges, parameters = bill.costs.during(month.window()).sql()
        parts = [f"SELECT * REPLACE ({engine.literal(source)} AS SourceId) FROM ({charges})"]
        if old is not None:
            parts.append(f"SELECT * FROM ({_scan(self._checked(old))}) WHERE NOT {_covered(bill.covered)}")
        sums = [f"sum({cost})::{SQL_TYPE} AS {cost}" for cost in COSTS]
        select = f"SELECT {', '.join(KEYS)}, {', '.join(sums)}, sum(RowCount)::BIGINT AS RowCount"
        body = (
            f"{select} FROM ({' UNION ALL BY NAME '.join(parts)}) GROUP BY {', '.join(KEYS)} ORDER BY {', '.join(KEYS)}"
        )
        words = key.replace("grain=", "").replace("/source=", "-").replace("/month=", "-")
        path = self._versions / f"{manifest.generation + 1:08d}-{words}.parquet"
        draft = path.with_suffix(".tmp")
        try:
            [(rows,)] = engine.run(
                f"COPY ({body}) TO {engine.literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)", parameters
            )
            if not rows or (old is not None and self._same(draft, self._versions / old.file)):
                return old if rows else None
            digest = _digest(draft)
            sync_file(draft)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        return _Version(path.name, rows, path.stat().st_size, digest)

    def _same(self, one: Path, other: Path) -> bool:
        """Whether two files hold the same rows in the same order, as they do when nothing changed; bytes may differ.

        Row beside row, which stops at the first that differs; to compare them as sets takes ten times as long.
        """
        mine, theirs = (", ".join(f"{name} AS {side}_{name}" for name in NAMES) for side in ("one", "other"))
        pairs = f"(SELECT {mine} FROM ({_scan(one)})) POSITIONAL JOIN (SELECT {theirs} FROM ({_scan(other)}))"
        # Where one file is longer, the other's columns are null beside its last rows.
        differs = " OR ".join(f"one_{name} IS DISTINCT FROM other_{name}" for name in NAMES)
        return not engine.run(f"SELECT 1 FROM {pairs} WHERE {differs} LIMIT 1")

    def _difference(self, old: _Version | None, new: _Version | None) -> dict[tuple[date, str], Decimal]:
        """Day and currency → new billed cost less old, where they differ."""
        if old == new:
            return {}
        signed = [
            f"SELECT ChargePeriodStart::DATE AS day, BillingCurrency, {sign} BilledCost AS cost"
            f" FROM ({_scan(self._checked(version))})"
            for sign, version in (("-", old), ("+", new))
            if version is not None
        ]
        found = engine.run(
            f"SELECT day, BillingCurrency, sum(cost)::{SQL_TYPE} AS change FROM ({' UNION ALL '.join(signed)})"
            " GROUP BY ALL HAVING change <> 0 ORDER BY ALL"
        )
        return {(day, currency): change for day, currency, change in found}

    def _widened(self, manifest: _Manifest, source: str, bill: Bill) -> dict[str, tuple[str, str]]:
        windows = [window for scope in bill.covered for window in _held(scope) if not window.empty]
        if source in manifest.coverage:
            windows.append(Window(*map(datetime.fromisoformat, manifest.coverage[source])))
        if not windows:
            return {}
        start, end = min(w.start for w in windows), max(w.end for w in windows)
        return {source: (start.astimezone(UTC).isoformat(), end.astimezone(UTC).isoformat())}

    def _commit(self, manifest: _Manifest) -> None:
        sync_folder(self._versions)
        body = {"schema": SCHEMA, **asdict(manifest)}
        write_durably(self.folder / "manifest.json", json.dumps(body, indent=1, sort_keys=True).encode())
        try:
            self._publish(manifest)
        except OSError as error:  # what counts is there; `repair` makes the second tree good
            _log.warning("other engines see the bill before this one", extra={"fields": {"error": error}})

    def _publish(self, manifest: _Manifest) -> None:
        """Make the second tree show the current versions, each month renamed into place."""
        for key, version in manifest.months.items():
            shown, current = self.folder / key / "bill.parquet", self._versions / version.file
            if shown.exists() and os.path.samefile(shown, current):
                continue
            shown.parent.mkdir(parents=True, exist_ok=True)
            draft = shown.with_suffix(".tmp")
            draft.unlink(missing_ok=True)
            try:
                draft.hardlink_to(current)
            except OSError:  # a file system without hard links
                shutil.copyfile(current, draft)
            draft.replace(shown)
        for shown in self.folder.glob("grain=*/source=*/month=*/bill.parquet"):
            if str(shown.parent.relative_to(self.folder)) not in manifest.months:
                shown.unlink()

    def sweep(self, grace: float = _GRACE) -> None:
        """Delete versions that were superseded more than `grace` seconds ago."""
        current = {version.file for version in self._manifest().months.values()}
        for path in self._versions.glob("*.parquet"):
            # A hard link's change time is when its neighbour in the second tree was renamed away.
            if path.name not in current and time.time() - path.stat().st_ctime > grace:
                path.unlink()


def _scan(*files: Path) -> str:
    listed = ", ".join(engine.literal(str(file)) for file in files)
    return f"SELECT {', '.join(NAMES)} FROM read_parquet([{listed}], hive_partitioning = false)"


def _rows_of_days(months: Mapping[str, _Version], source: str) -> int:
    return sum(version.rows for key, version in months.items() if key.startswith(f"grain={Grain.DAY}/source={source}/"))


def _without(marks: Mapping[str, _Mark], sources: Collection[str]) -> dict[str, _Mark]:
    return {name: mark for name, mark in marks.items() if name not in sources}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _held(scope: Scope) -> list[Window]:
    """What a scope adds to the coverage of its source."""
    if scope.billing is None:
        return [scope.window]
    return [part for part in (scope.window.meet(month.window()) for month in scope.billing) if part]


def _covered(scopes: tuple[Scope, ...]) -> str:
    """SQL condition: the charge lies in one of the scopes."""
    conditions = []
    for scope in scopes:
        start, end = (f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}'" for edge in (scope.window.start, scope.window.end))
        condition = f"ChargePeriodStart >= {start} AND ChargePeriodStart < {end}"
        if scope.accounts is not None:
            condition += f" AND SubAccountId IN ({', '.join(map(engine.literal, scope.accounts)) or 'NULL'})"
        if scope.billing is not None:
            months = ", ".join(engine.literal(str(month)) for month in scope.billing) or "NULL"
            condition += f" AND {dimension('billing_month')} IN ({months})"
        conditions.append(f"({condition})")
    return f"coalesce({' OR '.join(conditions)}, false)" if conditions else "(false)"
