"""A real bill for trying things out: the FOCUS 1.0 sample, its dates moved so that it ends yesterday.

1,000 anonymised lines from AWS, Microsoft and Oracle (`sample/NOTICE` has origin and licence). All dates move by the
same number of whole days; billing periods become the UTC months that the charges then lie in.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import as_file, files

from exporter.clock import Clock
from exporter.costs import Ask, Bill, Note, Scope
from exporter.periods import ALWAYS, DAY, Grain, day_of, midnight
from exporter.providers import Meter, Options, ProviderSpec
from exporter.providers.focus import Focus, FocusOptions


class DemoFocusOptions(Options):
    """There is nothing to choose."""


class DemoFocus:
    """The FOCUS sample, moved to the present."""

    def __init__(self, options: DemoFocusOptions, meter: Meter, clock: Clock | None = None) -> None:
        self.options = options
        self.meter = meter
        self.clock = clock or Clock.from_environment(may_freeze=True)

    def fetch(self, ask: Ask) -> Bill:
        """Answer with the sample's charges, moved."""
        with as_file(files("exporter.providers").joinpath("sample/focus_sample.csv.gz")) as path:
            bill = Focus(FocusOptions(path=str(path)), self.meter).fetch(Ask(ALWAYS, ask.grain, ask.tags))
        [(newest,)] = bill.costs.select("max(ChargePeriodStart)::DATE")
        days = (day_of(self.clock.now()) - DAY - newest).days
        moved = f"ChargePeriodStart + INTERVAL ({days}) DAY"
        costs = bill.costs.mapped(
            ChargePeriodStart=moved,
            ChargePeriodEnd=f"ChargePeriodEnd + INTERVAL ({days}) DAY",
            BillingPeriodStart=f"date_trunc('month', {moved})",
        )
        until = midnight(day_of(self.clock.now()))
        covered = ask.window.meet(ALWAYS)
        return Bill(
            costs=costs.during(ask.window),
            # Each day the whole bill moves on by one, so all that it was before is replaced.
            covered=(Scope(covered),) if covered else (),
            accounts=bill.accounts,
            notes=(
                *bill.notes,
                Note("moved", f"the bill of September 2024, moved {days} days to end at {until:%Y-%m-%d}"),
            ),
        )


SPEC = ProviderSpec(
    name="demo_focus",
    options=DemoFocusOptions,
    connect=DemoFocus,
    settles_after=timedelta(hours=12),
    poll_every=timedelta(hours=6),
    history=None,
    grains=frozenset({Grain.DAY, Grain.HOUR}),
)
