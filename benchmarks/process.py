"""Child processes: started with nothing around them, measured from outside, ended by their own id. Linux only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours that runs."""

    pid: int
    started: float
    """`time.perf_counter` before it was started."""

    def cpu(self) -> float:
        """User and system time of all its threads so far, seconds. The clock of clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident(self) -> float:
        """Resident memory now, MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE

    def children(self) -> tuple[int, ...]:
        """The ids of the processes that it started and that still run."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                except OSError:
                    continue  # it ended while we looked
                if int(parent) == self.pid and state != "Z":
                    found.append(int(entry.name))
        return tuple(found)


@contextmanager
def running(command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A process that runs until the block ends. What it says goes to the file `log`."""
    with log.open("ab") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield Child(process.pid, started)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ran to its end."""

    printed: str
    seconds: float
    peak: float
    """Its largest resident memory, MiB."""


def run(module: str, *arguments: object) -> Ended:
    """Run one of our modules in a process of its own, so that its peak memory is its own."""
    with tempfile.NamedTemporaryFile(prefix="cloudspend-bench-peak-") as told:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.alone", told.name, module, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        took = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{module} ended with {done.returncode}")
        return Ended(done.stdout, took, int(told.read()) / 1024)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_until(true: Callable[[], object], log: Path | None = None, seconds: float = 60) -> None:
    """Wait until something holds; TimeoutError with the end of `log` where it never does."""
    until = time.perf_counter() + seconds
    while not true():
        if time.perf_counter() > until:
            said = log.read_text(errors="replace")[-2000:] if log else ""
            raise TimeoutError(f"waited {seconds:.0f} s in vain. {said}")
        time.sleep(0.002)
