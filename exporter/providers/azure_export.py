"""Azure cost exports in Blob Storage or in a folder: FOCUS, or actual and amortised costs.

What is billed comes from actual costs, what is effective from amortised ones, each summed by itself and then joined by
their labels: both sums are those of the files, exactly, even where one export ran hours before the other. How exports
are laid out: Microsoft Learn, "Tutorial: Create and manage Cost Management exports".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from pydantic import Field, model_validator

from exporter.config.schema import PathPattern
from exporter.costs import Ask, Bill, CostBasis, CostTable, Note, engine
from exporter.costs.model import COSTS, KEYS, NAMES
from exporter.costs.money import SQL_TYPE
from exporter.errors import BadData, NotReady
from exporter.periods import HOUR, Month
from exporter.providers import Access, Meter, Options, ProviderSpec
from exporter.providers import azure_export_columns as native_columns
from exporter.providers.export_files import Native
from exporter.providers.focus import Focus, FocusOptions
from exporter.providers.focus_files import Shard
from exporter.providers.focus_manifests import Choice, choose
from exporter.providers.focus_places import Entry

ACTUAL, AMORTIZED = "ActualCost", "AmortizedCost"
_KINDS = {ACTUAL: (ACTUAL, "Usage"), AMORTIZED: (AMORTIZED,)}
"""What a manifest calls them; `Usage` is the word of classic subscriptions."""

_DELIVERED = re.compile(
    r"^(?P<name>.*/\d{8}-\d{8}/.*?)_?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[a-z.]+$", re.IGNORECASE
)
"""A run without a manifest, as older exports write it: one more file `<export>_<guid>.csv` in the period's folder."""


class AzureExportOptions(Options):
    """Where the exports are: `path` to one of FOCUS, or `actual`, best with `amortized` beside it."""

    path: PathPattern | None = Field(
        default=None, description="An export of FOCUS costs: a folder, or its address, `az://container/folder`."
    )
    actual: PathPattern | None = Field(default=None, description="An export of actual costs: what is billed.")
    amortized: PathPattern | None = Field(
        default=None, description="The export of amortised costs of the same scope: what is effective."
    )
    endpoint: str | None = Field(default=None, description="Another object storage than the vendor's own, by its URL.")
    region: str | None = Field(default=None, description="The region of an S3 bucket that holds a copy.")
    account: str | None = Field(default=None, description="The Azure storage account of an `az://` path.")
    anonymous: bool = Field(default=False, description="Whether object storage is read without credentials.")

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        if bool(self.path) == bool(self.actual):
            raise ValueError("give `path` for an export of FOCUS, or `actual` for one of actual costs: one of both")
        if self.path and self.amortized:
            raise ValueError("`amortized` goes with `actual`; FOCUS has both costs in one export")
        for path in self.paths:
            self.place(path)
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """All that are given."""
        return tuple(path for path in (self.path, self.actual, self.amortized) if path)

    def place(self, path: str) -> FocusOptions:
        """How one of the paths is reached. ValueError where it cannot be."""
        reach: dict[str, Any] = self.model_dump(include={"endpoint", "region", "account", "anonymous"})
        return FocusOptions(path=path, **(reach if "://" in path else {}))


class AzureExport:
    """One export of FOCUS costs, or one or two of native ones."""

    def __init__(self, options: AzureExportOptions, meter: Meter) -> None:
        self.options = options
        self.focus = Focus(options.place(options.path), meter) if options.path else None
        self.actual = _Export(options.place(options.actual), meter, ACTUAL) if options.actual else None
        self.amortized = _Export(options.place(options.amortized), meter, AMORTIZED) if options.amortized else None

    def fetch(self, ask: Ask) -> Bill:
        """Answer from the newest run of each period. NotReady where one is missing, BadData where it cannot be."""
        if self.actual is None:
            assert self.focus is not None
            return self.focus.fetch(ask)
        if self.amortized is None:
            return self.actual.fetch(ask)
        known = (*ask.known.split("\n"), "")
        halves = self.actual.fetch(replace(ask, known=known[0])), self.amortized.fetch(replace(ask, known=known[1]))
        made_of = "\n".join(half.made_of for half in halves)
        if all(half.unchanged for half in halves):
            return Bill(CostTable.nothing(), (), made_of=made_of, unchanged=True)
        actual, amortized = (
            source.fetch(replace(ask, known="")) if half.unchanged else half
            for source, half in zip((self.actual, self.amortized), halves, strict=True)
        )
        return replace(_joined(actual, amortized, self.options.amortized or ""), made_of=made_of)

    def access(self) -> Access:
        """List each export, and look into its files as `Focus.access` does."""
        exports = {"FOCUS": self.focus, "actual costs": self.actual, "amortised costs": self.amortized}
        shown = {words: export.access() for words, export in exports.items() if export}
        first, *others = shown.values()
        if not others:
            return first
        # The bill reaches as far as both do.
        days = [each.newest for each in shown.values() if each.newest]
        return replace(
            first,
            newest=min(days) if len(days) == len(shown) else None,
            found="; ".join(f"{words}: {each.found}" for words, each in shown.items()),
            shape={words: each.shape for words, each in shown.items()},
        )


class _Export(Focus):
    """One native export. All of its costs are billed ones here; `_joined` knows better."""

    def __init__(self, options: FocusOptions, meter: Meter, kind: str) -> None:
        super().__init__(options, meter)
        self.kind = kind
        self.by_calendar = False

    def chosen(self, entries: Sequence[Entry]) -> Choice:
        """The files of the newest run of each period."""
        choice = choose(entries, lambda entry: self.place.local(entry).read_bytes(), _KINDS[self.kind])
        if not choice.entries and not choice.windows:
            said = "; ".join(choice.passed_over) or "nothing counts"
            raise NotReady(f"{self.options.path}: {said}", hint=f"let it name an export of {self.kind}")
        return _newest(choice) if not choice.windows else choice

    def shards(self, choice: Choice, ask: Ask) -> list[Shard]:
        """The files, read as FOCUS."""
        files = [Native(self.place.local(entry), entry.name, native_columns.canonical) for entry in choice.entries]
        self.by_calendar = any(map(native_columns.by_calendar, files))
        return [native_columns.shard(native, tags=bool(ask.tags)) for native in files]

    def tidied(self, charges: engine.Kept) -> engine.Kept:
        """Where the export has no billing periods, calendar months."""
        if not self.by_calendar:
            return charges
        month = "date_trunc('month', BillingPeriodStart)"
        return engine.Kept(f"SELECT * REPLACE ({month} AS BillingPeriodStart) FROM {charges.name}")


def _newest(choice: Choice) -> Choice:
    """Without manifests: of the files that one export wrote into one period's folder the newest; each tells it all."""
    newest: dict[str, Entry] = {}
    left = 0
    for entry in choice.entries:
        found = _DELIVERED.match(entry.name)
        export = found["name"] if found else entry.name
        rival = newest.get(export)
        if rival and rival.modified == entry.modified:
            raise BadData(
                f"{rival.name} and {entry.name} are two runs of one export, and neither is newer",
                hint="keep the newer one, or copy files together with their times",
            )
        left += rival is not None
        if rival is None or rival.modified < entry.modified:
            newest[export] = entry
    said = (*choice.passed_over, f"files of older runs: {left}") if left else choice.passed_over
    return Choice(tuple(newest.values()), choice.windows, said)


def _joined(actual: Bill, amortized: Bill, path: str) -> Bill:
    """Billed from one, effective from the other. NotReady where the amortised costs of a newer month are missing."""
    months, spread = _months(actual), _months(amortized)
    late = [month for month in months if month not in spread and (not spread or month > max(spread))]
    if late:
        raise NotReady(
            f"{path}: no amortised costs of {', '.join(map(str, late))}, of which there are actual ones",
            hint="the export has not run yet; both should be scheduled alike",
        )
    both = _in([month for month in months if month in spread])
    (billed, one), (used, other) = actual.costs.sql(), amortized.costs.sql()
    costs = ", ".join(f"CAST(sum({cost}) AS {SQL_TYPE}) AS {cost}" for cost in COSTS)
    # A row of the bill is counted where it is billed; only what is in the amortised costs alone is counted there.
    rows = "CAST(coalesce(nullif(sum(RowCount) FILTER (billing), 0), sum(RowCount)) AS BIGINT) AS RowCount"
    kept = engine.Kept(
        f"SELECT {', '.join(KEYS)}, {costs}, {rows} FROM ("
        f"SELECT * REPLACE (CASE WHEN {both} THEN 0 ELSE EffectiveCost END AS EffectiveCost,"
        f" CASE WHEN {both} THEN '{CostBasis.REPORTED}' ELSE '{CostBasis.BILLED}' END AS CostBasis),"
        f" true AS billing FROM ({billed}) UNION ALL BY NAME "
        f"SELECT * REPLACE (0 AS BilledCost, BilledCost AS EffectiveCost, NULL AS ListCost, NULL AS ContractedCost,"
        f" '{CostBasis.REPORTED}' AS CostBasis), false AS billing FROM ({used}) WHERE {both}) GROUP BY ALL",
        {**one, **other},
    )
    alone = [str(month) for month in months if month not in spread]
    said = f"no amortised costs of {', '.join(alone)}; effective repeats billed there"
    notes = [note for note in (*actual.notes, *amortized.notes) if note.subject != "no_effective_cost"]
    return Bill(
        costs=CostTable.over(f"SELECT {', '.join(NAMES)} FROM {kept.name}", owner=kept),
        covered=actual.covered,
        accounts={**amortized.accounts, **actual.accounts},
        rates=actual.rates,
        notes=(*dict.fromkeys(notes), *([Note("no_effective_cost", said)] if alone else [])),
        rounded=actual.rounded + amortized.rounded,
    )


def _months(bill: Bill) -> list[Month]:
    return sorted({month for scope in bill.covered for month in scope.billing or ()})


def _in(months: Sequence[Month]) -> str:
    """SQL: whether a charge is of the bill of one of these months."""
    names = ", ".join(f"'{month}'" for month in months)
    return f"(strftime(BillingPeriodStart + INTERVAL 12 HOUR, '%Y-%m') IN ({names}))" if names else "false"


SPEC = ProviderSpec(
    name="azure_export",
    options=AzureExportOptions,
    connect=AzureExport,
    settles_after=timedelta(hours=72),  # exports run once a day, over data that is up to a day old
    poll_every=4 * HOUR,
    permissions=("Storage Blob Data Reader on the container",),
    label="azure",
    history=None,
)
