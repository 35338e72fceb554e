"""One poll of many series, in a process of its own: `python -m benchmarks.detection.speed 100000 5`.

Prints the CPU seconds of each round. The matrix is 90 days, a tenth of it sparse, a tenth young.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from exporter.analysis.anomalies import score

DAYS = 90


def matrix(series: int) -> np.ndarray:
    random = np.random.default_rng(0)
    level = np.exp(random.normal(3.7, 1.8, series)).astype(np.float32)[:, None]
    weekend = random.uniform(0.4, 1.0, series).astype(np.float32)[:, None]
    noise = random.uniform(0.01, 0.2, series).astype(np.float32)[:, None]
    costs = random.standard_normal((series, DAYS), np.float32)
    costs *= noise
    costs += 1
    costs *= level
    costs[:, np.arange(DAYS) % 7 >= 5] *= weekend
    np.maximum(costs, 0, out=costs)
    sparse = np.flatnonzero(random.random(series) < 0.1)
    costs[sparse] *= random.random((len(sparse), DAYS), np.float32) < 0.3
    for row in np.flatnonzero(random.random(series) < 0.1):
        costs[row, : random.integers(10, 70)] = np.nan
    return costs


def main() -> None:
    costs = matrix(int(sys.argv[1]))
    dates = np.datetime64("2026-03-02") - np.arange(DAYS - 1, -1, -1)
    for _ in range(int(sys.argv[2])):
        began = time.process_time()
        score(costs, dates)
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
