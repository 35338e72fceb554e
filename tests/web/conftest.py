"""A store with one good source, and the web in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.config import Config, load
from exporter.config.reload import Running
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths, Registry, Source
from exporter.store.state import State
from exporter.web.app import Web
from exporter.web.board import Board
from tests.costs.rows import row
from tests.polling.house import House, full

CONFIG = "store: {path: data}\nsources:\n  - {name: good, provider: demo}\n"


def configured(text: str, folder: Path) -> Config:
    return load(text, Registry(), folder=folder, environment={})


@dataclass
class Stand:
    """A house, and what is served of it at one moment."""

    house: House
    folder: Path
    open: list[State] = field(default_factory=list)
    refusal: Exception | None = None
    reloads: int = 0

    def board(self, now: datetime | None = None) -> Board:
        state = State(Paths(self.house.root).state)
        self.open.append(state)
        clock = Clock(frozen=now or self.house.now)
        sources: tuple[Source, ...] = tuple(self.house.sources.values())
        running = Running(configured(CONFIG, self.folder), lambda _: sources, clock)
        board = Board(running, Outlook(Paths(self.house.root), state), clock)
        board.refresh()
        return board

    def web(self, now: datetime | None = None) -> Web:
        return Web(self.board(now), lambda: "cost: {basis: billed}\n", self._reload)

    async def _reload(self) -> None:
        self.reloads += 1
        if self.refusal:
            raise self.refusal


@pytest.fixture
def stand(tmp_path: Path):
    house = House(tmp_path / "data")
    house.add("good", full(row("2024-09-01", "1.5"), row("2024-09-02", "2.5")), settles_after=timedelta(hours=24))
    stand = Stand(house, tmp_path)
    yield stand
    for state in stand.open:
        state.close()
