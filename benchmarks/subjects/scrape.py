"""A scrape: what it costs the server, how long it takes, at rest and while a poll runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from statistics import median, quantiles

from benchmarks.bills import Bill
from benchmarks.house import House
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.peers import gauges, nginx
from benchmarks.process import Child, wait_until
from benchmarks.scale import Scale
from benchmarks.scraper import Scraper
from benchmarks.timing import in_turns
from exporter import snapshot

_PACE = 0.02  # seconds between scrapes while a poll runs: a scraper, not a flood


@dataclass(frozen=True, slots=True)
class Round:
    """Some scrapes of one server, one after the other."""

    walls: tuple[float, ...]
    """Milliseconds."""
    cpu: float
    """Milliseconds of the server per scrape."""


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """At 100 k series and at 10 k, and beside a poll."""
    yield from _sizes(scale, 100_000)
    yield from _sizes(scale, 10_000)
    yield from _beside_a_poll(scale)


def _sizes(scale: Scale, series: int) -> Iterator[Outcome]:
    with ExitStack() as stack:
        house = House.built(scale.folder / f"scrape-{series}", series)
        ours = stack.enter_context(house.daemon())
        client = stack.enter_context(gauges.serving(series, scale.folder / f"gauges-{series}.log"))
        # What renders at each scrape gets fewer of them, or this would take an hour.
        few = max(1, scale.scrapes * 1000 // series // 20)
        contenders = {
            "ours": _rounds(*ours, scale.scrapes),
            "prometheus_client": _rounds(*client, few),
            "ours, new": _rounds(*ours, scale.scrapes, keep=False),
        }
        if program := nginx.found():
            published = snapshot.load(house.paths.snapshots)
            assert published is not None
            bodies = (published.plain, published.compressed)
            bare = stack.enter_context(nginx.serving(program, scale.folder / f"nginx-{series}", *bodies))
            contenders["nginx"] = _rounds(*bare, scale.scrapes)
            contenders["nginx, new"] = _rounds(*bare, scale.scrapes, keep=False)
        measured = in_turns(contenders, scale.rounds)
    yield from _compared(series, measured)


def _compared(series: int, measured: Mapping[str, list[Round]]) -> Iterator[Outcome]:
    cpu = {name: Figure.of((each.cpu for each in rounds), "ms CPU") for name, rounds in measured.items()}
    wall = {name: Figure.of((median(each.walls) for each in rounds), "ms") for name, rounds in measured.items()}
    large = series == 100_000
    what, peer = f"scrape {series // 1000} k, gzip", "prometheus_client"
    yield Line(f"{what}: CPU", cpu["ours"], peer, cpu[peer], Target(ratio=1 / 1000 if large else None))
    every = [one for each in measured["ours"] for one in each.walls]
    note = f"p50 {median(every):.2f} ms, p99 {quantiles(every, n=100)[98]:.2f} ms of {len(every)} scrapes"
    yield Line(f"{what}: wall", wall["ours"], peer, wall[peer], Target(ratio=1 / 500 if large else None), note)
    if not large:
        yield Line(f"{what}: wall", wall["ours"], target=Target(value=1.5))
    if "nginx" not in measured:
        yield Skipped(f"{what} against nginx", nginx.MISSING)
        return
    same, limit = "nginx, same bytes", Target(ratio=4 if large else None)
    yield Line(f"{what}: CPU", cpu["ours"], same, cpu["nginx"], limit)
    yield Line(f"{what}: wall", wall["ours"], same, wall["nginx"], limit)
    yield Line(f"{what}, new connections: CPU", cpu["ours, new"], same, cpu["nginx, new"])
    yield Line(f"{what}, new connections: wall", wall["ours, new"], same, wall["nginx, new"])


def _rounds(server: Child, port: int, scrapes: int, *, keep: bool = True) -> Callable[[], Round]:
    def measure() -> Round:
        scraper = Scraper(port, keep=keep)  # kept for one round: servers hang up while the others are measured
        scraper.scrape()
        before = server.cpu()
        walls = tuple(scraper.scrape().milliseconds for _ in range(scrapes))
        spent = server.cpu() - before
        scraper.close()
        return Round(walls, spent / scrapes * 1e3)

    return measure


def _beside_a_poll(scale: Scale) -> Iterator[Outcome]:
    """The daemon's own worker polls a heavy bill; scrapes at rest, beside it, at rest, beside it …"""
    bill = Bill(scale.poll_rows, first=date(2026, 9, 1), days=49, accounts=2500)
    house = House.built(scale.folder / "poll", bill=bill)
    with house.daemon() as (daemon, port):
        scraper = Scraper(port)

        def at_rest() -> list[float]:
            wait_until(lambda: not daemon.children())
            until = time.perf_counter() + 3
            return _paced(scraper, lambda: time.perf_counter() < until)

        def beside() -> list[float]:
            house.ask_for_a_poll()
            wait_until(daemon.children)
            return _paced(scraper, lambda: bool(daemon.children()))

        walls = in_turns({"rest": at_rest, "poll": beside}, scale.heavy_rounds)
    series = house.series()
    polled, rest = ([one for each in walls[name] for one in each] for name in ("poll", "rest"))
    note = (
        f"{series:,} series, polls of {scale.poll_rows:,} rows; p99 {quantiles(polled, n=100)[98]:.1f} ms"
        f" of {len(polled)} beside, {quantiles(rest, n=100)[98]:.1f} ms of {len(rest)} at rest"
    )
    yield Line(
        "scrape while a poll runs: p50",
        Figure.of(map(median, walls["poll"]), "ms"),
        "the same at rest",
        Figure.of(map(median, walls["rest"]), "ms"),
        Target(ratio=2),
        note,
    )


def _paced(scraper: Scraper, go_on: Callable[[], bool]) -> list[float]:
    """Scrapes at a pace for as long as something holds: milliseconds each."""
    walls = []
    while go_on():
        walls.append(scraper.scrape().milliseconds)
        time.sleep(_PACE)
    return walls
