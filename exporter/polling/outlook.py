"""What the store says now, read again only where it changed: an idle daemon looks every second and reads nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from exporter import snapshot
from exporter.polling.sources import Paths
from exporter.snapshot import Snapshot
from exporter.store.lake import Lake
from exporter.store.spending import Spent
from exporter.store.state import Counter, SourceState, State

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """What was found. Where a part cannot be read, the last that could be."""

    states: Mapping[str, SourceState] = field(default_factory=dict)
    counters: Sequence[Counter] = ()
    spending: Sequence[Spent] = ()
    """What asking has cost."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Channel → messages that wait for it."""
    snapshot: Snapshot | None = None
    generation: int | None = 0
    """Of the lake; None where its manifest cannot be read."""
    store_bytes: int = 0
    state_readable: bool = True
    """Whether `states` are those of now: nobody should poll by old ones."""


class Outlook:
    """Looks at the state file, the lake and the snapshots of one data folder.

    `state` must be a connection that writes nothing: SQLite tells a connection only of what others have written.
    """

    def __init__(self, paths: Paths, state: State) -> None:
        self._paths = paths
        self._state = state
        self._view = View()
        self._version: int | None = None
        self._number = 0
        self._manifest: _Stamp | None = None
        self._broken: set[str] = set()

    def look(self) -> View:
        """What is there now: the same object as before where nothing has changed. Raises nothing.

        A part that cannot be read is logged once, and once when it can be read again.
        """
        with self._kept("state file") as part:
            self._look_at_state()
        if self._view.state_readable != part.readable:
            self._view = replace(self._view, state_readable=part.readable)
        with self._kept("snapshots"):
            self._look_at_snapshots()
        with self._kept("lake") as part:
            self._look_at_lake()
        if not part.readable and self._view.generation is not None:
            self._view, self._manifest = replace(self._view, generation=None), None
        return self._view

    def _look_at_state(self) -> None:
        version = self._state.version()
        if version != self._version:
            states, counters, spending = self._state.sources(), self._state.counters(), self._state.spending()
            waiting = self._state.waiting()
            self._view = replace(self._view, states=states, counters=counters, spending=spending, waiting=waiting)
            self._version = version

    def _look_at_snapshots(self) -> None:
        number = snapshot.newest(self._paths.snapshots)
        if number == self._number:
            return
        found = snapshot.load(self._paths.snapshots)
        # `load` passes over a damaged one, so it may be an older one that it found.
        served = self._view.snapshot
        if found is not None and (served is None or found.manifest.made >= served.manifest.made):
            self._view = replace(self._view, snapshot=found)
        self._number = number

    def _look_at_lake(self) -> None:
        stamp = _stamp(self._paths.lake / "manifest.json")
        if stamp != self._manifest or self._view.generation is None:
            lake = Lake(self._paths.lake)
            self._view = replace(self._view, generation=lake.generation, store_bytes=lake.size)
            self._manifest = stamp

    @contextmanager
    def _kept(self, name: str) -> Iterator[_Part]:
        part = _Part()
        try:
            yield part
        except Exception as error:  # whatever is wrong with the files, the daemon goes on
            part.readable = False
            if name not in self._broken:
                _log.error("cannot read the store; going on with what is known", extra={"fields": {"error": error}})
            self._broken.add(name)
        else:
            if name in self._broken:
                _log.info("the store can be read again", extra={"fields": {"part": name}})
            self._broken.discard(name)


@dataclass(slots=True)
class _Part:
    readable: bool = True


def _stamp(path: Path) -> _Stamp | None:
    """Changes when a file is written or replaced; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
