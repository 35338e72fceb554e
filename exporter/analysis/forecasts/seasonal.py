"""The default model: a robust profile of plain days, what comes once a month, and its own past mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.forecasts.intervals import Mistakes, mistakes
from exporter.analysis.forecasts.monthly import CYCLE, monthly, repeated
from exporter.analysis.forecasts.profile import FADE, WEEK, Array, Profile, is_sparse, learn, plain_days

WEEKS = 24
"""So much of the past is looked at, where there is so much."""
_APART = 4
"""Days between past origins."""
_FADES = 0.9
"""A total of twice as many days is missed by 2 to this power: mistakes of the level last, those of days do not."""
_GROWS = 0.5
"""Of what growth adds beyond the days that mistakes are known of, so much may be wrong."""

_TWO_MONTHS = 63
_LATELY = 84
_UNEXPLAINED = 0.1
"""A sparse series of which fees leave less than this share of the last twelve weeks' money consists of them, once
two months of it are known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about a group of series of one length."""

    mean: Array
    """Horizon × series."""
    mistakes: Mistakes
    """Of the total over the horizon."""
    growth: Array
    weekdays: Array
    monthly: Array
    """CYCLE × series: what the next days cost beyond plain days."""
    kind: NDArray[np.bool_]
    """The sparse ones."""
    error: Array
    """Median past mistake of a total, as a share of what came."""


def seasonal(charges: Array, first: date, horizon: int) -> Answer:
    """Days × series without NaN, at least 14 days, to what the days from `first` cost."""
    days = len(charges) // WEEK * WEEK
    charges = charges[len(charges) - days :][-WEEK * WEEKS :]
    # What comes once a month says nothing of plain days, and least of today's level.
    expected, rest = _monthly(charges, first)
    profile = learn(rest)
    mean = profile.ahead(horizon) + repeated(expected, first, horizon)
    found, error = _past(profile, rest, expected, mean)
    return Answer(mean, found, profile.growth, profile.weekdays, expected, profile.sparse, error)


def _monthly(charges: Array, first: date) -> tuple[Array, Array]:
    """What comes once a month, CYCLE × series, and the past without it.

    A sparse series either consists of fees, or has none: that some of its days fall on the same day of a month is
    chance.
    """
    weekdays, level, spread = plain_days(charges)
    sparse = is_sparse(charges)
    level = np.where(sparse, 0.0, level)
    week = np.arange(-len(charges), CYCLE) % WEEK
    plain = np.concatenate([level, np.repeat(level[-1:], CYCLE, axis=0)]) * weekdays[week]
    expected, rest = monthly(charges, plain[:-CYCLE], spread, weekdays, plain[-CYCLE:], first)
    left = np.abs(rest[-_LATELY:]).sum(axis=0)
    chance = sparse & ((len(charges) < _TWO_MONTHS) | (left >= _UNEXPLAINED * np.abs(charges[-_LATELY:]).sum(axis=0)))
    expected[:, chance] = 0
    rest[:, chance] = charges[:, chance]
    return expected, rest


def _past(profile: Profile, rest: Array, expected: Array, mean: Array) -> tuple[Mistakes, Array]:
    days, horizon = len(rest), len(mean)
    reach = min(horizon, max(WEEK, days // 3))
    origins = np.arange(days - reach, 2 * WEEK - 1, -_APART)[::-1]
    longer = (horizon / reach) ** _FADES
    noise = np.std(rest[-4 * WEEK :] - profile.usual[-4 * WEEK :], axis=0) * np.sqrt(reach * (1 + reach / 14)) * 1.1
    noise = np.hypot(noise, 0.1 * np.sqrt((expected[: min(reach, CYCLE)] ** 2).sum(axis=0)))
    missed, came = np.empty((len(origins), rest.shape[1])), np.empty((len(origins), rest.shape[1]))
    faded = 1 + profile.growth * np.cumsum(FADE ** np.arange(reach))[:, None]
    for row, origin in enumerate(origins):
        weekdays = profile.weekdays[(origin + np.arange(reach)) % WEEK]
        came[row] = rest[origin : origin + reach].sum(axis=0)
        missed[row] = came[row] - profile.level[origin - 1] * (faded * weekdays).sum(axis=0)
        missed[row] -= profile.carried(origin - 1, reach).sum(axis=0)
    share = np.abs(missed) / np.maximum(np.abs(came), 1e-9)
    error = np.median(share, axis=0) if len(share) else np.full(rest.shape[1], np.nan)
    found = mistakes(missed, origins, reach, noise, mean.sum(axis=0) / longer)
    grown = np.abs(profile.ahead(horizon).sum(axis=0) - profile.flat(horizon).sum(axis=0))
    return Mistakes(np.hypot(found.unit * longer, _GROWS * grown * (1 - reach / horizon)), found.past), error
