"""Forecast the rest of a month for so many series of 90 days: seconds of CPU, a line for each round."""

from __future__ import annotations

import sys
import time

import numpy as np

from exporter.analysis.forecasts import forecast

DAYS, AHEAD = 90, 20


def main() -> None:
    """`python -m benchmarks.forecast.speed SERIES ROUNDS`."""
    series, rounds = map(int, sys.argv[1:3])
    random = np.random.default_rng(1)
    week = np.where(np.arange(DAYS) % 7 < 5, 1.0, 0.6)
    costs = (
        np.exp(random.normal(3, 1.8, (series, 1))) * week * np.maximum(1 + random.normal(0, 0.05, (series, DAYS)), 0)
    )
    costs[: series // 10][random.random((series // 10, DAYS)) < 0.6] = 0
    costs[-series // 10 :, : DAYS // 2] = np.nan
    dates = np.datetime64("2026-06-01") + np.arange(DAYS)
    for _ in range(rounds):
        begun = time.process_time()
        forecast(costs, dates, AHEAD)
        print(time.process_time() - begun)


if __name__ == "__main__":
    main()
