"""The numbers of the default detector, in one place. Chosen on dev seeds only; `benchmarks/detection` says which."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of days that ends today and is judged as one."""

    days: int
    threshold: float
    """How many standard errors too many, with weights for what one does not know, are an alert."""
    level_days: int
    """The days before it that say what it should have cost."""
    off: int = 0
    """Its smallest and largest days that are left out of its mean."""
    tails: float = 0.0
    """How much higher the threshold is for a series whose days have heavy tails, as a share of it."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """All of it is without unit or a share of the series' level, but for the two amounts of money."""

    scales: tuple[Scale, ...] = (
        Scale(1, 4.78, level_days=21, tails=0.23),
        Scale(2, 4.17, level_days=21, tails=0.055),
        Scale(3, 4.37, level_days=21, off=1, tails=0.055),
        Scale(5, 3.78, level_days=28, off=1, tails=0.03),
        Scale(7, 4.13, level_days=28, off=1),
        Scale(10, 3.72, level_days=28, off=1),
        Scale(14, 5.1, level_days=28, off=2),
    )
    longest: int = 98
    """Days of reference at most; a poll needs two weeks more."""
    level_trim: float = 0.2
    long_level_days: int = 42
    """A level never lies below the one of so many days: what recovers from a holiday or an outage did not rise."""
    recent_days: int = 28
    """The last days before the stretch count as noise even where the reference before them was calm."""
    floor: float = 0.018
    """Least standard deviation of a day, as a share of the level."""
    block_floor: float = 0.005
    """The same of a stretch of days."""
    least: float = 0.01
    """Least standard deviation in money. Nobody looks at a cent."""
    first: float = 2.0
    """Standard deviation in money of a series that has hardly ever cost anything."""
    tail: float = 0.95
    tail_normal: float = 1.645
    spread_typical: float = 0.85
    """Weights of three variances: of the median distance,"""
    spread_tail: float = 0.71
    """of how far up the highest twentieth goes,"""
    spread_recent: float = 0.33
    """and of the last weeks' median distance."""
    tails_usual: float = 0.05
    """The middle of `Baseline.tails`,"""
    tails_range: tuple[float, float] = (-0.65, 1.65)
    """and its limits."""
    clumping: float = 1.8
    """How many times more a mean of days varies than if days knew nothing of each other: the usual,"""
    clumping_memory: float = 0.82
    """how much of it goes with the correlation of a day and the day before,"""
    clumping_range: tuple[float, float] = (0.9, 4.0)
    """and its limits."""
    unsure: float = 2.0
    """Weight of what one does not know of growth and level."""
    growth_error: float = 0.0002
    """A day; least uncertainty of the trend."""
    growth_unknown: float = 0.002
    growth_most: float = 0.02
    decline: float = 0.5
    """The share of a decline that is taken to go on."""
    twin_odd: float = 2.0
    """So many standard deviations above its line, a day of last month makes the same day of this month expected."""
    twin_slack: float = 0.2
    """A monthly amount comes back give or take this share of it, as a standard deviation."""
    clip: float = 3.5
    """Residuals within a long stretch count so much at most: three dear days are no week."""
    newest: float = 0.3
    """Today must lie above its expectation by this share of what the stretch does: else it is over."""
    both: float = 0.5
    sparse: float = 0.35
    """With more days without cost than this, only the others are compared."""
    sparse_rise: float = 1.23
    young_days: int = 32
    """Before a series has seen one of each day of the month, a single dear day may be its monthly fee: two are not."""
    young_second: float = 0.6
    young_edge: int = 35
    """A series that young tells nothing short at the edge of a month."""
    settling_in: int = 49
    young_rise: float = 1.0
    """Thresholds are so much higher until a series is `settling_in` days old."""
    drop: float = 6.0
    """Standard deviations that three days in a row must lie below."""
    least_days: int = 15
    """With fewer there is no judgement."""
