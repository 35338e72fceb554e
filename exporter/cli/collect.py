"""`cloudspend collect`: poll once, now, and publish."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import click

from exporter.cli.settings import DATE, chosen, configuration, one_shot_clock
from exporter.clock import Clock
from exporter.config.schema import Config
from exporter.periods import DAY, Month, Window, day_of
from exporter.polling import sources, worker
from exporter.store.state import Failure, Success


@click.command()
@configuration
@click.option("--start", type=DATE, metavar="DAY", help="Back-fill from this UTC day on.")
@click.option("--end", type=DATE, metavar="DAY", help="… to this UTC day, excluded.  [default: tomorrow]")
@click.option("--providers", help="Only these sources: names, provider modules or provider labels, comma separated.")
def collect(
    file: Path | None, start: datetime | None, end: datetime | None, providers: str | None, *, demo: bool
) -> None:
    """Poll every source once, now, whether it is due or not.

    With --start it back-fills month by month, the newest first: an interrupted run leaves the recent past whole.

    \b
    cloudspend collect --config cloudspend.yml
    cloudspend collect --start 2024-01-01 --end 2024-10-01 --providers aws-prod
    """
    config, clock = chosen(file, demo=demo), one_shot_clock()
    if end and not start:
        raise click.UsageError("--end needs --start")
    names = _names(config, providers)
    failed: set[str] = set()
    for window in _windows(start, end, clock):
        left = [name for name in names if name not in failed]
        if left:
            outcomes = worker.run(config, clock, left, window, _say(window))
            failed |= {name for name, outcome in outcomes.items() if isinstance(outcome, Failure)}
    if failed:
        sys.exit(1)


def _names(config: Config, wanted: str | None) -> Sequence[str]:
    everything = sources.resolve(config)
    words = [word.strip() for word in wanted.split(",")] if wanted else None
    selected = sources.chosen(everything, words)
    for word in words or ():
        if not sources.chosen(everything, [word]):
            known = ", ".join(source.name for source in everything)
            raise click.BadParameter(f"{word!r} is no source here. hint: one of {known}", param_hint="--providers")
    return [source.name for source in selected]


def _windows(start: datetime | None, end: datetime | None, clock: Clock) -> Iterator[Window | None]:
    """None for a regular poll; else the back-fill cut into UTC months, the newest first."""
    if start is None:
        yield None
        return
    until: date = end.date() if end else day_of(clock.now()) + DAY
    if until <= start.date():
        raise click.BadParameter("the end lies before the start", param_hint="--end")
    whole = Window.of_days(start.date(), until)
    for month in sorted(whole.months(), reverse=True):
        part = whole.meet(month.window())
        assert part is not None, "months() yields months that the window touches"
        yield part


def _say(window: Window | None) -> worker.Report:
    what = f" {Month.containing(window.start)}" if window else ""

    def say(name: str, outcome: Success | Failure) -> None:
        if isinstance(outcome, Success):
            click.echo(f"{name}{what}: ok, {outcome.rows} rows stored, {outcome.seconds:.1f} s", err=True)
        else:
            hint = f". hint: {outcome.hint}" if outcome.hint else ""
            click.echo(f"{name}{what}: {outcome.reason}: {outcome.message}{hint}", err=True)

    return say
