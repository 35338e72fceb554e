"""Any FOCUS bill in files: CSV, CSV.gz or Parquet; a file, folder, glob or object storage; FOCUS 1.0-preview to 1.4.

    focus_places     what is there, told by name, size and mark     focus_objects    the same in object storage
    focus_manifests  which files of an export count                 focus_twins      copies, by content
    focus_names      what columns are called, versions              focus_files      one file: header and scan
    focus_dates      instants                                       focus_tags       tags
    focus_columns    from a file's columns to a bill's, as SQL      focus_faults     naming what cannot be
    focus_access     what is there and how it looks, for `cloudspend test-access`

The files stream through DuckDB and are grouped in one pass; raw lines never reach Python. Whatever cannot be a bill
is refused with its file, row and column, and then nothing of it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from pydantic import Field, field_validator, model_validator

from exporter import __version__
from exporter.config.schema import PathPattern
from exporter.costs import Ask, Bill, BilledRate, CostTable, Note, Scope, dimension, engine
from exporter.costs.model import NAMES
from exporter.costs.money import SQL_TYPE
from exporter.errors import StoreError, Unavailable
from exporter.periods import ALWAYS, HOUR, Grain, Month, Window
from exporter.providers import Access, Meter, Options, ProviderSpec
from exporter.providers.focus_access import shown
from exporter.providers.focus_columns import Layout
from exporter.providers.focus_faults import refuse, refuse_cut_off, refuse_ragged
from exporter.providers.focus_files import Reading, Shard, opened
from exporter.providers.focus_manifests import Choice, choose
from exporter.providers.focus_objects import Address, Objects, Reach, installed
from exporter.providers.focus_places import Entry, Folder, Place, fingerprint, refuse_runs, refuse_strangers
from exporter.providers.focus_twins import refuse_twins


class FocusOptions(Options):
    """Where the bill is."""

    path: PathPattern = Field(
        description="A file, a folder (read with all its folders) or a glob, on this machine or behind `s3://`, `gs://`,"
        " `az://` or `abfss://`."
    )
    endpoint: str | None = Field(default=None, description="Another object storage than the vendor's own, by its URL.")
    region: str | None = Field(
        default=None, description="The region of an S3 bucket, where AWS_REGION does not say it."
    )
    account: str | None = Field(default=None, description="The Azure storage account of an `az://` path.")
    anonymous: bool = Field(default=False, description="Whether object storage is read without credentials.")

    @field_validator("path")
    @classmethod
    def _reachable(cls, path: str) -> str:
        if "://" in path:
            Address.parse(path)
            if not installed():
                raise ValueError("object storage needs one more package. hint: pip install 'cloudspend[objects]'")
        return path

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        given = [name for name in ("endpoint", "region", "account", "anonymous") if getattr(self, name)]
        if given and "://" not in self.path:
            raise ValueError(f"{given[0]} is for object storage, and path is on this machine")
        return self

    def place(self, meter: Meter) -> Place:
        """Where its files lie."""
        if "://" not in self.path:
            return Folder(self.path)
        return Objects(self.path, Reach(self.endpoint, self.region, self.account, self.anonymous), meter.request)


class Focus:
    """A bill in files. The files are the truth: each poll reads all that count, unless none has changed."""

    def __init__(self, options: FocusOptions, meter: Meter) -> None:
        self.options = options
        self.meter = meter
        self.place = options.place(meter)
        self._answers: dict[Grain, tuple[tuple[Ask, str], Bill]] = {}

    def fetch(self, ask: Ask) -> Bill:
        """Answer from the files. NotReady where there are none, BadData where one cannot be a bill."""
        self.meter.request("read")
        entries = self.place.entries()
        refuse_strangers(entries)
        question = (ask, fingerprint(entries))
        made_of = f"{__version__} {question[1]}"  # another version may read the same files otherwise
        if ask.known == made_of:
            return Bill(CostTable.nothing(), (), made_of=made_of, unchanged=True)
        kept = self._answers.get(ask.grain)
        if kept and kept[0] == question:
            return kept[1]
        choice = self.chosen(entries)
        if not choice.windows:
            refuse_runs(choice.entries)
        shards = self.shards(choice, ask)
        refuse_twins({shard.path: shard for shard in shards}.values())
        bill = self.bill([Layout(shard, ask.grain, ask.tags) for shard in shards], ask.window, choice)
        # What comes from object storage is a copy, and asked for as it was listed.
        if "://" not in self.options.path and fingerprint(self.place.entries()) != question[1]:
            changed = f"{self.options.path}: a file changed while it was read"
            raise Unavailable(changed, hint="the next try reads it whole")
        bill = replace(bill, made_of=made_of)
        self._answers[ask.grain] = (question, bill)
        return bill

    def access(self) -> Access:
        """List what is there, and look into the newest file, or all that are on this machine."""
        self.meter.request("read")
        entries = self.place.entries()
        refuse_strangers(entries)
        choice = self.chosen(entries)
        sample = replace(choice, entries=tuple(self.place.sample(choice.entries)))
        shards = self.shards(sample, Ask(ALWAYS))
        return shown(self.place, entries, choice, [Layout(shard, Grain.DAY, ()) for shard in shards])

    # What follows is all that another kind of export does otherwise (`export_files`).

    def chosen(self, entries: Sequence[Entry]) -> Choice:
        """The files that count."""
        return choose(entries, lambda entry: self.place.local(entry).read_bytes())

    def shards(self, choice: Choice, ask: Ask) -> list[Shard]:  # noqa: ARG002
        """The files that count, opened; one of them several times where its rows become several charges."""
        return [opened(self.place.local(entry), entry.name) for entry in choice.entries]

    def tidied(self, charges: engine.Kept) -> engine.Kept:
        """The charges as they are stored, from all that were grouped."""
        return charges

    def bill(self, layouts: list[Layout], window: Window, choice: Choice) -> Bill:
        """The charges in the window, summed to the stored grain."""
        return _bill(layouts, window, choice, self.tidied)


def _bill(layouts: list[Layout], window: Window, choice: Choice, tidied: Callable[[engine.Kept], engine.Kept]) -> Bill:
    if not layouts:
        return Bill(CostTable.of([]), _covered(_months(choice.windows), window), notes=tuple(_said(choice)))
    found = _grouped(layouts, window)
    grouped = tidied(found.table)
    billed = engine.run(f"SELECT DISTINCT {dimension('billing_month')} FROM {grouped.name}")
    months = {*_months(choice.windows), *(Month.parse(month) for (month,) in billed)}
    names = engine.run(
        f"SELECT SubAccountId, max(SubAccountName) FROM {grouped.name} WHERE SubAccountName <> '' GROUP BY ALL"
    )
    return Bill(
        costs=CostTable.over(f"SELECT {', '.join(NAMES)} FROM {grouped.name}", owner=grouped),
        covered=_covered(months, window),
        accounts=dict(names),
        rates=_rates(grouped),
        notes=(*_notes(found.layouts, found.uneven), *_findings(grouped), *_said(choice)),
        rounded=found.rounded,
    )


def _rates(grouped: engine.Kept) -> dict[str, BilledRate]:
    """What the newest month that is told in dollars too says of each currency."""
    sums = engine.run(
        f"SELECT BillingCurrency, {dimension('billing_month')} AS month, sum(dollars)::{SQL_TYPE},"
        f" sum(of_which)::{SQL_TYPE} FROM {grouped.name} WHERE of_which > 0 AND BillingCurrency <> 'USD'"
        " GROUP BY ALL ORDER BY month"
    )
    return {currency: BilledRate.implied(Month.parse(month), *pair) for currency, month, *pair in sums}


def _months(told: Iterable[Window]) -> set[Month]:
    """The billing months of a manifest's windows; half a day on, one cut in another zone bears its own name."""
    return {Month.containing(window.start + timedelta(hours=12)) for window in told}


def _covered(months: set[Month], asked: Window) -> tuple[Scope, ...]:
    """A file answers for its billing months, on whatever days their charges lie; of others it says nothing.

    A re-export without its last days so takes them away, and a file that was moved away leaves its history.
    """
    return (Scope(asked, billing=tuple(sorted(months))),) if months else ()


@dataclass(frozen=True, slots=True)
class _Grouped:
    """All charges summed to the stored grain, and how many rows had something to say of."""

    layouts: list[Layout]
    table: engine.Kept
    bad: int
    rounded: int
    uneven: int


def _grouped(layouts: list[Layout], window: Window) -> _Grouped:
    """One pass over all files; more of them only where the files need it."""
    found = _read(layouts, window)
    if found.bad:
        # Rare: dates with slashes. How to read them takes the whole file, so only now is it asked.
        layouts = [layout.dated() for layout in found.layouts]
        if any(layout.dates for layout in layouts):
            found = _counted(layouts, window)
    if found.bad:
        raise refuse(found.layouts, window)
    if found.uneven:
        for layout in found.layouts:
            refuse_cut_off(layout.shard)
    if found.rounded:
        # Rare: more than 24 decimals.
        found = replace(found, table=_table(found.layouts, window, rounding=True))
        [(bad,)] = engine.run(f"SELECT sum(bad) FROM {found.table.name}")
        if bad:  # more digits than even a whole number holds
            raise refuse(found.layouts, window)
    return found


def _read(layouts: list[Layout], window: Window) -> _Grouped:
    """In the first way to read CSV that can: `Reading` has the reasons."""
    try:
        return _counted(layouts, window)
    except StoreError as error:
        if "quoted new lines" not in str(error.__cause__):  # the first line of DuckDB's error does not say
            raise refuse(layouts, window, error) from error
    try:
        return _counted([layout.read_as(Reading.STRICT) for layout in layouts], window)
    except StoreError:
        for layout in layouts:
            refuse_ragged(layout)
    layouts = [layout.read_as(Reading.CHECKED) for layout in layouts]
    try:
        return _counted(layouts, window)
    except StoreError as error:
        raise refuse(layouts, window, error) from error


def _counted(layouts: list[Layout], window: Window) -> _Grouped:
    table = _table(layouts, window, rounding=False)
    counts = ", ".join(f"coalesce(sum({count}), 0)::BIGINT" for count in ("bad", "rounds", "uneven"))
    [(bad, rounded, uneven)] = engine.run(f"SELECT {counts} FROM {table.name}")
    return _Grouped(layouts, table, bad, rounded, uneven)


def _table(layouts: list[Layout], window: Window, *, rounding: bool) -> engine.Kept:
    """All charges, grouped. Files of one form are one scan: a year of daily files is not 365 statements in one."""
    forms: dict[tuple[object, ...], list[Layout]] = {}
    for layout in layouts:
        forms.setdefault(layout.form, []).append(layout)
    parts = [first.with_files(others).select(window, rounding=rounding) for first, *others in forms.values()]
    keys, sums = Layout.KEYS, Layout.SUMS
    return engine.Kept(
        f"SELECT {', '.join(keys)}, {', '.join(sums)} FROM ({' UNION ALL BY NAME '.join(parts)}) GROUP BY ALL"
    )


def _notes(layouts: list[Layout], uneven: int) -> list[Note]:
    """What the headers and the shape of the rows tell."""
    versions = sorted({layout.shard.version for layout in layouts} - {""})
    notes = [Note("focus_version", f"FOCUS {', '.join(versions)}, read from the headers")] if versions else []
    if any("EffectiveCost" not in layout.shard.columns for layout in layouts):
        notes.append(Note("no_effective_cost", "the bill has no EffectiveCost; effective repeats billed"))
    spellings = sorted({layout.shard.spelling for layout in layouts} - {""})
    if spellings:
        notes.append(Note("header_spelling", f"columns are named {', '.join(spellings)}"))
    if any(layout.shard.delimiter == ";" for layout in layouts):
        notes.append(Note("delimiter", "semicolons stand between the fields, as in the header"))
    if uneven:
        notes.append(Note("uneven_rows", f"{uneven} rows have more or fewer fields than the header, none that counts"))
    dates = sorted({(layout.dates.order.value, layout.dates.because) for layout in layouts if layout.dates})
    if dates:
        said = "; ".join(f"dates are read as {order}: {because}" for order, because in dates)
        notes.append(Note("date_order", said))
    return notes


def _findings(grouped: engine.Kept) -> list[Note]:
    """What the charges tell."""
    strangers = engine.run(f"SELECT DISTINCT stranger FROM {grouped.name} WHERE stranger <> '' ORDER BY ALL")
    notes = [Note("unknown_charge_category", f"{word!r} is kept as Adjustment") for (word,) in strangers]
    silent = engine.run(
        f"SELECT ServiceProviderName FROM {grouped.name} WHERE CostBasis = 'reported' GROUP BY ALL"
        " HAVING bool_and(EffectiveCost = 0) AND sum(BilledCost) FILTER (ChargeCategory = 'Usage') <> 0 ORDER BY ALL"
    )
    if silent:
        vendors = ", ".join(vendor for (vendor,) in silent)
        notes.append(Note("zero_effective_cost", f"EffectiveCost is 0 throughout: {vendors}; kept as given"))
    return notes


def _said(choice: Choice) -> list[Note]:
    return [Note("manifests", "; ".join(choice.passed_over))] if choice.passed_over else []


SPEC = ProviderSpec(
    name="focus",
    options=FocusOptions,
    connect=Focus,
    settles_after=timedelta(hours=48),
    poll_every=HOUR,
    permissions=("read access to the files", "s3:ListBucket and s3:GetObject, or the like, for object storage"),
    history=None,
    grains=frozenset({Grain.DAY, Grain.HOUR}),
)
