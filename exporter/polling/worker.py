"""The worker process: polls what it was told to, publishes, ends. It never serves.

The daemon starts it as `python -m exporter.polling.worker` and hands it one JSON document on stdin: the configuration
with its secrets, the sources to poll (none: render only), and whether to log debug lines. Nothing secret touches the
disk or the command line.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from exporter import log
from exporter.clock import Clock
from exporter.config.load import restore
from exporter.config.schema import Config
from exporter.costs import Cost, engine
from exporter.errors import CloudspendError
from exporter.periods import Window
from exporter.polling import hourly_files
from exporter.polling.history import read_older
from exporter.polling.poll import backfill, poll
from exporter.polling.publish import publish
from exporter.polling.rates import current
from exporter.polling.scratch import scratch
from exporter.polling.settled import follow
from exporter.polling.sources import Paths, Registry, Source, resolve, titles
from exporter.store.files import make_folder, storing, use_reserve
from exporter.store.lake import Lake
from exporter.store.state import Failure, State, Success

_log = logging.getLogger(__name__)

OUT_OF_MEMORY = 77
"""Exit code of a worker that ran out of memory; 0 is a worker that did its work, whatever the sources said."""

HISTORY = 3
"""A worker reads older months for a third of its time limit at most, and has written what settled after the second;
the next one goes on."""

Outcome = Success | Failure
Done = TypeVar("Done")
Report = Callable[[str, Outcome], None]


def run(
    config: Config,
    clock: Clock,
    names: Sequence[str] | None = None,
    window: Window | None = None,
    done: Report = lambda _name, _outcome: None,
) -> dict[str, Outcome]:
    """Poll the named sources (all: None), one thread each, and publish as they come in; once more where none is named.

    Waits until no other process is polling into the same store.
    """
    began, paths = time.monotonic(), Paths(config.store.path)
    share = config.worker.timeout.total_seconds() / HISTORY
    # DuckDB keeps to the first spill folder it is told; one that is gone it makes again.
    engine.configure(
        memory=config.store.memory_limit, threads=config.store.threads, spill=paths.scratch / str(os.getpid())
    )
    everything = resolve(config)
    polled = [source for source in everything if names is None or source.name in names]
    outcomes: dict[str, Outcome] = {}
    with exclusive(paths.writer_lock), scratch(paths.scratch), State(paths.state) as state:
        lake = Lake(paths.lake)
        for name in lake.repair():
            _log.error("a stored month was damaged and is read again", extra={"fields": {"source": name}})
            state.ask_again(name)
        basis, rates = Cost(config.cost.basis), current(config.currency, paths)
        if not polled:
            publish(everything, paths, state, clock, basis, rates, config)
            follow(config.remote_write, everything, paths, state, clock, basis, began + 2 * share)
            return outcomes
        rivals = {source.name: [other.name for other in everything if other is not source] for source in polled}

        def ask(source: Source, mine: State) -> Outcome:
            if window is not None:
                return backfill(source, lake, mine, clock, window, rivals[source.name])
            return poll(source, lake, mine, clock, rivals[source.name])

        for batch in _in_threads(ask, polled, paths):
            for name, outcome in batch:
                outcomes[name] = outcome
                done(name, outcome)
            publish(everything, paths, state, clock, basis, rates, config)
        if window is None:
            until = began + share
            answered = [source for source in polled if isinstance(outcomes[source.name], Success)]
            folder = config.hourly_snapshots.path if config.hourly_snapshots else None
            hourly_files.keep(folder, answered, lake, clock.now(), basis, titles(config))

            def look_back(source: Source, mine: State) -> int:
                return read_older(source, lake, mine, clock, rivals[source.name], until)

            months = sum(read for batch in _in_threads(look_back, answered, paths) for _, read in batch)
            if months:
                publish(everything, paths, state, clock, basis, rates, config)
        follow(config.remote_write, everything, paths, state, clock, basis, began + 2 * share)
    return outcomes


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for it if need be."""
    with storing(path):
        make_folder(path.parent)
        use_reserve(path.parent)
        lock = path.open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def collect_seldom() -> None:
    """Look for garbage that holds on to itself far less often than Python does.

    A bill is some million objects, none of which do; looking took a third of the time of reading it.
    """
    gc.set_threshold(200_000, 50, 50)


def main() -> int:
    """Do what stdin says."""
    collect_seldom()
    task = json.load(sys.stdin)
    log.setup(debug=task.get("debug", False))
    os.nice(10)  # scrapes go first
    # A buffer for each core is what takes the most of a small limit, and judging is not faster for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if task.get("memory_limit"):
        # What it writes to, not addresses: DuckDB's threads reserve half a GB of those and use a tenth.
        resource.setrlimit(resource.RLIMIT_DATA, (task["memory_limit"], task["memory_limit"]))
    try:
        run(restore(task["config"], Registry()), Clock.from_environment(), task["sources"])
    except CloudspendError as error:
        _log.error("worker failed", extra={"fields": {"error": error}})
        return 1
    return 0


def _in_threads(
    work: Callable[[Source, State], Done], sources: Sequence[Source], paths: Paths
) -> Iterator[list[tuple[str, Done]]]:
    """What the work on each source came to, in batches, as they come in; one thread each."""
    if not sources:
        return

    def one(source: Source) -> Done:
        try:
            with State(paths.state) as state:  # a SQLite connection belongs to its thread
                return work(source, state)
        except MemoryError:
            # Nothing that runs now can be relied on, least of all tidying up. What is stored is whole.
            os.write(2, b"out of memory\n")
            os._exit(OUT_OF_MEMORY)

    with ThreadPoolExecutor(max_workers=len(sources), thread_name_prefix="poll") as pool:
        pending: dict[Future[Done], str] = {pool.submit(one, source): source.name for source in sources}
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            yield [(pending.pop(future), future.result()) for future in finished]


if __name__ == "__main__":
    sys.exit(main())
