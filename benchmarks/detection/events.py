"""What happens in an invented bill: events that must be found, and disturbances that must not be told.

The size of an event is drawn in units of its series' own noise and never below what somebody could see, so that no
label is invisible by construction. Persistent ones stay labelled as neutral for 45 days: to repeat them is no mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.world import PROVIDERS, SERVICES, Floats, Labels, Plain, Random, World, plain

WARM_UP = 60
"""Days that nobody is judged on; of a series that begins later its first fourteen."""
YOUNG = 14
NEUTRAL = 45

KINDS = {"spike": 0.26, "runaway": 0.08, "step": 0.22, "forgotten": 0.20, "leak": 0.16}
HIT = {"step": 10, "forgotten": 14, "price": 10}
"""Days after its start in which a persistent event must be found."""


class Event(NamedTuple):
    """Something that must be found."""

    series: int
    kind: str
    start: int
    end: int
    """Its last day."""
    hit_end: int
    """The last day on which a first alert finds it."""
    neutral_end: int
    """Until then another alert is not false."""


@dataclass(frozen=True, slots=True)
class Bill:
    """An invented bill with its labels."""

    plain: Plain
    costs: Floats
    """Series × days, NaN before a series begins."""
    excess: Floats
    """What the events added."""
    events: tuple[Event, ...]
    dropped: NDArray[np.bool_]
    """Days of outages and credits: what falls there has fallen."""

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """One per column."""
        return self.plain.dates

    @property
    def labels(self) -> tuple[Labels, ...]:
        """One per row."""
        return self.plain.labels

    @property
    def judged(self) -> NDArray[np.bool_]:
        """The days on which detectors are judged."""
        first = np.where(self.plain.begin == 0, WARM_UP, self.plain.begin + YOUNG)
        return np.arange(self.costs.shape[1]) >= first[:, None]


def bill(world: World, seed: int) -> Bill:
    """The bills of a seed, with everything that happens in them."""
    base = plain(world, seed)
    made = _Events(base)
    random = np.random.default_rng([seed, 33])
    if world.prices and world.events:
        made.price(random)
    for row in range(world.series):
        made.happen(np.random.default_rng([seed, row, 34]), row)
    costs, dropped = base.costs + made.excess, np.zeros(base.costs.shape, bool)
    for row in range(world.series):
        made.disturb(np.random.default_rng([seed, row, 35]), row, costs, dropped)
    events = tuple(sorted(made.events, key=lambda event: (event.series, event.start)))
    return Bill(base, costs, np.where(np.isnan(base.costs), 0, made.excess), events, dropped)


class _Events:
    def __init__(self, base: Plain) -> None:
        self._base, self._days = base, base.costs.shape[1]
        self.excess = np.zeros(base.costs.shape)
        self.events: list[Event] = []

    def price(self, random: Random) -> None:
        """One service of one provider gets dearer for everybody."""
        base, days = self._base, self._days
        provider = PROVIDERS[random.integers(len(PROVIDERS))]
        service = SERVICES[provider][random.integers(len(SERVICES[provider]))]
        start, more = int(random.integers(WARM_UP, days - 12)), random.uniform(0.08, 0.25)
        for row, (its, _, name, _) in enumerate(base.labels):
            plain_family = base.families[row] not in ("dormant", "intermittent", "monthly_fee")
            old = base.begin[row] + YOUNG <= start
            if (its, name) == (provider, service) and plain_family and old and more / base.noise[row] > 1.2:
                self.excess[row, start:] += np.nan_to_num(base.costs[row, start:]) * more
                self._add(row, "price", start, days - 1)

    def happen(self, random: Random, row: int) -> None:
        """Perhaps something, perhaps twice."""
        base, days = self._base, self._days
        first = max(int(base.begin[row]) + YOUNG, WARM_UP if base.begin[row] == 0 else 0)
        if random.random() >= base.world.events or first >= days - 3:
            return
        for _ in range(2 if random.random() < base.world.second else 1):
            kind = str(random.choice(list(KINDS), p=np.array(list(KINDS.values())) / sum(KINDS.values())))
            if base.families[row] == "dormant":
                kind = "wake"
            elif base.families[row] == "intermittent":
                kind = "spike"
            start = int(random.integers(first, days - 3))
            if not any(start <= e.neutral_end + 20 and start + 20 >= e.start for e in self.events if e.series == row):
                getattr(self, f"_{kind}")(random, row, start)

    def disturb(self, random: Random, row: int, costs: Floats, dropped: NDArray[np.bool_]) -> None:
        """Credits and outages: they take away, and come back to normal."""
        base, days, world = self._base, self._days, self._base.world
        if random.random() < world.credits and base.families[row] != "dormant":
            for day in random.integers(max(int(base.begin[row]), 1), days, random.integers(1, 4)):
                costs[row, day] -= base.levels[row] * random.uniform(0.5, 10)
                dropped[row, day] = True
        first = int(base.begin[row]) + WARM_UP
        if random.random() < world.outages and first < days - 8:
            day, count = int(random.integers(first, days - 8)), int(random.integers(1, 6))
            if not any(day <= e.neutral_end + 3 and day + 8 >= e.start for e in self.events if e.series == row):
                costs[row, day : day + count] *= random.uniform(0.0, 0.6)
                dropped[row, day : day + count] = True

    def _add(
        self, row: int, kind: str, start: int, end: int, hit_end: int | None = None, neutral: int | None = None
    ) -> None:
        last = self._days - 1
        hit_end = min(start + HIT[kind] if hit_end is None else hit_end, last)
        if neutral is None:
            neutral = max(hit_end, start + NEUTRAL) + 2 if kind in HIT else end + 2
        self.events.append(Event(row, kind, start, end, hit_end, min(neutral, last)))

    def _raise(self, row: int, start: int, profile: Floats, *, always: bool) -> None:
        profile = profile[: self._days - start]
        here = slice(start, start + len(profile))
        on = 1.0 if always else self._base.active[row, here]
        self.excess[row, here] += self._base.shape[row, here] * profile * on

    def _spike(self, random: Random, row: int, start: int) -> None:
        count = int(random.choice([1, 1, 1, 2, 3]))
        more = max(np.exp(random.uniform(np.log(4.5), np.log(40))) * self._base.noise[row], 0.15)
        self._raise(row, start, np.full(count, more), always=True)
        end = min(start + count, self._days) - 1
        self._add(row, "spike", start, end, end + 1)

    def _runaway(self, random: Random, row: int, start: int) -> None:
        count = int(random.integers(2, 7))
        first = max(random.uniform(0.1, 0.5), 2 * self._base.noise[row])
        self._raise(row, start, first * 2.0 ** np.arange(count), always=True)
        end = min(start + count, self._days) - 1
        self._add(row, "runaway", start, end, end + 1)

    def _step(self, random: Random, row: int, start: int) -> None:
        more = max(np.exp(random.uniform(np.log(0.15), np.log(1.5))), random.uniform(2, 4) * self._base.noise[row])
        self._raise(row, start, np.full(self._days, more), always=False)
        self._add(row, "step", start, self._days - 1)

    def _forgotten(self, random: Random, row: int, start: int) -> None:
        more = max(random.uniform(0.04, 0.20), random.uniform(1.2, 3.0) * self._base.noise[row])
        self._raise(row, start, np.full(self._days, more), always=False)
        self._add(row, "forgotten", start, self._days - 1)

    def _leak(self, random: Random, row: int, start: int) -> None:
        count = int(random.integers(14, 41))
        more = max(random.uniform(0.25, 1.5), random.uniform(3.0, 8.0) * self._base.noise[row])
        profile = more * np.minimum(np.arange(1, self._days + 1) / count, 1.0)
        end = self._days - 1
        if random.random() < 0.5:  # somebody mends it
            end = min(end, start + count + int(random.integers(0, 4)))
            profile[end - start + 1 :] = 0
        self._raise(row, start, profile, always=False)
        hit_end = min(end, start + count + 3)
        stays = max(hit_end, min(end, start + 40)) + NEUTRAL
        self._add(row, "leak", start, end, hit_end, stays if end == self._days - 1 else end + 3)

    def _wake(self, random: Random, row: int, start: int) -> None:
        count = int(random.integers(3, 30))
        self._raise(row, start, random.uniform(0.5, 5) * np.maximum(1 + random.normal(0, 0.1, count), 0.1), always=True)
        end = min(start + count, self._days) - 1
        self._add(row, "wake", start, end, start + 3)
