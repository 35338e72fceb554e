"""Fourteen months of ten thousand series: from the store into blocks of Prometheus, and over remote write."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks import process
from benchmarks.outcome import Figure, Line, Outcome, Skipped, Target
from benchmarks.scale import Scale
from benchmarks.subjects.store import Fleet
from exporter.costs import engine
from exporter.periods import Window
from exporter.polling.sources import Paths
from exporter.store.lake import Lake
from exporter.store.state import State, Success

_FIRST, _UNTIL = date(2025, 8, 1), date(2026, 10, 1)
_NOW = datetime(2026, 10, 20, 12, tzinfo=UTC)
_SOURCE = "fleet"
_CONFIG = """\
store: {{path: {folder}/data}}
sources: [{{name: fleet, provider: focus, path: {folder}/none.csv, settles_after: 48h, series_limit: 100000}}]
"""


@dataclass(frozen=True, slots=True)
class House:
    """A data folder with a bill, as a poll leaves it."""

    folder: Path
    lines: int

    @classmethod
    def built(cls, folder: Path, lines: int) -> House:
        folder.mkdir()
        house = cls(folder, lines)
        engine.configure(memory="1GB", threads=2, spill=folder / "spill")
        paths, fleet = Paths(folder / "data"), Fleet(lines)
        lake = Lake(paths.lake)
        for month in Window.of_days(_FIRST, _UNTIL).months():
            lake.replace(_SOURCE, fleet.bill(month.window()))
        with State(paths.state) as state:
            state.begin(_SOURCE, _NOW, _NOW + timedelta(days=1), os.getpid(), "asked")
            state.succeed(_SOURCE, Success(_NOW, _NOW + timedelta(days=1), 1.0, lake.rows(_SOURCE)))
        house.config.write_text(_CONFIG.format(folder=folder))
        return house

    @property
    def config(self) -> Path:
        return self.folder / "cloudspend.yml"

    @property
    def samples(self) -> int:
        return self.lines * (_UNTIL - _FIRST).days

    def history(self, *words: object) -> process.Ended:
        """`cloudspend history`, with nothing said before."""
        shutil.rmtree(self.folder / "data" / "history", ignore_errors=True)
        os.environ["CLOUDSPEND_NOW"] = f"{_NOW:%Y-%m-%dT%H:%M:%SZ},frozen"
        try:
            return process.run("exporter", "history", "--config", self.config, *words)
        finally:
            del os.environ["CLOUDSPEND_NOW"]


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Ten thousand lines of the bill; each run begins with nothing said."""
    house = House.built(scale.folder / "history", scale.history_lines)
    what = f"history, {house.samples / 1e6:.2f} M samples"
    yield from _blocks(scale, house, what)
    yield from _written(scale, house, what)


def _blocks(scale: Scale, house: House, what: str) -> Iterator[Outcome]:
    promtool = shutil.which("promtool")
    if promtool is None:
        yield Skipped(f"{what}: into blocks", "needs promtool: the Debian package prometheus")
        return
    seconds, ours, theirs, rooms = [], [], [], []
    for _ in range(scale.heavy_rounds):
        document, data = house.folder / "history.om", house.folder / "blocks"
        made = house.history("--output", document)
        began = time.perf_counter()
        peak = _promtool(promtool, document, data)
        seconds.append(made.seconds + time.perf_counter() - began)
        ours.append(made.peak)
        theirs.append(peak)
        rooms.append(document.stat().st_size / 1e6)
        document.unlink()
        shutil.rmtree(data)
    figure = Figure.of(seconds, "s")
    yield Line(f"{what}: into blocks", figure, target=Target(value=60), note=f"a document of {rooms[0]:.0f} MB")
    yield Line(f"{what}: memory of ours", Figure.of(ours, "MiB"), target=Target(value=1000))
    note = "all that it holds but the document, which it maps"
    yield Line(f"{what}: memory of promtool", Figure.of(theirs, "MiB"), target=Target(value=1000), note=note)


def _promtool(promtool: str, document: Path, data: Path) -> float:
    """Make blocks; the largest memory of its own, MiB."""
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=8760h", "openmetrics", document, data]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while running.poll() is None:
        with suppress(OSError):
            found = re.search(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{running.pid}/status").read_text(), re.MULTILINE)
            peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.02)
    if running.returncode:
        raise RuntimeError("promtool refused the document")
    return peak / 1024


def _written(scale: Scale, house: House, what: str) -> Iterator[Outcome]:
    log = house.folder / "log"
    port = process.free_port()
    target = Target(value=10)
    note = "bringing the record up to date and starting the command included; 10 s are 100,000 samples a second"
    with process.running([sys.executable, "-m", "benchmarks.sink", str(port)], log):
        process.wait_until(lambda: _answers(port), log)
        took = [_speed(house, f"http://127.0.0.1:{port}/") for _ in range(scale.heavy_rounds)]
        name = f"{what}: a million over remote write, to a sink"
        yield Line(name, Figure.of(took, "s"), target=target, note=note)
    yield from _for_real(house, what, log)


def _for_real(house: House, what: str, log: Path) -> Iterator[Outcome]:
    """To real databases, whose own work it is then; both on the cores that ours runs on."""
    late = house.folder / "prometheus.yml"
    late.write_text("storage: {tsdb: {out_of_order_time_window: 500d}}\n")
    flags = ("--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=500d", f"--config.file={late}")
    note = "it keeps an index for each day, so one sample a day is the most work that a sample can be"
    months = ("-retentionPeriod=120",)
    databases = (
        ("Prometheus", "prometheus", flags, "--storage.tsdb.path={}", "--web.listen-address={}", ""),
        ("VictoriaMetrics", "victoria-metrics", months, "-storageDataPath={}", "-httpListenAddr={}", note),
    )
    for name, program, more, stored, listening, said in databases:
        line = f"{what}: a million, to {name}"
        if shutil.which(program) is None:
            yield Skipped(line, f"needs the Debian package {program}")
            continue
        port, data = process.free_port(), house.folder / program
        serve = [program, stored.format(data), listening.format(f"127.0.0.1:{port}"), *more]
        with process.running(serve, log):
            process.wait_until(lambda at=port: _answers(at), log)
            yield Line(line, Figure.of([_speed(house, f"http://127.0.0.1:{port}/api/v1/write")], "s"), note=said)
        shutil.rmtree(data)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _speed(house: House, url: str) -> float:
    """Seconds for a million samples."""
    return house.history("--remote-write", url).seconds / house.samples * 1e6
