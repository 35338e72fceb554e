"""`cloudspend serve`: the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import app
from exporter.cli.settings import chosen, configuration
from exporter.clock import Clock

PORT = 9753


@click.command()
@configuration
@click.option(
    "--web.listen-address",
    "address",
    default=f":{PORT}",
    show_default=True,
    help="HOST:PORT to serve on; no host means every address, port 0 a free port.",
)
@click.pass_obj
def serve(debug: bool, file: Path | None, address: str, *, demo: bool) -> None:  # noqa: FBT001  click passes it
    """Poll the sources and serve /metrics.

    \b
    cloudspend serve --demo
    cloudspend serve --config cloudspend.yml --web.listen-address 127.0.0.1:9753
    """
    app.serve(chosen(file, demo=demo), address, Clock.from_environment(), debug=debug)
