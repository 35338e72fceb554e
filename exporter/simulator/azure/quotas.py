"""Query processing units, as Cost Management rations them per tenant.

https://learn.microsoft.com/azure/cost-management-billing/costs/manage-automation#data-latency-and-rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

LIMITS: Mapping[str, tuple[timedelta, int]] = {
    "QueriesPer10Sec": (timedelta(seconds=10), 12),
    "QueriesPerMin": (timedelta(minutes=1), 60),
    "QueriesPerHour": (timedelta(hours=1), 600),
}
"""Our guess at how the header spells it → how long, how many units."""
HEADER = "x-ms-ratelimit-microsoft.costmanagement-"


class Quotas:
    """What a tenant has used. Where they are not enforced, there is always as much left as there can be."""

    def __init__(self, *, enforced: bool) -> None:
        self.enforced = enforced
        self._used: list[tuple[datetime, int]] = []

    def take(self, units: int, now: datetime) -> tuple[bool, dict[str, str]]:
        """Whether so many units were there to take; and the headers of the answer, which say what is left."""
        rests = [rest for span, limit in LIMITS.values() if (rest := self._rest(units, span, limit, now))]
        if rests:
            # The longest of several headers counts.
            return False, {f"{HEADER}tenant-retry-after": "1", f"{HEADER}qpu-retry-after": str(max(rests))}
        if self.enforced:
            self._used.append((now, units))
        left = (f"{name}:{max(0, limit - self._spent(span, now))}" for name, (span, limit) in LIMITS.items())
        return True, {f"{HEADER}qpu-consumed": str(units), f"{HEADER}qpu-remaining": ";".join(left)}

    def _spent(self, span: timedelta, now: datetime) -> int:
        return sum(units for at, units in self._used if now - at < span)

    def _rest(self, units: int, span: timedelta, limit: int, now: datetime) -> int:
        """Whole seconds until so many units are free within the span; 0 where they are now."""
        over = self._spent(span, now) + units - limit
        for at, spent in self._used:
            if over <= 0:
                return 0
            if now - at < span:
                over -= spent
                if over <= 0:
                    return -(-(at + span - now) // timedelta(seconds=1))
        return 0 if over <= 0 else int(span.total_seconds())
