"""The sections that say how the stored bill is judged: anomalies, the tripwire, forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from pydantic import Field, field_validator

from exporter.config.base import Settings

Severity = Literal["info", "low", "medium", "high", "critical"]


class FeeSettings(Settings):
    """A charge that comes on the same day of each month, and is no news then."""

    day: int = Field(ge=-31, le=31)
    """Day of the month, 1 to 31; of a shorter month its last. -1 is the last day of any month, -2 the one before."""
    amount: float | None = Field(default=None, gt=0)
    """At most so much of the day is expected, in the currency of the bill; any amount unless given."""
    account: str = "all"
    """Account whose fee it is."""
    service: str = "all"
    """Service whose fee it is."""
    region: str = "all"
    """Region whose fee it is."""

    @field_validator("day")
    @classmethod
    def _is_a_day(cls, day: int) -> int:
        if not day:
            raise ValueError("must be 1 to 31, or -1 for the last day of the month")
        return day


class AnomalySettings(Settings):
    """What counts as costing more, or much less, than it should. Amounts are in the currency of each bill."""

    enabled: bool = True
    """Whether anomalies are looked for at all."""
    detector: Literal["default", "percent", "zscore", "isolation_forest"] = "default"
    """What judges: the default knows the calendar; isolation_forest needs the extra `forest`."""
    sensitivity: float = Field(default=1.0, gt=0)
    """Multiplies every threshold: 0.9 finds more, 1.2 is quieter."""
    minimum_cost: float = Field(default=1.0, ge=0)
    """Least excess of a day in money."""
    minimum_percent: float = Field(default=5.0, ge=0)
    """Least excess of a day in percent of what was expected; both must be reached."""
    new_cost: float = Field(default=20.0, ge=0)
    """What costs so much a day without any past is a finding."""
    minimum_history: int = Field(default=15, ge=1)
    """Days of history without which a series is not judged."""
    look_back: int = Field(default=120, ge=30, le=400)
    """Days that a judgement sees."""
    roll_ups: bool = True
    """Judge sums over services, regions and accounts too: a price change, or many small rises."""
    drops: bool = True
    """Tell what costs less than half of what it should, on settled days only."""
    severity: Severity | None = None
    """The same severity for every finding, instead of by money."""
    fees: tuple[FeeSettings, ...] = ()
    """Known monthly fees, beside those that the calendar shows by itself."""


class TripwireSettings(Settings):
    """Which first spends in an account, a service or a region are told."""

    enabled: bool = True
    """Whether first spends are looked for at all."""
    minimum_cost: Decimal = Field(default=Decimal(0), ge=0)
    """A place counts once its usage has cost more than this, in the currency of the bill."""
    ignore: tuple[str, ...] = ()
    """Names of accounts, services and regions that are never told."""


class ForecastSettings(Settings):
    """How what is still to come is estimated."""

    enabled: bool = True
    """Whether forecasts are published at all."""
    model: Literal["auto", "seasonal", "linear", "prophet", "statsforecast"] = "auto"
    """The forecast model; prophet and statsforecast need the extra `forecast`."""


class ThresholdSettings(Settings):
    """From where on the alerts of one source speak, instead of the general thresholds."""

    hourly_jump: float | None = Field(default=None, gt=0)
    """Percent of the month so far that an hour may add."""
    daily_spike: float | None = Field(default=None, gt=0)
    """Percent that a service may cost more than expected on a day."""
    minimum_cost: Decimal | None = Field(default=None, ge=0)
    """Less than this is never told, in the currency of the bill."""
    restated_cost: Decimal | None = Field(default=None, ge=0)
    """By how much settled days may change without a word, in the currency of the bill."""


class AlertSettings(Settings):
    """From where on the alerts that ship speak. The exporter says it; the rules read it."""

    hourly_jump: float = Field(default=5.0, gt=0)
    """Percent of the month so far that an hour may add, of sources that bill by the hour; notify.direct too."""
    daily_spike: float = Field(default=50.0, gt=0)
    """Percent that a service may cost more than expected on a day."""
    minimum_cost: Decimal = Field(default=Decimal(5), ge=0)
    """A jump or a spike of less than this is never told, in the currency of the bill."""
    restated_cost: Decimal = Field(default=Decimal(50), ge=0)
    """By how much settled days may change without a word, in the currency of the bill."""
    burn_day: float = Field(default=200.0, gt=0)
    """Pace of a budget's last settled day in percent of an even one,"""
    burn_week: float = Field(default=120.0, gt=0)
    """and of its last seven: a budget burns fast when both are passed."""
    sources: Mapping[str, ThresholdSettings] = {}
    """Thresholds of single sources, by name."""

    def of(self, source: str) -> AlertSettings:
        """The thresholds of one source."""
        own = self.sources.get(source)
        return self if own is None else self.model_copy(update=own.model_dump(exclude_none=True))
