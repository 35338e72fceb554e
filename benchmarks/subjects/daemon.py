"""The daemon at rest: what it keeps in memory, and how soon after its start it serves, without polling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.house import House
from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.peers import gauges
from benchmarks.process import Child
from benchmarks.scale import Scale
from benchmarks.scraper import Scraper
from benchmarks.timing import in_turns

_LIMITS = {10_000: 100, 100_000: 160}  # MiB
_SCRAPES = 3  # of each form


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """At both sizes."""
    for series, limit in _LIMITS.items():
        house = House.built(scale.folder / f"daemon-{series}", series)
        yield from _memory(scale, house, series, limit)
        yield from _start(scale, house, series)


def _memory(scale: Scale, house: House, series: int, limit: int) -> Iterator[Outcome]:
    """After some scrapes, plain and compressed, and a breath."""
    with ExitStack() as stack:
        servers = {
            "ours": stack.enter_context(house.daemon()),
            "gauges": stack.enter_context(gauges.serving(series, scale.folder / f"gauges-{series}.log")),
        }
        resident = in_turns({name: _resident(*server) for name, server in servers.items()}, 1)
    ours, theirs = (Figure.of(resident[name], "MiB") for name in servers)
    yield Line(
        f"idle daemon, {series // 1000} k series: resident", ours, "prometheus_client", theirs, Target(value=limit)
    )


def _resident(server: Child, port: int) -> Callable[[], float]:
    def measure() -> float:
        for gzip in (True, False):
            scraper = Scraper(port, gzip=gzip)
            for _ in range(_SCRAPES):
                scraper.scrape()
        time.sleep(1.5)  # past the next look at the store
        return server.resident()

    return measure


def _start(scale: Scale, house: House, series: int) -> Iterator[Outcome]:
    """From the start of the process to the end of the first scrape that brings a bill."""
    before = house.polls()

    def ours() -> float:
        with house.daemon() as (daemon, port):
            body = Scraper(port, gzip=False).body()
            took = time.perf_counter() - daemon.started
        assert b"\ncloudspend_month_to_date_cost{" in body, "the first scrape has a bill"
        return took

    def others() -> float:
        log = scale.folder / f"gauges-{series}.log"
        with gauges.serving(series, log) as (process, port):
            Scraper(port).body()
            return time.perf_counter() - process.started

    took = in_turns({"ours": ours, "gauges": others}, scale.heavy_rounds)
    what = f"warm start to first scrape, {series // 1000} k series"
    theirs = Figure.of(took["gauges"], "s")
    yield Line(what, Figure.of(took["ours"], "s"), "prometheus_client, setting gauges", theirs, Target(value=1))
    polled = Figure.of([house.polls() - before], "polls")
    yield Line(f"{what}: polls of {scale.heavy_rounds} starts", polled, target=Target(value=0))
