"""prometheus_client as most exporters use it: gauges set once, rendered and compressed at each scrape.

`python -m benchmarks.peers.gauges PORT SERIES` serves until it is ended.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from benchmarks import process
from benchmarks.process import Child
from benchmarks.scraper import Scraper, answers
from benchmarks.series import families
from exporter.metrics.exposition import Family


def gauges(series: Iterable[Family]) -> CollectorRegistry:
    """The series as Gauge objects."""
    registry = CollectorRegistry()
    for family in series:
        gauge = Gauge(family.spec.name, family.spec.help, family.spec.labels, registry=registry)
        for labels, value in family.samples:
            gauge.labels(*labels).set(float(value))
    return registry


def collected(series: Iterable[Family]) -> CollectorRegistry:
    """The series as a custom collector hands them over, made ready beforehand: the library's best case."""
    registry = CollectorRegistry()
    registry.register(_Ready(series))
    return registry


class _Ready(Collector):
    """Metric families that are there already."""

    def __init__(self, series: Iterable[Family]) -> None:
        self._metrics = [_metric(family) for family in series]

    def collect(self) -> Iterator[Metric]:
        """Hand them over."""
        yield from self._metrics


def _metric(family: Family) -> Metric:
    metric = GaugeMetricFamily(family.spec.name, family.spec.help, labels=family.spec.labels)
    for labels, value in family.samples:
        metric.add_metric(labels, float(value))
    return metric


@contextmanager
def serving(series: int, log: Path) -> Iterator[tuple[Child, int]]:
    """A process that serves so many gauges, and its port."""
    port = process.free_port()
    with process.running([sys.executable, "-m", "benchmarks.peers.gauges", str(port), str(series)], log) as child:
        process.wait_until(lambda: answers(Scraper(port)), log)
        yield child, port


def _main() -> None:
    port, count = map(int, sys.argv[1:])
    start_http_server(port, "127.0.0.1", registry=gauges(families(count)))
    signal.pause()


if __name__ == "__main__":
    _main()
