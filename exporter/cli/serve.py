"""`cloudspend serve`: the daemon."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from exporter import app
from exporter.cli.settings import DEFAULT, chosen, configuration
from exporter.clock import Clock
from exporter.config.budget_files import folder_of

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
@click.option(
    "--web.config.file",
    "web_config",
    type=click.Path(path_type=Path),
    help="TLS, users and headers, in a file such as Prometheus' own exporters take. Read again when it changes.",
)
@click.pass_obj
def serve(debug: bool, file: Path | None, address: str, web_config: Path | None, *, demo: bool) -> None:  # noqa: FBT001  click passes it
    """Poll the sources and serve /metrics. SIGHUP or POST /-/reload reads the configuration again.

    It is read again by itself when a file in its folder of budgets has changed.

    \b
    cloudspend serve --demo
    cloudspend serve --config cloudspend.yml --web.listen-address 127.0.0.1:9753
    cloudspend serve --config cloudspend.yml --web.config.file web.yml
    """
    app.serve(
        chosen(file, demo=demo),
        address,
        Clock.from_environment(),
        read=partial(chosen, file, demo=demo) if not demo else None,
        folder=partial(folder_of, file or Path(DEFAULT), os.environ) if not demo else None,
        web_config=web_config,
        debug=debug,
    )
