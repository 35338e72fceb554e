"""`cloudspend config`: the configuration itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from exporter import log
from exporter.cli.settings import chosen, configuration
from exporter.config.describe import json_schema
from exporter.config.values import duration_text
from exporter.errors import ConfigError
from exporter.polling.sources import Registry, resolve


@click.group()
def config() -> None:
    """Check the configuration, or print its JSON schema."""


@config.command()
@configuration
def check(file: Path | None, *, demo: bool) -> None:
    """Say every mistake at once; exit 1 where there is one. Asks no cloud."""
    try:
        loaded = chosen(file, demo=demo)
        found = resolve(loaded)
    except ConfigError as error:
        click.echo(log.masked(str(error)), err=True)
        click.echo(f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}", err=True)
        sys.exit(1)
    for source in found:
        click.echo(
            f"{source.name}: {source.spec.name}, polled every {duration_text(source.poll_every)}"
            f", settles after {duration_text(source.settles_after)}"
        )
    click.echo("ok", err=True)


@config.command()
def schema() -> None:
    """Print the JSON schema of the configuration file, for editors."""
    click.echo(json.dumps(json_schema(Registry()), indent=2, ensure_ascii=False))
