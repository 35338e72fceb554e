"""The check plugin: what one check costs a machine that makes thousands of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.house import House
from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.process import ROOT
from benchmarks.scale import Scale
from benchmarks.timing import in_turns

_BUDGET = "budgets:\n  - {name: all, amount: 1000000000, provider: [aws, azure, gcp]}\n"
_RUNS = 10  # of each contender in a round; the middle one counts
_TIMES, _WALL = 4, 120  # of the bare interpreter's CPU; milliseconds


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """`check_cloudspend budget` against a running exporter, beside the bare interpreter and a check made with click."""
    house = House.built(scale.folder / "check", more=_BUDGET)
    plugin = Path(sys.executable).with_name("check_cloudspend")
    with house.daemon() as (_, port):
        url = f"http://127.0.0.1:{port}"
        runs = {
            "ours": [plugin, "budget", "--url", url],
            "bare": [sys.executable, "-c", "pass"],
            "click": [sys.executable, ROOT / "benchmarks" / "peers" / "clicked.py", url],
        }
        took = in_turns({name: _ran(command) for name, command in runs.items()}, scale.rounds)
    wall = {name: Figure.of((it[0] for it in rounds), "ms") for name, rounds in took.items()}
    cpu = {name: Figure.of((it[1] for it in rounds), "ms") for name, rounds in took.items()}
    what = "check_cloudspend budget"
    yield Line(f"{what}: CPU", cpu["ours"], "python -c pass", cpu["bare"], Target(ratio=_TIMES))
    yield Line(f"{what}: wall", wall["ours"], "python -c pass", wall["bare"], Target(value=_WALL))
    yield Line(f"{what}: CPU", cpu["ours"], "a check with click and urllib", cpu["click"])
    yield Line(f"{what}: wall", wall["ours"], "a check with click and urllib", wall["click"])


def _ran(command: Sequence[str | Path]) -> Callable[[], tuple[float, float]]:
    """Milliseconds on the wall and of CPU that one run takes: the middle of some."""

    def measure() -> tuple[float, float]:
        walls, cpus = [], []
        for _ in range(_RUNS):
            began = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            walls.append((time.perf_counter() - began) * 1e3)
            cpus.append((used.ru_utime + used.ru_stime) * 1e3)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}")
        return sorted(walls)[_RUNS // 2], sorted(cpus)[_RUNS // 2]

    return measure
