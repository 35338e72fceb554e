"""`cloudspend check`: the check plugin by its longer name."""

from __future__ import annotations

import sys

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="WORDS")
def check(words: tuple[str, ...]) -> None:
    """Check costs as Icinga and Nagios do: one line; exit code 0 is OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

    It is `check_cloudspend`, which starts faster. WORDS are a check (budget, threshold, anomaly, freshness, alerts) and
    its options; without a check it is threshold. `cloudspend check budget --help` tells the options of one.

    \b
    cloudspend check budget --url http://exporter:9753
    cloudspend check --provider aws --threshold 1000 --critical 2000
    """
    from exporter.checks.command import run

    sys.exit(run(words, "cloudspend check"))
