"""Any FOCUS bill in files: CSV, CSV.gz or Parquet; one file, a folder or a glob; FOCUS 1.0 to 1.4.

The files stream through DuckDB and are grouped in one pass; raw lines never reach Python. Whatever cannot be a bill
is refused with its file, row and column, and then nothing of it is taken.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from pydantic import Field

from exporter.config.schema import PathPattern
from exporter.costs import Ask, Bill, CostTable, Note, Scope, engine
from exporter.costs.model import NAMES
from exporter.errors import StoreError
from exporter.periods import HOUR, Grain, Window
from exporter.providers import Meter, Options, ProviderSpec
from exporter.providers.focus_columns import Layout
from exporter.providers.focus_files import find, refuse


class FocusOptions(Options):
    """Where the bill is."""

    path: PathPattern = Field(description="A file, a folder (read with all its folders) or a glob.")


class Focus:
    """A bill in files. The files are the truth: each poll reads all of them that the question touches."""

    def __init__(self, options: FocusOptions, meter: Meter) -> None:
        self.options = options
        self.meter = meter

    def fetch(self, ask: Ask) -> Bill:
        """Answer from the files. NotReady where there are none, BadData where one cannot be a bill."""
        self.meter.request("read")
        shards = find(self.options.path)
        layouts = [Layout(shard, ask.grain, ask.tags) for shard in shards]
        grouped, rounded = _grouped(layouts, ask.window)
        [(start, end, billed_from, billed_until)] = engine.run(
            "SELECT min(ChargePeriodStart), max(ChargePeriodEnd), min(BillingPeriodStart), max(BillingPeriodEnd)"
            f" FROM {grouped.name}"
        )
        covered: tuple[Scope, ...] = ()
        if start is not None:
            # A re-export without its last days must take them away too, so whole billing periods are covered.
            first, last = min(start, billed_from), max(end, billed_until)
            whole = Window(first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)).whole_days().meet(ask.window)
            covered = (Scope(whole),) if whole else ()
        names = engine.run(
            f"SELECT SubAccountId, max(SubAccountName) FROM {grouped.name} WHERE SubAccountName <> '' GROUP BY ALL"
        )
        return Bill(
            costs=CostTable.over(f"SELECT {', '.join(NAMES)} FROM {grouped.name}", owner=grouped),
            covered=covered,
            accounts=dict(names),
            notes=(*_notes(layouts), *_strangers(grouped)),
            rounded=rounded,
        )


def _grouped(layouts: list[Layout], window: Window) -> tuple[engine.Kept, int]:
    """One pass over all files: charges summed to the stored grain, and how many amounts had to be rounded."""
    kept = _pass(layouts, window, {})
    [(bad, rounded)] = engine.run(
        f"SELECT coalesce(sum(bad), 0)::BIGINT, coalesce(sum(rounds), 0)::BIGINT FROM {kept.name}"
    )
    if bad:
        raise refuse(layouts, window)
    if rounded:
        # Rare: more than 24 decimals. DuckDB would round half away from zero; we round half even, in Python.
        kept = _pass(layouts, window, Layout.roundings(layouts))
    return kept, rounded


def _pass(layouts: list[Layout], window: Window, roundings: dict[str, str]) -> engine.Kept:
    parts = [layout.select(window, rounding=bool(roundings)) for layout in layouts]
    keys, sums = Layout.KEYS, Layout.SUMS
    parameters: dict[str, object] = {"roundings": [list(pair) for pair in roundings.items()]} if roundings else {}
    try:
        return engine.Kept(
            f"SELECT {', '.join(keys)}, {', '.join(sums)} FROM ({' UNION ALL BY NAME '.join(parts)}) GROUP BY ALL",
            parameters,
        )
    except StoreError as error:
        raise refuse(layouts, window, error) from error


def _notes(layouts: list[Layout]) -> list[Note]:
    versions = sorted({layout.shard.version for layout in layouts})
    notes = [Note("focus_version", f"FOCUS {', '.join(versions)}, read from the headers")]
    if any("EffectiveCost" not in layout.shard.columns for layout in layouts):
        notes.append(Note("no_effective_cost", "the bill has no EffectiveCost; effective repeats billed"))
    return notes


def _strangers(grouped: engine.Kept) -> list[Note]:
    found = engine.run(f"SELECT DISTINCT stranger FROM {grouped.name} WHERE stranger <> '' ORDER BY ALL")
    return [Note("unknown_charge_category", f"{word!r} is kept as Adjustment") for (word,) in found]


SPEC = ProviderSpec(
    name="focus",
    options=FocusOptions,
    connect=Focus,
    settles_after=timedelta(hours=48),
    poll_every=HOUR,
    permissions=("read access to the files",),
    history=None,
    grains=frozenset(Grain),
)
