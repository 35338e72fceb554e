"""`cloudspend store`: the data folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exporter.cli.settings import chosen, configuration
from exporter.config.schema import Config
from exporter.errors import StoreError
from exporter.polling import settled
from exporter.polling.sources import Paths
from exporter.polling.worker import exclusive
from exporter.store.lake import Lake
from exporter.store.state import State


@click.group()
def store() -> None:
    """Check, copy or prune what is stored."""


@store.command()
@configuration
def check(file: Path | None, *, demo: bool) -> None:
    """Read every stored file and say what is wrong; exit 1 where something is."""
    paths = Paths(chosen(file, demo=demo).store.path)
    lake = Lake(paths.lake)
    with State(paths.state) as state:
        wrong = [*lake.check(), *(f"{paths.state.name}: {problem}" for problem in state.check())]
    for problem in wrong:
        click.echo(problem, err=True)
    if wrong:
        click.echo("the next poll restores or reads again what is damaged", err=True)
        sys.exit(1)
    for source, rows in sorted(lake.sources().items()):
        click.echo(f"{source}: {rows} rows")
    click.echo("ok", err=True)


@store.command()
@configuration
@click.argument("folder", type=click.Path(path_type=Path))
def backup(file: Path | None, folder: Path, *, demo: bool) -> None:
    """Copy bills, state and history into FOLDER, which must not exist: a data folder of its own.

    Waits for a running poll.
    """
    paths = Paths(chosen(file, demo=demo).store.path)
    copy = Paths(folder)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}") from error
    with exclusive(paths.writer_lock), State(paths.state) as state:
        Lake(paths.lake).copy_to(copy.lake)
        state.copy_to(copy.state)
        settled.record(paths).copy_to(settled.record(copy).folder)
    click.echo(f"copied to {folder}", err=True)


@store.command()
@configuration
@click.argument("source")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(file: Path | None, source: str, *, yes: bool, demo: bool) -> None:
    """Drop the history of SOURCE, and all that is remembered of it. Waits for a running poll."""
    config = chosen(file, demo=demo)
    paths = Paths(config.store.path)
    lake = Lake(paths.lake)
    known = lake.sources()
    if source not in known:
        hint = f"hint: one of {', '.join(known)}" if known else "hint: nothing is stored"
        raise click.BadParameter(f"nothing is stored of {source!r}. {hint}", param_hint="SOURCE")
    again = " It is configured, so its next poll reads all that its API still has." if source in _names(config) else ""
    if not yes:
        click.confirm(f"Drop {known[source]} rows of {source}?{again}", abort=True, err=True)
    with exclusive(paths.writer_lock), State(paths.state) as state:
        rows = lake.forget(source)
        state.forget(source)
    click.echo(f"{rows} rows of {source} dropped", err=True)


def _names(config: Config) -> set[str]:
    return {each.name for each in config.sources}
