"""The configuration in force, and how the next one comes into force: whole, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

import yaml

from exporter.clock import Clock
from exporter.config import budget_files
from exporter.config.load import masked
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem

_log = logging.getLogger(__name__)

S = TypeVar("S")

Read = Callable[[], Config]
Folder = Callable[[], Path | None]


@dataclass(frozen=True, slots=True)
class LastReload:
    """How the last reload went; the start counts as one."""

    successful: bool
    succeeded_at: datetime
    """When the configuration in force was read."""


class Running(Generic[S]):
    """The configuration in force, with its resolved sources `S`.

    Whoever needs it reads `config` and `sources` from here each time: both change within one step of the event loop,
    so nobody sees half of a reload. What was handed a configuration earlier, a running worker, keeps that one.
    """

    def __init__(
        self,
        config: Config,
        resolve: Callable[[Config], Sequence[S]],
        clock: Clock,
        read: Read | None = None,
        folder: Folder | None = None,
    ) -> None:
        """`read` reads the file again, ConfigError for a bad one; None where there is no file.

        `folder` says where the file has its budgets; None where they stand in it.
        """
        self.config = config
        self.sources = tuple(resolve(config))
        self.generation = 0
        """Grows by one with every reload that succeeded."""
        self.last = LastReload(successful=True, succeeded_at=clock.now())
        self._resolve = resolve
        self._read = read
        self._clock = clock
        self._turn = asyncio.Lock()
        self._folder = folder
        self._home: Path | None = None
        self._taken: budget_files.Stamps = ()
        self._looked: budget_files.Stamps = ()
        self._take_stamps()

    async def reload(self) -> None:
        """Read the file again and put what it says in force.

        ConfigError with every problem, each in the log too, where it cannot be used; then nothing has changed.
        """
        async with self._turn:  # two at once would race for which of them is the last
            try:
                config = await asyncio.to_thread(self._again)  # scrapes go on meanwhile
                sources = tuple(self._resolve(config))
            except Exception as error:
                self.last = replace(self.last, successful=False)
                _say(error)
                raise
            self.config, self.sources = config, sources
            self.generation += 1
            self.last = LastReload(successful=True, succeeded_at=self._clock.now())
            _log.info("configuration reloaded", extra={"fields": {"sources": len(sources)}})

    def budgets_changed(self) -> bool:
        """Whether files of budgets are not those that were read last, and nobody is writing to them any more.

        Cheap: some stats. To be asked again and again; a change that was read is told no more, good or bad.
        """
        now = budget_files.stamps(self._home) if self._home else ()
        quiet, self._looked = now == self._looked, now
        return quiet and now != self._taken

    def _take_stamps(self) -> None:
        if self._folder is not None:
            with suppress(ConfigError):  # told by whoever reads it all
                self._home = self._folder()
        self._taken = self._looked = budget_files.stamps(self._home) if self._home else ()

    def text(self) -> str:
        """The configuration in force as YAML, each secret as `<secret>`."""
        return yaml.safe_dump(masked(self.config), sort_keys=False, allow_unicode=True, width=120)

    def _again(self) -> Config:
        if self._read is None:
            problem = Problem(
                "",
                "there is no configuration file to read again",
                hint="--demo has its configuration built in; start with --config to change one while it runs",
            )
            raise ConfigError((problem,))
        self._take_stamps()  # before the files are read, so that no change is missed
        config = self._read()
        if config.store.path != self.config.store.path:
            message = f"cannot change from {self.config.store.path} to {config.store.path} while cloudspend runs"
            raise ConfigError((Problem("store.path", message, hint="restart cloudspend, or put the path back"),))
        return config


def _say(error: Exception) -> None:
    """One line for each problem."""
    if not isinstance(error, ConfigError):
        _log.error("configuration not reloaded", exc_info=error)
        return
    for problem in error.problems:
        fields = {"file": error.file, "problem": problem}
        _log.error("configuration not reloaded", extra={"fields": fields})
