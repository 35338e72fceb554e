"""`cloudspend cache`: the pages that were paid for."""

from __future__ import annotations

from pathlib import Path

import click

from exporter.cli.settings import chosen, configuration
from exporter.polling.sources import Paths
from exporter.store.state import State


@click.group()
def cache() -> None:
    """Pages of answers that were paid for, and are used again after a restart."""


@cache.command()
@configuration
@click.option("--source", help="Only those of this source.")
def clear(file: Path | None, source: str | None, *, demo: bool) -> None:
    """Drop them: the next poll asks, and pays, for everything."""
    config = chosen(file, demo=demo)
    names = [each.name for each in config.sources]
    if source is not None and source not in names:
        raise click.BadParameter(
            f"{source!r} is no source here. hint: one of {', '.join(names)}", param_hint="--source"
        )
    with State(Paths(config.store.path).state) as state:
        dropped = state.drop_pages(source)
    click.echo(f"{dropped} page{'' if dropped == 1 else 's'} dropped", err=True)
