"""What a series costs on a plain day, learned from its past: weekday factors, lasting changes, growth, today's level.

All arrays are days × series, float64, without NaN. Single odd days are looked past; a lasting change moves the level
and says nothing about growth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]

WEEK = 7
NORMAL = 1.4826
"""From the median distance to the standard deviation of a normal distribution."""
TINY = 1e-9

_LEAST_FACTOR = 0.2
_FLOOR = 0.005
"""The spread of days is at least this share of the level: bills are not smoother than that for long."""
_ODD = 4.0
"""A day so many spreads off its neighbours says nothing about weekdays."""
_SHIFT = 4.0
"""A week's median so many spreads above the week's before, and …"""
_SHIFT_SHARE = 0.025
"""… by this share of it, and …"""
_ABRUPT = 0.6
"""… by so much of it within three days, is a lasting change. A ramp is none."""
_GROWTH_ERROR = 0.0002
_GROWTH_MOST = 0.01
"""Of growth a day, as a share of the level: a series that doubles in ten weeks is not expected to go on faster."""
_RECENT_WEEKS = 10
_GAINS = (0.06, 0.12, 0.25, 0.5, 0.8)
"""How far each of five levels follows a new day. Which one is right shows by how well it did before."""
_JUMP = 4.0
_RUN = 3
"""Three days in a row so far off on one side are the new level, …"""
_AGREES = 2.0
"""… as far as they agree: within so many spreads."""
_BACK = 3.0
_BACK_DAYS = 10
"""A day so few spreads off the level that was left in the last so many days is back there: a runaway or an outage is
over."""
_CONFIRMED = 10
"""So many days after a lasting change it is one: until then it may be a runaway."""
_JUDGED = 14
_MEMORY = 35.0
"""A level's mistake counts half after so many days."""
_SHARPNESS = 8.0
FADE = 0.985
"""Each day ahead grows by this share of the growth of the day before: no growth lasts."""
_SPARSE = 0.35
"""A series with more days of nothing than this has no level, only so much a weekday."""
_SPARSE_DAYS = 84
_ON = 0.1
"""A day that costs so much of the dearest is one on which a sparse series is on."""
_LASTS_ERROR = 0.15
_LASTS_MOST = 0.97


@dataclass(frozen=True, slots=True)
class Profile:
    """The plain days of a group of series, learned from whole weeks up to the newest day."""

    weekdays: Array
    """Weekday × series, mean 1 (of a sparse series: money a day). The first row is the first forecast day's weekday."""
    growth: Array
    """Change a day, as a share of the level."""
    spread: Array
    """Standard deviation of a day without its weekday factor."""
    usual: Array
    """Days × series: what the days around a day say that it should have cost, weekday factor included."""
    level: Array
    """Days × series: the level as it was known after each day, in the money of that day."""
    sparse: NDArray[np.bool_]
    off: Array
    """Days × series: how far a sparse series was from its plain days around each day, in money; else 0."""
    lasts: Array
    """Of that, the share that is still so a day later;"""
    age: Array
    """days × series: of one that was never on before, the days that it has been on; else 0. What has been on for so
    many days is still on after as many more in one case of two."""

    def ahead(self, horizon: int) -> Array:
        """Horizon × series: the plain days that follow."""
        faded = np.cumsum(FADE ** np.arange(horizon))
        return np.asarray(self.flat(horizon) * (1 + self.growth * faded[:, None]) + self.carried(-1, horizon))

    def flat(self, horizon: int) -> Array:
        """The same without growth."""
        return np.asarray(self.level[-1] * self.weekdays[np.arange(horizon) % WEEK])

    def carried(self, day: int, horizon: int) -> Array:
        """Horizon × series: what of a day's state of a sparse series is left on each of the days after it."""
        days = np.arange(1, horizon + 1)[:, None]
        age = self.age[day]
        return np.asarray(self.off[day] * np.where(age > 0, age / (age + days), self.lasts**days))


def learn(charges: Array) -> Profile:
    """The profile of whole weeks of charges, at least two."""
    weekdays, usual, spread = plain_days(charges)
    plain = charges / _tiled(np.maximum(weekdays, _LEAST_FACTOR), len(charges))
    growth = _growth(usual_weekly(plain))
    # Lasting changes are found beside the growth, and the growth between them.
    today = _to_today(plain, spread, growth)
    growth = _growth(usual_weekly(plain * today))
    level = _levels(plain * today, usual * today, spread * today[-1], growth) / today
    profile = Profile(
        weekdays, growth, spread, usual * _tiled(weekdays, len(charges)), level, is_sparse(charges), *_settled(charges)
    )
    return _with_sparse(profile, charges) if profile.sparse.any() else profile


def usual_weekly(plain: Array) -> Array:
    """Weeks × series: the median day of each."""
    return np.asarray(np.median(plain.reshape(-1, WEEK, plain.shape[1]), axis=1))


def _tiled(weekdays: Array, days: int) -> Array:
    return np.tile(weekdays, (days // WEEK, 1))


def plain_days(charges: Array) -> tuple[Array, Array, Array]:
    """Weekday factors, the median of the days around each day, and the spread of days around it."""
    days, series = charges.shape
    blocks = charges.reshape(-1, WEEK, series)
    factors = _normal(np.median(_share(blocks, blocks.mean(axis=1, keepdims=True)), axis=0))
    usual, spread = _around(charges, factors)
    plain = charges / _tiled(np.maximum(factors, _LEAST_FACTOR), days)
    odd = np.abs(plain - usual) > _ODD * spread
    quiet = np.where(odd, usual * _tiled(factors, days), charges)
    # Against the week around each day, not its calendar week: a change of level in mid-week is no weekday.
    summed = np.cumsum(np.concatenate([np.zeros((1, series)), quiet]), axis=0)
    mean = (summed[WEEK:] - summed[:-WEEK]) / WEEK
    mean = np.concatenate([np.repeat(mean[:1], 3, axis=0), mean, np.repeat(mean[-1:], 3, axis=0)])
    factors = _shrunk(_share(quiet, mean).reshape(-1, WEEK, series))
    return factors, *_around(charges, factors)


def _share(part: Array, whole: Array) -> Array:
    known = whole > TINY
    return np.asarray(np.where(known, part / np.where(known, whole, 1.0), 1.0))


def _normal(factors: Array) -> Array:
    mean = factors.mean(axis=0)
    return np.asarray(np.maximum(factors / np.where(mean > TINY, mean, 1.0), 0.0))


def _shrunk(shares: Array) -> Array:
    """Weeks × weekdays × series to weekday factors, drawn towards one by how little the weeks agree about them."""
    weeks = len(shares)
    off = weeks // 4
    factors = _normal(np.sort(shares, axis=0)[off : weeks - off].mean(axis=0))
    spread = NORMAL * np.median(np.abs(shares - factors).reshape(-1, shares.shape[-1]), axis=0)
    noise = (1.1 * spread) ** 2 / max(weeks - 0.5, 0.5)  # 1.1: what a trimmed mean loses against a mean
    between = ((factors - 1) ** 2).mean(axis=0)
    trust = np.clip(1 - noise / np.maximum(between, 1e-12), 0, 1)
    found: Array = np.maximum(1 + trust * (factors - 1), 0.0)
    return found


def _around(charges: Array, factors: Array) -> tuple[Array, Array]:
    plain = charges / _tiled(np.maximum(factors, _LEAST_FACTOR), len(charges))
    middle = _median(plain, WEEK)
    ends = [middle[-1]] * 3  # so three busy days that close a month stand out
    usual = np.concatenate([np.repeat(middle[:1], 3, axis=0), middle, np.stack(ends)])
    least = np.maximum(_FLOOR * np.abs(usual).mean(axis=0), TINY)
    typical = 1.1 * NORMAL * np.median(np.abs(plain - usual), axis=0)
    return usual, np.maximum(typical, least)


_SORTS: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        3: ((0, 1), (1, 2), (0, 1)),
        WEEK: (
            *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6)),
            *((2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
        ),
    }
)
"""Which of so many to put in order, so that the middle one comes to the middle."""


def _median(values: Array, count: int) -> Array:
    """The medians of `count` rows in a row, 3 or 7. By exchanges: many times as fast as a sort of each."""
    rows = [values[at : len(values) - count + 1 + at] for at in range(count)]
    for one, other in _SORTS[count]:
        rows[one], rows[other] = np.minimum(rows[one], rows[other]), np.maximum(rows[one], rows[other])
    return rows[count // 2]


def _growth(weekly: Array) -> Array:
    """Growth a day as a share of the level, as far as all weeks and the last ten agree about it: else none is sure."""
    whole = _slope(weekly)
    if len(weekly) <= _RECENT_WEEKS:
        return whole
    recent = _slope(weekly[-_RECENT_WEEKS:])
    return np.asarray(np.where(whole * recent > 0, np.sign(whole) * np.minimum(np.abs(whole), np.abs(recent)), 0.0))


def _slope(weekly: Array) -> Array:
    """Growth a day as a share of the level: Theil and Sen's median of slopes; none where its error explains it."""
    weeks, series = weekly.shape
    if weeks < 3:
        return np.zeros(series)
    i, j = np.triu_indices(weeks, max(1, weeks // 3))
    between = (weekly[i] + weekly[j]) / 2
    change = np.where(between > TINY, (weekly[j] - weekly[i]) / np.where(between > TINY, between, 1.0), 0.0)
    growth = np.median(change / (WEEK * (j - i))[:, None], axis=0)
    ages = WEEK * (np.arange(weeks) - (weeks - 1) / 2)
    level = weekly / np.maximum(1 + growth * ages[:, None], 0.1)
    center = np.median(level, axis=0)
    off = NORMAL * np.median(np.abs(level - center), axis=0) / np.maximum(center, TINY)
    # The error of a least-squares slope through so many weeks, a third more for its being a median.
    error = np.maximum(off * (1.3 * (12 / weeks**3) ** 0.5 / WEEK), _GROWTH_ERROR)
    growth = np.clip(growth, -_GROWTH_MOST, _GROWTH_MOST)
    return np.asarray(growth**3 / (growth**2 + error**2))


def _to_today(plain: Array, spread: Array, growth: Array) -> Array:
    """Days × series: what brings a day's money to today's level, over the lasting changes that lie between."""
    days, series = plain.shape
    factor = np.zeros((days + 1, series))
    if days < 3 * WEEK:
        return np.ones((days, series))
    week, three = _median(plain, WEEK), _median(plain, _RUN)
    at = np.arange(WEEK, days - _CONFIRMED + 1)
    before, after = week[at - WEEK], week[at]
    change = after - before * (1 + WEEK * growth)
    sudden = three[at] - three[at - 3]
    lasting = (
        (np.abs(change) > _SHIFT * spread)
        & (np.abs(change) > _SHIFT_SHARE * np.minimum(before, after))
        & (sudden * np.sign(change) > _ABRUPT * np.abs(change))
        & (np.minimum(before, after) > TINY)
    )
    size = np.where(lasting, np.abs(sudden), 0.0)
    around = sliding_window_view(np.pad(size, ((6, 6), (0, 0))), 13, axis=0).max(axis=-1)
    ratio = np.where(lasting & (size >= around), after / np.where(lasting, before, 1.0), 1.0)
    factor[at] = np.log(np.clip(ratio / np.where(ratio == 1, 1, 1 + WEEK * growth), 0.05, 20))
    return np.asarray(np.exp(np.cumsum(factor[::-1], axis=0)[::-1][1:]))


def _levels(plain: Array, usual: Array, spread: Array, growth: Array) -> Array:
    """Days × series: the level after each day; five that follow at different speeds, weighed by how each did before."""
    days, _ = plain.shape
    followed = _followed(plain, spread, growth, np.median(plain[:WEEK], axis=0))
    ahead = min(_JUDGED, days // 4)
    quiet = np.where(np.abs(plain - usual) > _ODD * spread, usual, plain)
    summed = np.cumsum(np.concatenate([np.zeros((1, quiet.shape[1])), quiet]), axis=0)
    origins = np.arange(max(days // 4, WEEK), days - ahead)
    came = (summed[origins + ahead] - summed[origins]) / ahead
    gain = 1 + growth * np.cumsum(FADE ** np.arange(ahead)).mean()
    age = 0.5 ** ((days - origins) / _MEMORY)
    mistakes = np.stack([(np.abs(came - each[origins - 1] * gain) * age[:, None]).sum(axis=0) for each in followed])
    worse = mistakes / np.maximum(mistakes.min(axis=0), TINY * TINY) - 1
    weights = np.exp(-_SHARPNESS * np.minimum(worse, 50))
    weights /= weights.sum(axis=0)
    return np.asarray(np.maximum((weights[:, None] * followed).sum(axis=0), 0.0))


def _followed(plain: Array, spread: Array, growth: Array, start: Array) -> Array:
    """Gains × days × series: exponential smoothing that looks past odd days and takes three in a row for the truth."""
    gains = np.array(_GAINS)[:, None]
    level = np.repeat(start[None], len(_GAINS), axis=0)
    found = np.empty((len(_GAINS), *plain.shape))
    run, known = np.zeros_like(level), np.zeros_like(level)
    left = level
    risen, fallen = _agreed(plain, spread)
    for day, cost in enumerate(plain):
        expected = level * (1 + growth)
        off = cost - expected
        side = np.sign(off)
        odd = np.abs(off) > _JUMP * spread
        back = odd & (known < _BACK_DAYS) & (np.abs(cost - left) < _BACK * spread)
        run = np.where(odd, np.where(side == np.sign(run), run, 0.0) + side, 0.0)
        moved = np.abs(run) >= _RUN
        step = np.where(odd, 0.3 * gains * _JUMP * spread * side, np.maximum(gains, 1 / (known + 1)) * off)
        left = np.where(moved & (known >= _BACK_DAYS), expected, left * (1 + growth))
        level = np.where(back, left, np.where(moved, np.where(side > 0, risen[day], fallen[day]), expected + step))
        known = np.where(back, _BACK_DAYS, np.where(moved, _RUN, known + 1))
        run = np.where(moved | back, 0.0, run)
        found[:, day] = level
    return found


def _agreed(plain: Array, spread: Array) -> tuple[Array, Array]:
    """Days × series: what three days in a row up to each say that the level is, when it has risen and when fallen.

    Some of them may be a fee or a runaway day: the new level is that of the one that is nearest to the old level, and
    days beyond it count as if they lay by it.
    """
    last = np.maximum(np.arange(len(plain)), _RUN - 1)
    one, two, three = (plain[last - back] for back in range(_RUN))
    low, high = np.minimum(np.minimum(one, two), three), np.maximum(np.maximum(one, two), three)
    middle, room = one + two + three - low - high, _AGREES * spread
    risen = low + (np.minimum(middle - low, room) + np.minimum(high - low, room)) / _RUN
    fallen = high - (np.minimum(high - middle, room) + np.minimum(high - low, room)) / _RUN
    return risen, fallen


def is_sparse(charges: Array) -> NDArray[np.bool_]:
    """Series: which cost nothing on more than a third of their days."""
    return np.asarray((np.abs(charges) <= TINY).mean(axis=0) > _SPARSE)


def _settled(charges: Array) -> tuple[Array, Array, Array]:
    return np.zeros_like(charges), np.zeros(charges.shape[1]), np.zeros_like(charges)


def _with_sparse(profile: Profile, charges: Array) -> Profile:
    """Sparse series as so much money a weekday, as far as the weeks agree that weekdays differ.

    What has been on, or off, for days goes on so for a while: as long as it used to. What was on once is not expected
    again.
    """
    rows = np.flatnonzero(profile.sparse)
    recent = charges[-_SPARSE_DAYS:, rows]
    recent = np.clip(recent, np.minimum(np.quantile(recent, 0.02, axis=0), 0), np.quantile(recent, 0.98, axis=0))
    blocks = recent.reshape(-1, WEEK, len(rows))
    means, mean = blocks.mean(axis=0), blocks.mean(axis=(0, 1))
    noise = blocks.var(axis=0).mean(axis=0) / len(blocks)
    trust = np.clip(1 - noise / np.maximum(((means - mean) ** 2).mean(axis=0), 1e-12), 0, 1)
    weekdays, level, growth = profile.weekdays.copy(), profile.level.copy(), profile.growth.copy()
    plain = mean + trust * (means - mean)
    weekdays[:, rows] = plain * _again(recent)
    level[:, rows] = 1.0
    growth[rows] = 0.0
    usual, off, lasts, age = profile.usual.copy(), profile.off.copy(), profile.lasts.copy(), profile.age.copy()
    usual[:, rows] = _tiled(weekdays[:, rows], len(charges))
    lasts[rows] = _lasting(recent - _tiled(plain, len(recent)))
    now, age[:, rows] = _runs(charges[:, rows])
    off[:, rows] = now - usual[:, rows]
    return Profile(weekdays, growth, profile.spread, usual, level, profile.sparse, off, lasts, age)


def _again(charges: Array) -> Array:
    """How sure it is that a sparse series is on again: it was on so many times, with days of nothing between."""
    on = charges > _ON * charges.max(axis=0)
    runs = (on[1:] & ~on[:-1]).sum(axis=0) + on[0]
    return np.asarray(np.where(runs > 0, 1 - 1 / np.maximum(runs, 1) ** 2, 0.0))


def _lasting(off: Array) -> Array:
    """How much of a day's distance from a plain day is left on the next: none where chance explains it."""
    squares = (off**2).sum(axis=0)
    share = (off[1:] * off[:-1]).sum(axis=0) / np.maximum(squares, TINY)
    share = np.clip(share, 0, _LASTS_MOST)
    return np.asarray(share**3 / (share**2 + _LASTS_ERROR**2))


def _runs(charges: Array) -> tuple[Array, Array]:
    """Days × series: what a series costs in its run of days, 0 where it is off; and its first run's age."""
    on = charges > _ON * charges.max(axis=0)
    cost, age = np.zeros_like(charges), np.zeros_like(charges)
    run, length, known = np.zeros(charges.shape[1]), np.zeros(charges.shape[1]), np.zeros(charges.shape[1])
    for day, today in enumerate(charges):
        known += on[day] & (length == 0)
        length = np.where(on[day], length + 1, 0)
        run = np.where(on[day], run + (today - run) / np.clip(length, 1, WEEK), 0)
        cost[day], age[day] = run, np.where(known == 1, length, 0)
    return cost, age
