"""The `cloudspend` command: one file per subcommand.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 found something wrong, 2 used wrongly.
"""

from __future__ import annotations

import sys

import click

from exporter import __version__, log
from exporter.cli.alerts import alerts
from exporter.cli.anomalies import anomalies
from exporter.cli.backtest import backtest
from exporter.cli.budgets import budget, budgets
from exporter.cli.cache import cache
from exporter.cli.check import check
from exporter.cli.collect import collect
from exporter.cli.config import config
from exporter.cli.costs import costs
from exporter.cli.forecast import forecast
from exporter.cli.history import history
from exporter.cli.init import init
from exporter.cli.notify import notify
from exporter.cli.plan import plan
from exporter.cli.push import export_prometheus, push
from exporter.cli.serve import serve
from exporter.cli.simulate import simulate
from exporter.cli.store import store
from exporter.cli.test_access import test_access, test_auth
from exporter.errors import CloudspendError, ConfigError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Log debug lines and tracebacks.")
@click.version_option(__version__, prog_name="cloudspend")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """Cloud bills as Prometheus metrics, alerts and checks."""
    context.obj = debug
    log.setup(debug=debug)


for command in (
    init,
    serve,
    collect,
    costs,
    anomalies,
    alerts,
    forecast,
    backtest,
    history,
    budgets,
    budget,
    config,
    plan,
    notify,
    test_access,
    test_auth,
    push,
    export_prometheus,
    cache,
    check,
    store,
    simulate,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit."""
    try:
        cli(standalone_mode=True)
    except ConfigError as error:
        click.echo(log.masked(str(error)), err=True)
        sys.exit(2)
    except CloudspendError as error:
        click.echo(f"error: {log.masked(str(error))}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of a pipe had enough
        sys.stderr.close()
        sys.exit(0)
