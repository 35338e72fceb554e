"""One reading of a FOCUS bill in a process of its own, ours or a bare one; prints what it took as JSON.

`python -m benchmarks.focus_read ours|pyarrow|duckdb|gunzip FILE [TAG …]`
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

from exporter.costs import Ask, Bill, engine
from exporter.metrics.catalog import CATALOG, LINE
from exporter.metrics.exposition import Family, render
from exporter.periods import ALWAYS
from exporter.providers.focus import Focus, FocusOptions

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountStatus",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "SubAccountName",
)
"""What our provider reads of a bill when no tags are kept."""

_MEMORY, _THREADS = "1GB", 2  # what a worker may use unless it is configured


class _Unmetered:
    """Files cost nothing."""

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:
        """Count nothing."""

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:  # noqa: ARG002
        """Keep nothing."""
        return fetch()


def ours(path: Path, *tags: str) -> dict[str, object]:
    """Our provider's whole answer, and a digest of what would be exported of it."""
    engine.configure(memory=_MEMORY, threads=_THREADS)
    engine.run("SELECT 1")  # the connection is there before the bill comes
    began = time.perf_counter()
    bill = Focus(FocusOptions(path=str(path)), _Unmetered()).fetch(Ask(ALWAYS, tags=tags))
    took = time.perf_counter() - began
    return {"seconds": took, "digest": _digest(bill)}


def pyarrow(path: Path) -> dict[str, object]:
    """pyarrow decodes the same columns, batch by batch, and drops them."""
    import pyarrow as pa
    from pyarrow import parquet

    pa.set_cpu_count(_THREADS)
    began = time.perf_counter()
    with parquet.ParquetFile(path) as file:
        for _ in file.iter_batches(columns=list(COLUMNS)):
            pass
    return {"seconds": time.perf_counter() - began}


def duckdb(path: Path) -> dict[str, object]:
    """DuckDB looks at every value of the same columns, and keeps only the largest."""
    engine.configure(memory=_MEMORY, threads=_THREADS)
    engine.run("SELECT 1")
    largest = ", ".join(f"max({column})" for column in COLUMNS)
    began = time.perf_counter()
    engine.run(f"SELECT {largest} FROM read_parquet({engine.literal(str(path))})")
    return {"seconds": time.perf_counter() - began}


def gunzip(path: Path) -> dict[str, object]:
    """Python's gzip decompresses, and drops what comes out."""
    began = time.perf_counter()
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass
    return {"seconds": time.perf_counter() - began}


READERS: dict[str, Callable[..., dict[str, object]]] = {
    "ours": ours,
    "pyarrow": pyarrow,
    "duckdb": duckdb,
    "gunzip": gunzip,
}


def _digest(bill: Bill) -> str:
    """Of the bytes that /metrics would have for every day of the bill."""
    lines = bill.costs.by("day", *LINE[1:-1]).rows()
    samples = [((line.key[0], *line.key[1:], line.currency), line.billed) for line in lines]
    return hashlib.sha256(render([Family(CATALOG["cloudspend_daily_cost"], samples)])).hexdigest()


if __name__ == "__main__":
    reader, file, *tags = sys.argv[1:]
    print(json.dumps(READERS[reader](Path(file), *tags)))
