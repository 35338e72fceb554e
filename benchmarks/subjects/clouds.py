"""Clouds: pages of charges to a snapshot, three clouds at once, a first start, and what a month of asking costs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks import process
from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.scale import Scale
from benchmarks.scraper import Scraper

CLOUDS = ("aws", "azure", "gcp")
NOW = "2024-02-29T15:05:00Z"
PAGES = 100
_SLOW = 4.0
"""How many seconds a cloud thinks before it hangs up once, where clouds are slow."""
_TRIED = (
    "DuckDB reads the pages as they came, without a row of Python for each group, which took it from 4.4 s to 1.2 s;"
    " what is left is a quarter of a second each for reading JSON, the store's files, and the snapshot's."
)


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """All four."""
    yield from _pages(scale)
    yield from _start(scale)
    yield from _at_once(scale)
    yield from _money(scale)


def _pages(scale: Scale) -> Iterator[Outcome]:
    """One hundred pages of a thousand groups, in a process of their own."""
    took, peak = [], []
    for number in range(scale.heavy_rounds):
        ended = process.run("benchmarks.cloud_read", scale.folder / f"pages-{number}", PAGES)
        said = json.loads(ended.printed)
        took.append(said["keep"] + said["rest"])
        peak.append(ended.peak)
    what = f"{PAGES} pages of Cost Explorer, 1,000 groups each, to a snapshot"
    yield Line(what, Figure.of(took, "s"), target=Target(value=1), tried=_TRIED)
    yield Line(f"{what}: peak memory", Figure.of(peak, "MiB"), target=Target(value=300), tried=_TRIED)


def _start(scale: Scale) -> Iterator[Outcome]:
    """From the start of `serve` to the costs of three clouds in /metrics."""
    took = []
    for number in range(scale.heavy_rounds):
        folder = scale.folder / f"start-{number}"
        with _simulated(folder) as config:
            port = process.free_port()
            address = f"127.0.0.1:{port}"
            command = [sys.executable, "-m", "exporter", "serve", "--config", str(config)]
            with process.running([*command, "--web.listen-address", address], folder / "log", _clock()) as child:
                process.wait_until(lambda port=port: _shown(port), folder / "log")  # type: ignore[misc]
                took.append(time.perf_counter() - child.started)
    yield Line("serve to three clouds in /metrics", Figure.of(took, "s"), target=Target(value=10))


def _at_once(scale: Scale) -> Iterator[Outcome]:
    """Three slow clouds together, beside the slowest alone."""
    alone = {name: _collected(scale.folder / f"alone-{name}", name) for name in CLOUDS}
    together = _collected(scale.folder / "together", *CLOUDS)
    slowest = max(alone, key=lambda name: alone[name])
    total = sum(alone.values())
    yield Line(
        "three slow clouds at once",
        Figure.of([together], "s"),
        f"the slowest alone, {slowest}",
        Figure.of([alone[slowest]], "s"),
        Target(ratio=1.5),
        f"one after the other they take {total:.1f} s",
    )


def _money(scale: Scale) -> Iterator[Outcome]:
    """What `cloudspend plan` says of the defaults: a page a question of AWS, ten mebibytes a question of Google's."""
    folder = scale.folder / "money"
    with _simulated(folder) as config:
        command = [sys.executable, "-m", "exporter", "plan", "--config", str(config), "--format", "json"]
        said = subprocess.run(
            command, cwd=process.ROOT, env={**os.environ, **_clock()}, capture_output=True, check=True
        )
    usd = {each["source"]: float(each["charges"].get("USD", 0)) for each in json.loads(said.stdout)}
    yield Line(
        "AWS, default plan every 8 h, 30 days, a page a question",
        Figure.of([usd["aws"]], "USD"),
        target=Target(value=2),
        note="to the cent what the ledger holds then: tests/acceptance/test_money.py",
    )
    yield Line(
        "Google Cloud, 30 days, at least 10 MiB a query", Figure.of([usd["gcp"]], "USD"), target=Target(value=0.10)
    )


@contextmanager
def _simulated(folder: Path) -> Iterator[Path]:
    """Simulated clouds, and a configuration that reads them."""
    folder.mkdir()
    config = folder / "clouds.yml"
    command = [sys.executable, "-m", "exporter", "simulate", "--write-config", str(config)]
    with process.running(command, folder / "simulate.log", _clock()):
        process.wait_until(lambda: b"READY" in (folder / "simulate.log").read_bytes(), folder / "simulate.log")
        yield config


def _collected(folder: Path, *names: str) -> float:
    """Seconds that `collect` takes over these clouds, each of which hangs once."""
    with _simulated(folder) as config:
        clouds = json.loads(config.with_name(f"{config.name}.expected.json").read_text())["clouds"]
        for name in names:
            fault = [{"kind": "hang", "operation": _ASKED[name], "times": 1, "seconds": _SLOW}]
            _tell(clouds[name] + "/__simulator__/faults", fault)
        command = [sys.executable, "-m", "exporter", "collect", "--config", str(config)]
        began = time.perf_counter()
        asked = ["--providers", ",".join(names)]
        subprocess.run(
            [*command, *asked], cwd=process.ROOT, env={**os.environ, **_clock()}, check=True, capture_output=True
        )
        return time.perf_counter() - began


_ASKED = {"aws": "GetCostAndUsage", "azure": "query", "gcp": "tabledata.list"}


def _tell(url: str, document: object) -> None:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own, on loopback
    request = Request(url, json.dumps(document).encode(), method="POST")  # noqa: S310  loopback
    urlopen(request, timeout=10, context=context if url.startswith("https") else None).close()  # noqa: S310


def _shown(port: int) -> bool:
    try:
        body = Scraper(port, gzip=False).body().decode()
    except OSError:
        return False
    return set(re.findall(r'cloudspend_month_to_date_cost\{source="(\w+)"', body)) == set(CLOUDS)


def _clock() -> dict[str, str]:
    return {"CLOUDSPEND_NOW": NOW}
