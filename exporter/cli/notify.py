"""`cloudspend notify`: try a channel, and see what waits and what failed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from exporter import log
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import chosen, configuration, one_shot_clock
from exporter.clock import Clock
from exporter.config.schema import Config
from exporter.errors import NotifyError
from exporter.notify import connect
from exporter.notify.lanes import lanes
from exporter.notify.message import read, trial
from exporter.polling.sources import Paths
from exporter.store.outbox import Letter
from exporter.store.state import State

_COLUMNS = ("channel", "state", "title", "since", "tries", "next_try", "reason", "error")


@click.command()
@configuration
@click.option("--test", metavar="CHANNEL", help="Send a test message to this channel, now and past the outbox.")
@click.option("--list", "listed", is_flag=True, help="Show what waits, and what was put aside and why.")
@click.option("--all", "everything", is_flag=True, help="With --list: what was sent, too.")
@click.option("--retry", metavar="CHANNEL", help="Let what was put aside wait anew; `all` for every channel.")
@click.option(
    "--format", "form", type=click.Choice([each.value for each in Format]), default="table", show_default=True
)
def notify(
    file: Path | None,
    test: str | None,
    retry: str | None,
    form: str,
    *,
    demo: bool,
    listed: bool,
    everything: bool,
) -> None:
    """Try a channel of `notify.channels`, or see what becomes of messages.

    Exit code 1: the channel did not take the message, or something was put aside.

    \b
    cloudspend notify --test finops
    cloudspend notify --list --format json
    cloudspend notify --retry all
    """
    if sum((test is not None, listed, retry is not None)) != 1:
        raise click.UsageError("say one of --test CHANNEL, --list and --retry CHANNEL")
    config, clock = chosen(file, demo=demo), one_shot_clock()
    if test is not None:
        _test(config, test, clock.now())
    elif retry is not None:
        _retry(config, retry, clock)
    else:
        _list(config, Format(form), everything=everything)


def _test(config: Config, name: str, now: datetime) -> None:
    found = lanes(config).named
    if name not in found:
        known = f"one of {', '.join(found)}" if found else "there are none: notify.channels is empty"
        raise click.BadParameter(f"{name!r} is no channel here. hint: {known}", param_hint="--test")
    try:
        connect(found[name]).send(trial(name, now))
    except NotifyError as error:
        click.echo(f"{name}: {error.reason}: {log.masked(str(error))}", err=True)
        sys.exit(1)
    click.echo(f"{name}: taken", err=True)


def _retry(config: Config, name: str, clock: Clock) -> None:
    with State(Paths(config.store.path).state) as state:
        count = state.try_again(clock.now(), None if name == "all" else name)
    what = "1 message waits" if count == 1 else f"{count} messages wait"
    click.echo(f"{what} anew; a running exporter sends within half a minute", err=True)


def _list(config: Config, form: Format, *, everything: bool) -> None:
    states = ("waiting", "dead", *(("sent", "bundled") if everything else ()))
    with State(Paths(config.store.path).state) as state:
        letters = state.letters(*states)
    click.echo(rendered(_records(letters), _COLUMNS, form, right=("tries",)))
    if any(letter.state == "dead" for letter in letters):
        sys.exit(1)


def _records(letters: Sequence[Letter]) -> list[Record]:
    return [
        {
            "channel": letter.channel,
            "state": _state(letter),
            "title": read(letter.body).heading,
            "since": f"{letter.made:%Y-%m-%dT%H:%M:%SZ}",
            "tries": letter.attempts,
            "next_try": f"{letter.due:%Y-%m-%dT%H:%M:%SZ}" if letter.state == "waiting" and letter.attempts else None,
            "reason": letter.reason,
            "error": letter.said,
        }
        for letter in letters
    ]


def _state(letter: Letter) -> str:
    """The state in a word: what failed and is tried again is not the same as what has just come."""
    if letter.state != "waiting":
        return letter.state
    if letter.held:
        return "held"
    return "failing" if letter.attempts else "waiting"
