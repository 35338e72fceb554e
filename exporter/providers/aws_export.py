"""AWS exports in S3 or in a folder: Cost and Usage Reports, 2.0 and legacy, and FOCUS.

The manifest is read first, and only the files that it names count: old runs stay in the bucket where an export writes
new files. FOCUS exports take the road of the `focus` provider; reports are made into FOCUS on the way
(`aws_export_columns`). How exports are laid out: AWS Data Exports user guide, "Understanding export delivery"; AWS Cost
and Usage Reports user guide, "Cost and Usage Report files".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from pydantic import Field

from exporter.costs import Bill, CostBasis, CostTable, engine
from exporter.costs.bill import Ask
from exporter.costs.engine import literal
from exporter.errors import BadData, NotReady
from exporter.periods import HOUR, Grain, Month, Window
from exporter.providers import ProviderSpec, focus_names
from exporter.providers import aws_export_columns as report
from exporter.providers.export_files import Native, NativeShard
from exporter.providers.focus import Focus, FocusOptions
from exporter.providers.focus_columns import Layout
from exporter.providers.focus_files import Shard, opened
from exporter.providers.focus_manifests import CUR, FOCUS, Choice, choose, parse
from exporter.providers.focus_places import Entry

# Data Exports (`data/BILLING_PERIOD=2024-09/`) and legacy reports (`20240901-20241001/`) always come with manifests.
_DELIVERED = re.compile(r"/(data/billing_period=[^/]+|\d{8}-\d{8})/", re.IGNORECASE)


class AwsExportOptions(FocusOptions):
    """Where the export is, and what it holds."""

    kind: Literal["auto", "focus", "cur2", "cur"] = Field(
        default="auto",
        description="What the export holds: `focus`, `cur2` or the legacy `cur`; `auto` tells by the header. Another"
        " kind than the one given is refused.",
    )


class AwsExport(Focus):
    """One export. Like the `focus` provider it reads all files that count, unless none has changed."""

    options: AwsExportOptions

    def chosen(self, entries: Sequence[Entry]) -> Choice:
        """The files that the newest complete manifest of each billing period names."""

        def read(entry: Entry) -> bytes:
            return self.place.local(entry).read_bytes()

        told = [parse(entry.name, read(entry), entry) for entry in entries if entry.is_manifest]
        roots = sorted({manifest.root for manifest in told if manifest})
        if len(roots) > 1:
            raise BadData(
                f"{self.options.path} holds {len(roots)} exports, {roots[0]} and {roots[1]} among them",
                hint="they may tell one bill twice; let `path` name one export, <prefix>/<export name>",
            )
        if not roots and any(_DELIVERED.search(entry.name) for entry in entries):
            raise NotReady(
                f"{self.options.path}: no manifest, which says which files count",
                hint="let `path` name the whole export, <prefix>/<export name>; AWS writes the manifest last",
            )
        return choose(entries, read, (FOCUS, CUR))

    def shards(self, choice: Choice, ask: Ask) -> list[Shard]:
        """FOCUS files as they are, each file of a report in its two readings."""
        files = [Native(self.place.local(entry), entry.name, report.canonical) for entry in choice.entries]
        reports = [native for native in files if self._is_report(native)]
        if not reports:
            return [opened(native.path, native.name) for native in files]
        strange = next((native.name for native in files if native not in reports), None)
        if strange:
            raise BadData(
                f"{strange}: holds FOCUS, and other files at {self.options.path} a Cost and Usage Report",
                hint="they may tell one bill twice; let `path` name one export",
            )
        net = {
            period
            for statement in {report.net_months(native) for native in files} - {None}
            for (period,) in engine.run(statement or "")
        }
        return [shard for native in files for shard in report.Report(native, net, ask.tags).shards()]

    def _is_report(self, native: Native) -> bool:
        """Whether a file is a report; BadData where it is not what it should be."""
        kind, cur = self.options.kind, report.is_cur(native)
        focus = not cur and focus_names.missing(focus_names.read(native.header).columns) is None
        legacy = any("/" in column for column in native.header)  # in CSV; in Parquet both are written alike
        if not cur and not focus and kind != "focus":
            raise BadData(
                f"{native.name}: row 1: no column {report.LINE_TYPE}",
                hint="an export holds CUR 2.0, a legacy Cost and Usage Report, or FOCUS",
            )
        if (kind == "focus" and cur) or (kind in ("cur", "cur2") and not cur) or (kind == "cur2" and legacy):
            found = "FOCUS" if focus else "a legacy report" if legacy else "a Cost and Usage Report"
            raise BadData(f"{native.name}: holds {found}, and `kind` says {kind}", hint="let `kind` be auto")
        return cur

    def tidied(self, charges: engine.Kept) -> engine.Kept:
        """Without the pairs of savings plans that cancel, and without unused parts of nothing."""
        cancelled = f"ServiceName = {literal(report.NEGATION)} AND BilledCost = 0"
        all_used = "CommitmentDiscountStatus = 'Unused' AND BilledCost = 0 AND EffectiveCost = 0"
        return engine.Kept(f"SELECT * FROM {charges.name} WHERE NOT ({cancelled}) AND NOT ({all_used})")

    def bill(self, layouts: list[Layout], window: Window, choice: Choice) -> Bill:
        """The charges in the window; of a report also which months are open."""
        bill = super().bill(layouts, window, choice)
        if not any(isinstance(layout.shard, NativeShard) for layout in layouts):
            return bill
        # "Until the report is final, the InvoiceId is blank" (CUR data dictionary, bill/InvoiceId).
        found = bill.costs.by("billing_month", "invoice").rows()
        unpaid = {line.key[0] for line in found if line.key[1] == "none" and line.billed}
        return replace(
            bill,
            costs=_computed(bill.costs),
            open_months=frozenset(map(Month.parse, unpaid)),
        )


def _computed(costs: CostTable) -> CostTable:
    return costs.mapped(
        CostBasis=f"CASE CostBasis WHEN '{CostBasis.REPORTED}' THEN '{CostBasis.COMPUTED}' ELSE CostBasis END"
    )


SPEC = ProviderSpec(
    name="aws_export",
    options=AwsExportOptions,
    connect=AwsExport,
    settles_after=timedelta(hours=48),
    poll_every=2 * HOUR,  # exports are refreshed up to three times a day; looking is a list request
    permissions=("s3:ListBucket", "s3:GetObject"),
    label="aws",
    history=None,
    grains=frozenset({Grain.DAY, Grain.HOUR}),
)
