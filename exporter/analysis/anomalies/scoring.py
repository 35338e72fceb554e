"""How odd the newest day of each series is: the default detector, thousands of series at once, numpy alone.

    score(matrix, dates)        > 1 is an alert: this day cost more than what is known of the series explains
    judge(matrix, dates)        the same with what was expected, how sure that is, and whether it fell
    outlook(matrix, dates, n)   what the days after the matrix should cost

`matrix` is series × days, NaN before a series' first charge; `dates` are its days, in order, without gaps. Only the
newest day is judged, so that nothing can look ahead: who wants a history calls again with less of the matrix.

For each series: weekday factors, growth and spread from up to 14 weeks that end before the days judged (`baseline.py`);
the last 1, 2, 3, 5, 7, 10 and 14 days against the level before them, each over its standard error and threshold; days
whose twin in an earlier month was odd are expected to be so again (`calendar.py`). The highest of the seven is the
score. Series that mostly cost nothing have a rule of their own (`sparse.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.anomalies.baseline import NORMAL, WEEK, Array, fit
from exporter.analysis.anomalies.calendar import at_edge, twins
from exporter.analysis.anomalies.order import ascending, middle, middle_of, trimmed
from exporter.analysis.anomalies.sparse import judge_sparse, mostly_nothing
from exporter.analysis.anomalies.tuning import Scale, Tuning

Days = Sequence[date] | NDArray[np.datetime64]
Floats = NDArray[Any]

DEFAULT = Tuning()
_LIFT = 3
_NEAR = 11
"""Days around a twin that say what it would have cost: more than twice a close of four days and the fee after it."""
_CHUNK = 4096
"""Series side by side: so many, and a day of them stays in the cache."""
_BLOCKS = ((49, 14), (28, 7), (17, 3), (15, 1))
"""From so many days of history on, so many of the newest are kept out of the reference."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One number per series, for the newest day; NaN where there is no judgement."""

    score: Array
    """Above 1 it is an alert."""
    drop: Array
    """The same downwards: the last three days all lie below what they should have cost."""
    expected: Array
    """What the day should have cost, for the stretch of days that is the oddest."""
    spread: Array
    """Its standard deviation."""
    lift: Array
    """How far the last three days lie above what they should have cost, in standard errors: near normal by chance."""
    scale: NDArray[np.int8]
    """How many days that stretch has; 0 where there is no judgement."""

    @classmethod
    def nothing(cls, series: int) -> Judgement:
        """No opinion about so many series."""
        blank = [np.full(series, np.nan, np.float32) for _ in range(5)]
        return cls(blank[0], blank[1], blank[2], blank[3], blank[4], np.zeros(series, np.int8))

    def put(self, rows: NDArray[np.intp], other: Judgement) -> None:
        """Take over what another says about these series."""
        for mine, its in zip(self._arrays(), other._arrays(), strict=True):
            mine[rows] = its

    def of(self, rows: slice) -> Judgement:
        """The same about some of the series."""
        score, drop, expected, spread, lift, scale = (each[rows] for each in self._arrays())
        return Judgement(score, drop, expected, spread, lift, scale)

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.score, self.drop, self.expected, self.spread, self.lift, self.scale


def score(matrix: Floats, dates: Days) -> Array:
    """One score per series for the newest day; above 1 it cost too much. NaN with fewer than 15 days."""
    return judge(matrix, dates).score


def judge(matrix: Floats, dates: Days, tuning: Tuning = DEFAULT) -> Judgement:
    """One judgement per series of its newest day."""
    found = Judgement.nothing(len(matrix))
    if not matrix.shape[1]:
        return found
    calendar, history = _Calendar.of(dates), _history(matrix)
    for block, reference, rows in _groups(history, tuning):
        for these in _chunks(rows):
            days = _complete(matrix[these])
            found.put(these, _Group(days, block, reference, history[these], calendar, tuning).judged())
            few = np.flatnonzero(mostly_nothing(days, tuning))
            if len(few):
                found.put(these[few], Judgement(*judge_sparse(days[:, few], calendar.twins[0], tuning)))
    found.score[~np.isfinite(matrix[:, -1])] = np.nan
    return found


def outlook(matrix: Floats, dates: Days, ahead: int, tuning: Tuning = DEFAULT) -> tuple[Array, Array]:
    """What the `ahead` days after the matrix should cost, series × days, and the standard deviation of such a day.

    Level, growth and weekdays alone; NaN for a series of fewer than 14 days, the plain mean for one that mostly costs
    nothing.
    """
    expected = np.full((len(matrix), ahead), np.nan, np.float32)
    spread = np.full(len(matrix), np.nan, np.float32)
    if not matrix.shape[1]:
        return expected, spread
    calendar, history = _Calendar.of(dates), _history(matrix)
    for _, reference, rows in _groups(history, tuning, blocks=((tuning.least_days - 1, 0),)):
        for these in _chunks(rows):
            days = _complete(matrix[these])
            group = _Group(days, 0, reference, history[these], calendar, tuning)
            level, deviation = group.level(0, 2 * WEEK)
            steps = np.arange(1, ahead + 1, dtype=np.float32)[:, None]
            factors = group.baseline.factors[np.arange(ahead) % WEEK]
            expected[these] = (level * (1 + group.baseline.growth * steps) * factors).T
            spread[these] = deviation
            few = np.flatnonzero(mostly_nothing(days, tuning))
            expected[these[few]] = np.nanmean(days[:, few], axis=0)[:, None]
            spread[these[few]] = np.nanstd(days[:, few], axis=0)
    return expected, spread


@dataclass(frozen=True, slots=True)
class _Calendar:
    """What is known about days without looking at their cost."""

    edges: tuple[bool, ...]
    """Whether each day, the newest last, lies at the edge of a month."""
    twins: tuple[tuple[int, ...], ...]
    """For the newest day and those before it: how many days before it its twins lie."""

    @classmethod
    def of(cls, dates: Days) -> _Calendar:
        newest = np.datetime64(dates[-1], "D").astype(date)
        count = len(dates)
        return cls(
            tuple(at_edge(newest - timedelta(count - 1 - place)) for place in range(count)),
            tuple(twins(newest - timedelta(back)) for back in range(2 * WEEK)),
        )


def _complete(matrix: Floats) -> Array:
    """Days × series; a day without an answer is taken as the same weekday of the week before."""
    days = np.ascontiguousarray(matrix.T, dtype=np.float32)
    blank = ~np.isfinite(days)
    if (blank[1:] & ~blank[:-1]).any():
        inside = blank & (np.cumsum(~blank, axis=0) > 0)
        for place in range(len(days)):
            before = days[place - WEEK] if place >= WEEK else np.zeros(days.shape[1], np.float32)
            days[place] = np.where(inside[place], np.where(np.isfinite(before), before, 0), days[place])
    return days


def _history(matrix: Floats) -> NDArray[np.intp]:
    """Days since each series began, the newest included."""
    known = np.isfinite(matrix)
    found: NDArray[np.intp] = np.where(known.any(axis=1), matrix.shape[1] - known.argmax(axis=1), 0)
    return found


def _chunks(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    yield from (rows[first : first + _CHUNK] for first in range(0, len(rows), _CHUNK))


def _groups(
    history: NDArray[np.intp], tuning: Tuning, blocks: tuple[tuple[int, int], ...] = _BLOCKS
) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
    """Days judged, days of reference, and the series that have so many."""
    for place, (least, block) in enumerate(blocks):
        most = blocks[place - 1][0] if place else np.inf
        here = (history >= least) & (history < most)
        weeks = np.minimum(history - block, tuning.longest) // WEEK
        for count in np.unique(weeks[here]):
            yield block, int(count) * WEEK, np.flatnonzero(here & (weeks == count))


class _Group:
    """Series with the same length of history, days × series."""

    def __init__(
        self, days: Array, block: int, reference: int, history: NDArray[np.intp], calendar: _Calendar, tuning: Tuning
    ) -> None:
        self._days, self._block, self._reference = days, block, reference
        self._history, self._calendar, self._tuning = history, calendar, tuning
        self._start = len(days) - block - reference
        # The calendar may know more days than there are: a matrix is as long as its oldest series.
        edges = calendar.edges[len(calendar.edges) - len(days) + self._start :]
        usual = [place for place in range(reference) if not edges[place]]
        self.baseline, plain = fit(days[self._start : len(days) - block], usual, tuning)
        divisors = self.baseline.divisors
        recent = [days[len(days) - block + place] / divisors[place % WEEK] for place in range(block)]
        self._plain: Array = np.concatenate([plain, *(row[None] for row in recent)]) if recent else plain
        self._levels: dict[tuple[int, int], tuple[Array, Array]] = {}
        self._neighbours: dict[int, Array] = {}
        self._lift: Array = np.full(days.shape[1], np.nan, np.float32)
        # A level never lies below the one of the weeks before the block: what recovers from a dip did not rise.
        long = self.baseline.leveled(plain[-tuning.long_level_days :])
        self._long = middle(ascending(list(long), middle_of(len(long))))

    def judged(self) -> Judgement:
        """Of the newest day."""
        tuning = self._tuning
        risen = [self._risen(back) for back in range(self._block)]
        scales = [scale for scale in tuning.scales if scale.days <= self._block]
        found = [self._stretch(scale, risen) for scale in scales]
        scores = np.array([each[0] for each in found])
        short = [place for place, scale in enumerate(scales) if scale.days <= _LIFT]
        if self._calendar.edges[-1]:
            # What comes once a month has not been seen yet: it is news when it is there after the edge of the month.
            scores[short] = np.where(self._history < tuning.young_edge, np.float32(0), scores[short])
        scores /= np.where(self._history < tuning.settling_in, np.float32(tuning.young_rise), np.float32(1))
        best = scores.argmax(axis=0)
        expected, spread = (np.take_along_axis(np.array([each[n] for each in found]), best[None], 0)[0] for n in (1, 2))
        lengths = np.array([scale.days for scale in scales], np.int8)
        return Judgement(scores.max(axis=0), self._fallen(), expected, spread, self._lift, lengths[best])

    def level(self, back: int, count: int) -> tuple[Array, Array]:
        """Level and standard deviation of a day without its weekday factor, `back` days before the newest day.

        From the `count` days until then. The level of a day further on is this one and the growth between.
        """
        if known := self._levels.get((back, count)):
            return known
        tuning, before = self._tuning, len(self._plain) - back
        last = self.baseline.leveled(self._plain[max(0, before - max(count, tuning.recent_days)) : before])
        near = ascending(list(last[-count:].copy()))
        level = np.maximum(trimmed(near, int(tuning.level_trim * len(near))), np.float32(0))
        level = np.maximum(level, self._long * (1 + self.baseline.growth * np.float32(self._block - back)))
        recent = list(np.abs(last[-tuning.recent_days :] - level))
        off = NORMAL * middle(ascending(recent, middle_of(len(recent))))
        spread = np.sqrt(self.baseline.spread**2 + np.float32(tuning.spread_recent) * off**2)
        self._levels[back, count] = level, np.maximum(spread, np.float32(tuning.least))
        return self._levels[back, count]

    def _stretch(self, scale: Scale, risen: Sequence[Sequence[tuple[Array, Array]]]) -> tuple[Array, Array, Array]:
        """Score, expectation and standard deviation of the newest day, as the end of a stretch of days."""
        tuning, count = self._tuning, scale.days
        level, spread = self.level(count, scale.level_days)
        if count == 1:
            spread = np.maximum(spread, np.float32(tuning.floor) * level)
        off, expected, deviation = [], level, spread
        for back in reversed(range(count)):
            weekday = self._weekday(back)
            base = level * (1 + self.baseline.growth * np.float32(count - back)) * self.baseline.factors[weekday]
            expected, deviation = base, spread * self.baseline.divisors[weekday]
            for amount, odd in risen[back]:
                again = np.where(odd > np.float32(tuning.twin_odd) * spread, amount, np.float32(0))
                expected = np.maximum(expected, base + again)
                deviation = np.maximum(deviation, np.float32(tuning.twin_slack) * again)
            off.append((self._days[-1 - back] - expected) / deviation)
        high = (self._single if count == 1 else self._together)(off, level, spread, scale)
        threshold = np.float32(scale.threshold) * (1 + np.float32(scale.tails) * self.baseline.tails)
        return high / threshold, expected, deviation

    def _single(self, days: Sequence[Array], level: Array, spread: Array, scale: Scale) -> Array:
        weeks = self._reference / WEEK
        high = days[0] / np.float32((1 + 1.57 / min(scale.level_days, len(self._plain) - 1) + 1.57 / weeks) ** 0.5)
        young = self._history < self._tuning.young_days
        if not young.any():
            return high
        weekday = self._weekday(1)
        before = self._days[-2] - level * self.baseline.factors[weekday]
        second = before / (spread * self.baseline.divisors[weekday] * np.float32(self._tuning.young_second))
        held: Array = np.where(young, np.minimum(high, second), high)
        return held

    def _together(self, off: Sequence[Array], level: Array, spread: Array, scale: Scale) -> Array:
        """How far the days of a stretch lie above what they should have cost, in standard errors of that."""
        tuning, count, newest = self._tuning, scale.days, off[-1]
        if count == 2:
            least, most = np.minimum(off[0], newest), np.maximum(off[0], newest)
            high, lost = np.where(least > tuning.both * most, (least + most) / 2, least), 1.0
        elif count == 3:
            high, lost = middle(ascending([row.copy() for row in off], middle_of(3))), 1.35
        else:
            clip = np.float32(tuning.clip)
            high, lost = trimmed(ascending([np.clip(row, -clip, clip) for row in off]), scale.off), 1.1
        level_days = min(scale.level_days, len(self._plain) - count)
        apart = (count + level_days) / 2
        unsure = (np.float32(apart) * self.baseline.growth_error) ** 2 + np.float32(tuning.block_floor) ** 2
        unsure *= np.float32(tuning.unsure)
        variance = (
            self.baseline.clumping * np.float32(lost / count + 1.15 / level_days) + unsure * (level / spread) ** 2
        )
        # What is over by today is history, and was judged on its day.
        lasting = np.minimum(newest, np.float32(tuning.clip)) > np.float32(tuning.newest) * high
        sure: Array = high / np.sqrt(variance)
        if count == _LIFT:
            self._lift = sure
        return np.where(lasting, sure, np.float32(0))

    def _fallen(self) -> Array:
        """How far the nearest of the last three days lies below its expectation, over the threshold."""
        tuning = self._tuning
        if self._block < 3:
            return np.full(self._days.shape[1], np.nan, np.float32)
        level, spread = self.level(3, self._tuning.scales[2].level_days)
        spread = np.maximum(spread, np.float32(tuning.floor) * level)
        low = np.full(self._days.shape[1], np.inf, np.float32)
        for back in range(3):
            weekday = self._weekday(back)
            missing = level * self.baseline.factors[weekday] - self._days[-1 - back]
            low = np.minimum(low, missing / (spread * self.baseline.divisors[weekday]))
        return low / np.float32(tuning.drop)

    def _risen(self, back: int) -> list[tuple[Array, Array]]:
        """What the twins of a day cost above their neighbours: on a day of this weekday, and without any."""
        found = []
        factors, divisors = self.baseline.factors, self.baseline.divisors
        for lag in self._calendar.twins[back]:
            place = len(self._days) - 1 - back - lag
            if place < 0:
                continue
            column = place - self._start
            first = max(0, min(column - _NEAR // 2, len(self._plain) - _NEAR))
            if first not in self._neighbours:
                near = list(self._plain[first : first + _NEAR].copy())
                self._neighbours[first] = middle(ascending(near, middle_of(len(near))))
            amount = self._days[place] - self._neighbours[first] * factors[column % WEEK]
            odd = amount / divisors[column % WEEK]
            # A charge is the same on any weekday; a close is a share of the day's usual business.
            amount = np.maximum(amount, odd * factors[self._weekday(back)])
            if column < 0:  # before the reference, where a series need not have begun
                amount, odd = np.nan_to_num(amount), np.nan_to_num(odd)
            found.append((amount, odd))
        return found

    def _weekday(self, back: int) -> int:
        """The row of the factors for so many days before the newest."""
        return (self._block - 1 - back) % WEEK
