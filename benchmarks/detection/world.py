"""Invented bills: one row per provider × account × service × region, a column per day. Seeded, numpy alone.

Knows no detector. What is in it that must not alarm: weekdays, growth, wander, monthly fees, closes at month ends,
holidays, credits, outages and their end, heavy tails, rows that cost on some days only, rows that begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator

SERVICES = {
    "aws": ("ec2", "s3", "rds", "lambda", "cloudfront", "eks", "support", "bedrock", "glue", "vpc"),
    "gcp": ("compute", "storage", "bigquery", "gke", "run", "sql", "network", "vertex"),
    "azure": ("vm", "blob", "sql", "aks", "functions", "bandwidth", "monitor", "openai"),
}
REGIONS = {
    "aws": ("us-east-1", "eu-west-1", "ap-southeast-2"),
    "gcp": ("us-central1", "europe-west1", "asia-east1"),
    "azure": ("eastus", "westeurope", "japaneast"),
}
PROVIDERS = tuple(SERVICES)


class Family(NamedTuple):
    """A kind of series."""

    weight: float
    noise: tuple[float, float]
    """Standard deviation of a day, as a share of its level."""
    memory: tuple[float, float]
    """How much of a day's noise is the day before's."""
    weekend: tuple[float, float]
    heavy: float
    """Probability of heavy tails: Student's t, four degrees."""


HOME: Mapping[str, Family] = {
    "steady": Family(0.22, (0.004, 0.03), (0.0, 0.5), (0.97, 1.03), 0.2),
    "business": Family(0.22, (0.02, 0.10), (0.0, 0.5), (0.35, 0.85), 0.2),
    "consumer": Family(0.08, (0.03, 0.12), (0.1, 0.6), (1.05, 1.6), 0.3),
    "storage": Family(0.10, (0.003, 0.02), (0.0, 0.3), (1.0, 1.0), 0.1),
    "bursty": Family(0.12, (0.12, 0.35), (0.0, 0.4), (0.6, 1.1), 0.5),
    "batch": Family(0.07, (0.03, 0.12), (0.0, 0.2), (0.9, 1.1), 0.2),
    "intermittent": Family(0.10, (0.20, 0.50), (0.0, 0.0), (0.8, 1.0), 0.3),
    "monthly_fee": Family(0.05, (0.01, 0.06), (0.0, 0.3), (0.8, 1.0), 0.2),
    "dormant": Family(0.04, (0.10, 0.30), (0.0, 0.0), (1.0, 1.0), 0.0),
}
SHIFTED: Mapping[str, Family] = {
    "steady": Family(0.15, (0.006, 0.05), (0.1, 0.6), (0.95, 1.05), 0.3),
    "business": Family(0.18, (0.03, 0.14), (0.1, 0.6), (0.2, 0.7), 0.3),
    "consumer": Family(0.10, (0.04, 0.16), (0.2, 0.7), (1.1, 1.9), 0.4),
    "storage": Family(0.08, (0.004, 0.03), (0.0, 0.4), (1.0, 1.0), 0.2),
    "bursty": Family(0.10, (0.15, 0.40), (0.0, 0.5), (0.5, 1.2), 0.5),
    "batch": Family(0.06, (0.05, 0.15), (0.0, 0.3), (0.8, 1.2), 0.3),
    "intermittent": Family(0.08, (0.25, 0.60), (0.0, 0.0), (0.7, 1.0), 0.4),
    "monthly_fee": Family(0.05, (0.02, 0.08), (0.0, 0.4), (0.7, 1.0), 0.3),
    "dormant": Family(0.03, (0.10, 0.40), (0.0, 0.0), (1.0, 1.0), 0.0),
    # Families that the home world does not have.
    "workdays": Family(0.06, (0.02, 0.10), (0.0, 0.4), (0.0, 0.0), 0.2),
    "fortnight": Family(0.06, (0.02, 0.08), (0.0, 0.4), (0.5, 0.9), 0.2),
    "adopted": Family(0.05, (0.02, 0.08), (0.0, 0.4), (0.6, 1.0), 0.2),
}


@dataclass(frozen=True, slots=True)
class World:
    """What bills are like."""

    families: Mapping[str, Family] = field(default_factory=lambda: HOME)
    first: date = date(2025, 6, 1)
    days: int = 240
    series: int = 1000
    accounts: int = 12
    """Of each provider."""
    level: tuple[float, float] = (40.0, 1.8)
    """Median cost of a day, and the standard deviation of its logarithm."""
    growth: tuple[float, float, float, float] = (0.02, 0.04, -0.10, 0.15)
    """A month: mean, standard deviation, least, most."""
    wander: float = 0.12
    closes: float = 0.2
    """Share of the business and batch series with a busy month end."""
    fees: float = 0.04
    """Share of all series with a charge on one day of the month."""
    workday_fees: float = 0.0
    """Share of those fees that come on the first weekday instead of on a date."""
    holidays: float = 0.5
    credits: float = 0.08
    outages: float = 0.06
    events: float = 0.55
    """Share of the series to which something happens."""
    second: float = 0.15
    begin: float = 0.15
    """Share of the series that begin within the days."""
    prices: bool = True
    """One price change of one service."""


SHIFT = World(
    families=SHIFTED,
    first=date(2026, 2, 10),
    level=(25.0, 2.1),
    growth=(0.03, 0.06, -0.15, 0.25),
    wander=0.2,
    closes=0.3,
    fees=0.08,
    workday_fees=0.4,
    holidays=0.7,
    credits=0.12,
    outages=0.10,
    begin=0.2,
)
"""Other families, noisier, faster, with more that must not alarm; in another season."""

Labels = tuple[str, str, str, str]


@dataclass(slots=True)
class Plain:
    """One world's bills before anything happens in them."""

    world: World
    seed: int
    costs: Floats
    """Series × days, NaN before a series begins."""
    shape: Floats
    """What a day without noise costs."""
    noise: Floats
    """Standard deviation of each series' days, as a share of the level."""
    levels: Floats
    active: NDArray[np.bool_]
    """Whether a series that costs on some days only does so."""
    begin: NDArray[np.int64]
    labels: tuple[Labels, ...]
    families: tuple[str, ...]
    dates: NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class _Days:
    """The calendar of a world."""

    weekday: NDArray[np.int64]
    day: NDArray[np.int64]
    from_end: NDArray[np.int64]
    """1 on a month's last day."""
    workday: NDArray[np.bool_]
    """The first weekday of a month that is no weekend."""
    holiday: NDArray[np.bool_]

    @classmethod
    def of(cls, world: World, random: Random) -> _Days:
        days = [world.first + timedelta(place) for place in range(world.days)]
        ends = [((day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)).day for day in days]
        holiday = np.array([(day.month == 12 and day.day >= 24) or (day.month, day.day) == (1, 1) for day in days])
        holiday[random.choice(world.days, max(1, world.days // 45), replace=False)] = True
        first = np.array(
            [day.weekday() < 5 and (day.day == 1 or (day.day <= 3 and day.weekday() == 0)) for day in days]
        )
        return cls(
            np.array([day.weekday() for day in days]),
            np.array([day.day for day in days]),
            np.array([end - day.day + 1 for end, day in zip(ends, days, strict=True)]),
            first,
            holiday,
        )


def plain(world: World, seed: int) -> Plain:
    """The bills of a seed, before events."""
    random = np.random.default_rng([seed, 31])
    days = _Days.of(world, random)
    places = [
        (provider, account, service, region)
        for provider in PROVIDERS
        for account in range(world.accounts)
        for service in SERVICES[provider]
        for region in REGIONS[provider]
    ]
    order = random.permutation(len(places))
    weights = np.array([family.weight for family in world.families.values()])
    rows: list[dict[str, Any]] = []
    for number in range(world.series):
        own = np.random.default_rng([seed, number, 32])
        provider, account, service, region = places[order[number % len(places)]]
        account += world.accounts * (number // len(places))
        name = list(world.families)[own.choice(len(weights), p=weights / weights.sum())]
        row = _series(own, world, name, days)
        row["level"] = float(np.clip(world.level[0] * np.exp(own.normal(0, world.level[1])), 0.05, 5e4))
        late = own.random() < world.begin
        row["begin"] = int(own.integers(1, world.days - 22)) if late else 0
        row["labels"], row["family"] = (provider, f"account-{account:03}", service, region), name
        rows.append(row)
    levels = np.array([row["level"] for row in rows])
    begin = np.array([row["begin"] for row in rows])
    costs = levels[:, None] * np.array([row["cost"] for row in rows])
    costs[np.arange(world.days) < begin[:, None]] = np.nan
    return Plain(
        world,
        seed,
        costs,
        levels[:, None] * np.array([row["shape"] for row in rows]),
        np.array([row["noise"] for row in rows]),
        levels,
        np.array([row["active"] for row in rows]),
        begin,
        tuple(row["labels"] for row in rows),
        tuple(row["family"] for row in rows),
        np.datetime64(world.first) + np.arange(world.days),
    )


def _series(random: Random, world: World, name: str, days: _Days) -> dict[str, Any]:
    """One series at a level of 1."""
    family, count = world.families[name], world.days
    noise = float(np.exp(random.uniform(*np.log(family.noise))))
    memory, heavy = random.uniform(*family.memory), random.random() < family.heavy
    mean, deviation, least, most = world.growth
    growth = float(
        np.clip(abs(random.normal(0.04, 0.03)) if name == "storage" else random.normal(mean, deviation), least, most)
    )
    trend = np.exp(growth * np.arange(count) / 30)
    if name == "adopted":  # a product that finds its users: slow, fast, done
        trend = 1 + random.uniform(0.5, 2) / (
            1 + np.exp(-(np.arange(count) - random.uniform(0, count)) / random.uniform(12, 30))
        )
    wander = np.exp(np.cumsum(random.normal(0, noise * random.uniform(0, world.wander), count)))
    season = _week(random, name, family)[days.weekday]
    if name == "fortnight":  # a sprint's second week is the busy one
        season = season * np.where((np.arange(count) // 7) % 2, random.uniform(1.1, 1.4), 1.0)
    shape = trend * season
    busy = np.ones(count)
    if name == "business" and random.random() < world.holidays:
        busy *= np.where(days.holiday, random.uniform(0.4, 0.85), 1.0)
    if name in ("business", "batch") and random.random() < world.closes:
        busy *= np.where(days.from_end <= random.integers(1, 4), random.uniform(1.2, 2.2), 1.0)
    cost = shape * wander * busy * np.maximum(1 + noise * _noise(random, count, memory, heavy=heavy), 0.02)
    active = np.ones(count, bool)
    if name == "intermittent":
        active = random.random(count) < random.uniform(0.08, 0.5)
        if random.random() < 0.4:
            active = np.isin(days.weekday, random.choice(7, random.integers(1, 4), replace=False))
        cost = np.where(active, cost, 0.0)
    if name == "dormant":
        cost = np.where(random.random(count) < 0.02, cost * 0.02, 0.0)
    if name == "monthly_fee" or random.random() < world.fees:
        day = 1 if random.random() < 0.7 else int(random.integers(2, 28))
        falls = days.workday if random.random() < world.workday_fees else days.day == day
        cost = cost + np.where(falls, random.uniform(0.8, 15.0), 0.0)
    return {"cost": cost, "shape": shape, "noise": noise, "active": active}


def _week(random: Random, name: str, family: Family) -> Floats:
    """Factors from Monday on."""
    week = np.ones(7)
    week[5:] = random.uniform(*family.weekend)
    week *= 1 + random.normal(0, 0.03 if name in ("business", "consumer", "bursty") else 0.003, 7)
    if name == "batch":
        for day in random.choice(7, random.integers(1, 3), replace=False):
            week[day] *= random.uniform(1.8, 6.0)
    return week


def _noise(random: Random, count: int, memory: float, *, heavy: bool) -> Floats:
    """Standard deviation 1, each day remembering the one before."""
    noise = random.standard_t(4, count) / np.sqrt(2) if heavy else random.standard_normal(count)
    for day in range(1, count):
        noise[day] = memory * noise[day - 1] + np.sqrt(1 - memory**2) * noise[day]
    return noise
