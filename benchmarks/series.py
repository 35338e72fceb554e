"""Invented series with the names and labels of ours: the same ones for every contender."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

from exporter.costs.money import MONEY, PLACES
from exporter.metrics.catalog import CATALOG
from exporter.metrics.exposition import Family

NAMES = ("cloudspend_daily_cost", "cloudspend_month_to_date_cost", "cloudspend_previous_month_cost")

_SERVICES = {
    "aws": (
        "Amazon Elastic Compute Cloud - Compute",
        "EC2 - Other",
        "Amazon Simple Storage Service",
        "AWS Lambda",
        "Amazon Relational Database Service",
        "Amazon DynamoDB",
        "AmazonCloudWatch",
        "AWS Key Management Service",
        "Amazon Virtual Private Cloud",
        "Amazon Elastic Load Balancing",
        "Amazon Route 53",
        "Savings Plans for AWS Compute usage",
    ),
    "azure": (
        "Virtual Machines",
        "Storage",
        "Azure SQL Database",
        "Bandwidth",
        "Azure Kubernetes Service",
        "Azure App Service",
        "Log Analytics",
        'Rosetta "Marketplace" \\ GmbH',
    ),
    "gcp": ("Compute Engine", "Cloud Storage", "BigQuery", "Cloud SQL", "Kubernetes Engine", "Cloud Run", "Networking"),
}
_REGIONS = {
    "aws": ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2", "global"),
    "azure": ("eastus", "westeurope", "northeurope", "uksouth", "japaneast"),
    "gcp": ("us-central1", "europe-west1", "europe-west4", "asia-southeast1", "global"),
}
_CATEGORIES = ("usage", "credit")


def families(count: int, seed: int = 7) -> list[Family]:
    """`count` series in the three families of the bill's lines, amounts of up to ten decimals."""
    rolled = random.Random(seed)  # noqa: S311  not for secrets
    each = -(-count // len(NAMES))
    lines = list(itertools.islice(_lines(), each))
    found = []
    for number, name in enumerate(NAMES):
        some = lines[: count - number * each]
        found.append(Family(CATALOG[name], [(labels, _amount(rolled)) for labels in some]))
    return found


def _lines() -> itertools.chain[tuple[str, ...]]:
    return itertools.chain.from_iterable(map(_account, itertools.count()))


def _account(number: int) -> list[tuple[str, ...]]:
    provider = tuple(_SERVICES)[number % len(_SERVICES)]
    account = f"{100_000_000_000 + number * 7919}"
    combinations = itertools.product(_SERVICES[provider], _REGIONS[provider], _CATEGORIES)
    return [("bill", provider, account, service, region, kind, "USD") for service, region, kind in combinations]


def _amount(rolled: random.Random) -> Decimal:
    """Of ten decimals, and with the zeros up to 24 that the store writes behind them."""
    units = int(10 ** rolled.uniform(4, 14)) * rolled.choice((1, 1, 1, -1))
    return Decimal(units * 10 ** (PLACES - 10)).scaleb(-PLACES, MONEY)
