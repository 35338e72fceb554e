"""The detectors by name, and the search for a cause."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.anomalies import DETECTORS, Settings, detector
from exporter.analysis.anomalies.causes import rank
from exporter.errors import ConfigError
from tests.analysis.estates import COUNT, FIRST, lines, more, replay, scope

DAYS = [FIRST + timedelta(place) for place in range(COUNT)]


def flat(last: float, count: int = COUNT) -> np.ndarray:
    matrix = np.random.default_rng(1).normal(100, 2, (1, count))
    matrix[0, -1] = last
    return matrix


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_tells_ten_times_the_usual_and_not_the_usual(name: str) -> None:
    find = detector(name)
    assert find(flat(1000), DAYS).score[0] > 1
    assert find(flat(100), DAYS).score[0] <= 1


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_is_silent_about_what_has_just_begun(name: str) -> None:
    matrix = flat(1000)
    matrix[0, :-1] = np.nan
    found = detector(name)(matrix, DAYS).score[0]
    assert np.isnan(found) or name == "percent"


def test_percent_is_against_the_day_before_and_can_be_set() -> None:
    steps = np.array([[100.0, 104.0], [100.0, 106.0], [100.0, 160.0]])
    days = [date(2026, 1, 1), date(2026, 1, 2)]
    assert (detector("percent")(steps, days).score > 1).tolist() == [False, False, True]
    assert (detector("percent", more=5)(steps, days).score > 1).tolist() == [False, True, True]


def test_a_z_score_counts_deviations_from_the_mean() -> None:
    before = np.tile([90.0, 110.0], 15)
    matrix = np.array([[*before, 125.0], [*before, 135.0]])
    assert (detector("zscore")(matrix, DAYS[:31]).score > 1).tolist() == [False, True]


def test_a_name_that_is_none_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="one of default, percent, zscore, isolation_forest"):
        detector("prophecy")


def test_a_detector_is_chosen_by_its_name() -> None:
    series = more(lines(), lambda each: each == scope("prod", "EC2", "east"), 30, 100, 1)
    assert replay(series, 100, 100).new
    assert not replay(series, 100, 100, Settings(detector="percent")).new


WORDS = [
    (a, s, r) for a in ("prod", "dev", "lab") for s in ("EC2", "S3", "RDS", "EKS") for r in ("east", "west", "north")
]
SLICES = [
    ("prod", "all", "all"),
    ("all", "S3", "all"),
    ("all", "all", "west"),
    ("dev", "RDS", "all"),
    ("lab", "all", "east"),
]


@given(st.sampled_from(SLICES), st.floats(0.4, 3.0), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_slice_whose_lines_all_grew_is_named_and_no_other(slice_: tuple[str, ...], rise: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    expected = np.exp(chance.normal(4, 1, len(WORDS)))
    inside = np.array([all(its in ("all", word) for its, word in zip(slice_, words, strict=True)) for words in WORDS])
    actual = expected * chance.normal(1, 0.02, len(WORDS))
    actual[inside] *= 1 + rise * chance.uniform(0.8, 1.2, inside.sum())
    best = rank(WORDS, actual, expected, 0.03 * expected)[0]
    assert best.words == slice_
    assert best.rows.tolist() == np.flatnonzero(inside).tolist()


def test_lines_without_a_past_are_a_cause_of_their_own() -> None:
    words = [*WORDS, ("dev", "EC2", "sydney"), ("dev", "EBS", "sydney")]
    expected = np.r_[np.full(len(WORDS), 50.0), 0.0, 0.0]
    actual = np.r_[np.full(len(WORDS), 50.0), 40.0, 9.0]
    best = rank(words, actual, expected, np.r_[np.full(len(WORDS), 1.0), 2.0, 2.0])[0]
    assert "sydney" in best.words
    assert best.rows.tolist() == [len(WORDS), len(WORDS) + 1]


def test_when_nothing_changed_no_slice_is_likely() -> None:
    expected = np.full(len(WORDS), 50.0)
    assert all(cause.likelihood < 0 for cause in rank(WORDS, expected, expected, expected * 0.05))
