"""A check as most are written in Python: a click command that asks by urllib. `python -m … URL`, or the file itself."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from urllib.request import urlopen

import click


@click.command()
@click.argument("url")
@click.option("-w", "--warning", type=float, default=80)
@click.option("-c", "--critical", type=float, default=100)
def check(url: str, warning: float, critical: float) -> None:
    """Check budgets."""
    with urlopen(f"{url}/api/v1/check", timeout=10) as answer:  # noqa: S310
        budgets = json.load(answer)["budgets"]
    used = max(Decimal(each["spent"]) * 100 / Decimal(each["limit"]) for each in budgets)
    click.echo(f"BUDGET - {used:.1f} % used | used={used:.2f}%;{warning};{critical}")
    sys.exit(2 if used > critical else 1 if used > warning else 0)


if __name__ == "__main__":
    check()
