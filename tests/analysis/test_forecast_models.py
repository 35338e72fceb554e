"""The other models behind the interface of forecasts: a line, and what packages make."""

from __future__ import annotations

import sys
from statistics import NormalDist

import numpy as np
import pytest

from exporter.analysis.forecasts import ahead
from exporter.analysis.forecasts.intervals import Mistakes
from exporter.errors import CloudspendError
from tests.analysis.test_forecasts import days, noisy


def test_of_a_line_the_line_is_expected() -> None:
    line = 100 + 0.5 * np.arange(100)
    found = ahead(line[None], days(100), 10, "linear")
    assert found.mean[0] == pytest.approx(100 + 0.5 * np.arange(100, 110))


def test_an_unknown_model_and_a_missing_one_are_told() -> None:
    with pytest.raises(CloudspendError, match=r"'arima' is not a forecast model.*one of auto, seasonal"):
        ahead(noisy(30), days(30), 5, "arima")
    with pytest.raises(CloudspendError, match="level"):
        ahead(noisy(30), days(30), 5).interval(95)


@pytest.mark.parametrize(("name", "module"), [("prophet", "prophet"), ("statsforecast", "statsforecast.models")])
def test_a_model_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CloudspendError, match=rf"{name}.*cloudspend\[forecast\]"):
        ahead(noisy(30), days(30), 5, name)


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["prophet", "statsforecast"])
def test_a_package_sees_weeks_and_its_intervals_hold_what_comes(name: str) -> None:
    week = np.array([1, 1, 1, 1, 1, 0.5, 0.4])
    charges = noisy(140, spread=3, rows=3, seed=8) * np.tile(week, 20)
    outlook = ahead(charges[:, :126], days(126), 14, name)
    assert outlook.mean[:, 5] == pytest.approx(charges[:, 131], rel=0.15)
    assert outlook.mean[:, :7].argmin(axis=1).tolist() == [6, 6, 6]
    came = charges[:, 126:].sum(axis=1)
    (low, high), (lowest, highest) = outlook.interval(0.8), outlook.interval(0.99)
    for less, more in ((lowest, low), (low, outlook.total), (outlook.total, high), (high, highest)):
        assert (less < more).all()
    assert ((lowest <= came) & (came <= highest)).all()


@pytest.mark.parametrize("series", [1, 30])
def test_what_a_package_believes_is_taken_at_its_word(series: int) -> None:
    normal = np.array([NormalDist(0, 3).inv_cdf((place + 0.5) / 4000) for place in range(4000)])
    believed = Mistakes(np.ones(series), np.repeat(normal[:, None], series, axis=1), drawn=True)
    for level, reach in ((0.8, 1.2816), (0.95, 1.96), (0.99, 2.5758)):
        below, above = believed.reach(np.zeros(series, bool), level)
        assert below == pytest.approx([3 * reach] * series, rel=0.005)
        assert above == pytest.approx(below)
