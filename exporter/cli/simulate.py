"""`cloudspend simulate`: clouds on loopback, to try a configuration, an upgrade or an alert without a bill."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from exporter.clock import Clock
from exporter.errors import ConfigError, Problem
from exporter.simulator import clouds

_NEEDED = ("botocore", "pytz", "sqlglot", "trustme")


@click.command()
@click.option(
    "--write-config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where to write a configuration that reads the clouds.",
)
@click.option("--only", help="Only these clouds, comma separated: aws, azure, gcp.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another bill of the same shape.")
def simulate(file: Path, only: str | None, seed: int) -> None:
    """Run simulated clouds on free loopback ports until ended.

    Writes a ready configuration, with made-up credentials, to FILE, and to FILE.expected.json what the bills come to,
    by provider, service, region, day and currency. Prints READY when both are there. The vendors' own clients talk to
    these clouds over HTTP; each has a control plane that makes it fail: docs/how-to/simulate-clouds.md.

    \b
    cloudspend simulate --write-config sim.yml
    cloudspend serve --config sim.yml
    """
    _check_installed()
    names = _names(only)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    clock = Clock.from_environment()
    with (
        tempfile.TemporaryDirectory(prefix="cloudspend-simulate-") as folder,
        clouds.running(Path(folder), clock, names, seed) as running,
    ):
        now = clock.now()
        expected = {
            "as_of": now.isoformat(),
            "clouds": {cloud.server.name: cloud.server.url for cloud in running},
            "totals": [total for cloud in running for total in cloud.expected(now)],
        }
        file.with_name(file.name + ".expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        file.touch(mode=0o600)
        file.write_text(clouds.configuration(running, Path("cloudspend-simulated")))
        for cloud in running:
            click.echo(f"{cloud.server.name:<6} {cloud.server.url}", err=True)
        click.echo("READY")
        ended.wait()


def _names(only: str | None) -> Sequence[str]:
    names = [name.strip() for name in only.split(",")] if only else []
    for name in names:
        if name not in ("aws", "azure", "gcp"):
            raise click.BadParameter(f"{name!r} is not simulated. hint: one of aws, azure, gcp", param_hint="--only")
    return names


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        hint = "pip install 'cloudspend[simulator,aws,azure,gcp]'"
        raise ConfigError((Problem("simulate", f"needs {', '.join(missing)}", hint=hint),), file="command line")
