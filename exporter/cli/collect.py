"""`cloudspend collect`: poll once, now, and publish; or back-fill."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import click

from exporter.cli.settings import DATE, DOLLARS, chosen, configuration, named, one_shot_clock
from exporter.clock import Clock
from exporter.config.schema import Config, HourlySnapshotSettings
from exporter.costs.money import add, text
from exporter.notify.lanes import lanes
from exporter.periods import DAY, Month, Window, day_of
from exporter.polling import backfill, sources, worker
from exporter.polling.sources import Paths, Source
from exporter.store.state import Failure, State, Success

_NOTIFY_PATIENCE = timedelta(minutes=1)
"""How long `--notify` waits for channels that do not answer, or are full."""


@click.command()
@configuration
@click.option("--start", type=DATE, metavar="DAY", help="Back-fill from this UTC day on.")
@click.option("--end", type=DATE, metavar="DAY", help="… to this UTC day, excluded.  [default: tomorrow]")
@click.option("--providers", help="Only these sources: names, provider modules or provider labels, comma separated.")
@click.option(
    "--max-cost",
    type=DOLLARS,
    metavar="USD",
    default=Decimal(1),
    show_default=True,
    help="Ask before a back-fill that costs more.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--notify", "telling", is_flag=True, help="Tell the channels what is new, and wait until they have it.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write hourly snapshots into this folder.  [default: hourly_snapshots.path]",
)
def collect(
    file: Path | None,
    start: datetime | None,
    end: datetime | None,
    providers: str | None,
    max_cost: Decimal,
    data_dir: Path | None,
    *,
    yes: bool,
    telling: bool,
    demo: bool,
) -> None:
    """Poll every source once, now, whether it is due or not.

    With --start it back-fills month by month, the newest first: an interrupted run leaves the recent past whole, and
    the same command again goes on where it stopped.

    \b
    cloudspend collect --config cloudspend.yml
    cloudspend collect --notify
    cloudspend collect --config accounts.csv --data-dir ./data
    cloudspend collect --start 2024-01-01 --end 2024-10-01 --providers aws-prod
    """
    config, clock = chosen(file, demo=demo), one_shot_clock()
    if end and not start:
        raise click.UsageError("--end needs --start")
    if start and telling:
        raise click.UsageError("--notify goes with a poll, not with a back-fill: old news are no news")
    if telling and not lanes(config).named:
        raise click.UsageError("--notify needs a channel. hint: notify.channels")
    if data_dir:
        config = _with_files(config, data_dir, start)
    words = [word.strip() for word in providers.split(",")] if providers else ()
    wanted = named(sources.resolve(config), words, "--providers")
    if start is None:
        names = [source.name for source in wanted]
        outcomes = worker.run(config, clock, names, None, _say)
        told = not telling or _tell(config, clock)
        if any(isinstance(outcome, Failure) for outcome in outcomes.values()) or not told:
            sys.exit(1)
        return
    _backfill(config, clock, wanted, _window(start, end, clock), max_cost, sure=yes)


def _tell(config: Config, clock: Clock) -> bool:
    """Send what is new. Whether every channel has it; what waits is sent by the next run, or by the exporter."""
    from exporter.notify.postman import deliver_once

    paths = Paths(config.store.path)
    left = deliver_once(config, paths.state, paths.snapshots, clock, _NOTIFY_PATIENCE)
    for name, count in left.items():
        waits = "1 message waits" if count == 1 else f"{count} messages wait"
        click.echo(f"{name}: {waits}; cloudspend notify --list says why", err=True)
    return not left


def _with_files(config: Config, folder: Path, start: datetime | None) -> Config:
    """The configuration with hourly snapshots in a folder."""
    if start:
        raise click.UsageError("--data-dir goes without --start: what is back-filled has no hour")
    return config.model_copy(update={"hourly_snapshots": HourlySnapshotSettings(path=folder.absolute())})


def _window(start: datetime, end: datetime | None, clock: Clock) -> Window:
    until: date = end.date() if end else day_of(clock.now()) + DAY
    if until <= start.date():
        raise click.BadParameter("the end lies before the start", param_hint="--end")
    return Window.of_days(start.date(), until)


def _backfill(
    config: Config, clock: Clock, wanted: Sequence[Source], whole: Window, max_cost: Decimal, *, sure: bool
) -> None:
    with State(Paths(config.store.path).state) as state:
        runs = [backfill.Run.prepared(source, whole, state, clock.now()) for source in wanted]
        for run in runs:
            for line in run.said():
                click.echo(line, err=True)
        if not any(run.todo for run in runs):
            sys.exit(1)  # each has said why: nothing is kept that far back
        _agree(add(*(run.price(state).usd for run in runs)), max_cost, sure=sure)
        failed = False
        for month in backfill.months(runs):
            windows = {run.source.name: run.todo[month] for run in runs if month in run.todo}
            left = [run for run in runs if month in run.todo and not run.failed]
            # Edges of the history lie inside of a month, so one month may be a different window for each source.
            for window in sorted({windows[run.source.name] for run in left}):
                names = [run.source.name for run in left if windows[run.source.name] == window]
                outcomes = worker.run(config, clock, names, window, partial(_say, month=month))
                for run in left:
                    if run.source.name in outcomes:
                        failed |= run.note(month, outcomes[run.source.name], state)
        if failed:
            sys.exit(1)


def _agree(price: Decimal, limit: Decimal, *, sure: bool) -> None:
    """Go on with a back-fill of this price, or end. Exit code 1 where somebody says no, 2 where nobody is there."""
    if not price:
        return
    click.echo(f"this back-fill costs about {text(price)} USD", err=True)
    if sure or price <= limit:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{text(price)} USD are more than --max-cost ({text(limit)}), and nobody is here to be asked. hint: --yes"
        )
    click.confirm(f"That is more than {text(limit)} USD. Go on?", abort=True, err=True)


def _say(name: str, outcome: Success | Failure, month: Month | None = None) -> None:
    what = f" {month}" if month else ""
    if isinstance(outcome, Success):
        click.echo(f"{name}{what}: ok, {outcome.rows} rows stored, {outcome.seconds:.1f} s", err=True)
    else:
        hint = f". hint: {outcome.hint}" if outcome.hint else ""
        click.echo(f"{name}{what}: {outcome.reason}: {outcome.message}{hint}", err=True)
