"""Which configuration a command runs with: a file, or the built-in demo."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from exporter.clock import Clock
from exporter.config import values
from exporter.config.load import load, read
from exporter.config.schema import Config
from exporter.errors import CloudspendError
from exporter.polling.sources import Paths, Registry, Source
from exporter.polling.sources import chosen as chosen_sources
from exporter.store.lake import Lake
from exporter.store.state import Failure

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = "cloudspend.yml"
ENVIRONMENT = "CLOUDSPEND_CONFIG"

COLLECT = "run 'cloudspend collect' with the same --config or --demo, or ask for other days"
"""What to do where nothing is stored."""

DATE = click.DateTime(["%Y-%m-%d"])
"""A UTC day on the command line."""


class _Dollars(click.ParamType[Decimal]):
    """US dollars, exactly."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Decimal:
        """`5` or `0.25`."""
        try:
            return value if isinstance(value, Decimal) else values.dollars(value)
        except ValueError as error:
            self.fail(str(error), param, context)


DOLLARS = _Dollars()
"""An amount in US dollars on the command line."""

DEMO = """\
store: {path: ./cloudspend-demo}
api_budget: {monthly_usd: 5}
sources:
  - {name: demo, provider: demo, tags: [team, env]}
  - {name: focus-sample, provider: demo_focus, hours: true}
budgets:
  - name: aws
    amount: 30000
    currency: USD
    provider: aws
    owner: platform
    adjust: {headroom: 20%, most_change: 100%, most: 1000000}
  - name: google-cloud
    amount: 10000
    currency: USD
    provider: gcp
    adjust: {headroom: 0%, most_change: 100%, most: 1000000}
  - name: development
    amount: 500
    account: "444455556666"
    thresholds: [50%, {at: 100%, severity: critical}]
"""


def configuration(command: F) -> F:
    """Add `--config` and `--demo` to a command."""
    command = click.option(
        "--demo",
        is_flag=True,
        help="Use an invented estate and a real sample bill, kept in ./cloudspend-demo and read by the first command.",
    )(command)
    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        envvar=ENVIRONMENT,
        show_envvar=True,
        help=f"Configuration file.  [default: ./{DEFAULT}]",
    )(command)


def chosen(file: Path | None, *, demo: bool) -> Config:
    """The configuration that the options mean; the demo, where asked for, whatever the environment names.

    ConfigError with every mistake in it.
    """
    if demo and _given("file"):
        raise click.UsageError("--demo goes without --config: they are two bills")
    if demo:
        return load(DEMO, Registry(), file="demo", folder=Path.cwd(), environment={})
    return read(file or Path(DEFAULT), Registry(), os.environ)


def _given(option: str) -> bool:
    """Whether an option stands on the command line."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) is ParameterSource.COMMANDLINE


def readable(file: Path | None, *, demo: bool) -> Config:
    """The same for a command that shows what is stored. The demo is read first where nobody has read it yet.

    StoreError where it cannot be kept, CloudspendError where it cannot be read. Check the words of a command before:
    this takes some seconds.
    """
    config = chosen(file, demo=demo)
    if demo and _unread(config):
        _read_demo(config)
    return config


def _read_demo(config: Config) -> None:
    # A poll loads what no other command should wait for.
    from exporter.polling import worker

    # Somebody may be reading it now.
    with worker.exclusive(Paths(config.store.path).writer_lock):
        nothing = len(_unread(config)) == len(config.sources)
    if nothing:
        click.echo(f"reading the demo into {config.store.path}, once", err=True)
        for name, outcome in worker.run(config, one_shot_clock()).items():
            if isinstance(outcome, Failure):
                raise CloudspendError(f"{name}: {outcome.message}. hint: {outcome.hint or 'see the log above'}")


def _unread(config: Config) -> list[str]:
    """The sources of which nothing is stored."""
    paths = Paths(config.store.path)
    lake = Lake(paths.lake)
    return [source.name for source in config.sources if lake.coverage(source.name) is None]


def named(sources: Sequence[Source], words: Sequence[str], where: str) -> tuple[Source, ...]:
    """The sources that words mean (names, provider modules, provider labels); all where there are none.

    BadParameter for a word that means none; `where` is the option or argument that it stands in.
    """
    for word in words:
        if not chosen_sources(sources, [word]):
            known = ", ".join(source.name for source in sources)
            raise click.BadParameter(f"{word!r} is no source here. hint: one of {known}", param_hint=where)
    return chosen_sources(sources, words or None)


def one_shot_clock() -> Clock:
    """The clock of a command that ends by itself: it may stand still."""
    return Clock.from_environment(may_freeze=True)
