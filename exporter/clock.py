"""What time it is: the only place that reads the clock for business dates.

`CLOUDSPEND_NOW=2024-10-02T12:00:00Z` shifts the clock: the offset is fixed at first read and handed to child
processes, so time goes on from there. `CLOUDSPEND_NOW=2024-10-02T12:00:00Z,frozen` stops it, for one-shot commands.
Durations are measured with `time.monotonic`, and requests are signed with the real time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.errors import ConfigError, Problem

VARIABLE = "CLOUDSPEND_NOW"
_OFFSET = "CLOUDSPEND_NOW_OFFSET"


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time; a shifted or frozen one for tests and for looking back."""

    offset: timedelta = timedelta(0)
    frozen: datetime | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, *, may_freeze: bool = False) -> Clock:
        """The clock that `CLOUDSPEND_NOW` asks for; the real one where it is not set.

        A frozen clock would keep a daemon from ever being due, so only one-shot commands (`may_freeze`) take it.
        """
        environment = os.environ if environment is None else environment
        if _OFFSET in environment:
            return cls(offset=timedelta(seconds=float(environment[_OFFSET])))
        text = environment.get(VARIABLE)
        if not text:
            return cls()
        instant, _, mode = text.partition(",")
        try:
            now = datetime.fromisoformat(instant)
        except ValueError:
            raise _bad(f"{instant!r} is not an instant such as 2024-10-02T12:00:00Z") from None
        now = now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
        if mode not in ("", "frozen"):
            raise _bad(f"{mode!r} is not a mode; the only one is 'frozen'")
        if mode == "frozen":
            if not may_freeze:
                raise _bad("a frozen clock is for one-shot commands; a daemon needs one that moves")
            return cls(frozen=now)
        return cls(offset=now - datetime.now(UTC))

    def now(self) -> datetime:
        """The present instant, UTC."""
        return self.frozen or datetime.now(UTC) + self.offset

    def real(self, instant: datetime) -> datetime:
        """The real instant at which this clock shows `instant`."""
        return instant - self.offset

    def for_child(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment that gives a child process this same clock, offset and all."""
        handed = {name: value for name, value in environment.items() if name not in (VARIABLE, _OFFSET)}
        if self.offset:
            handed[_OFFSET] = repr(self.offset.total_seconds())
        return handed


def _bad(message: str) -> ConfigError:
    return ConfigError((Problem(VARIABLE, message),), file="environment")
