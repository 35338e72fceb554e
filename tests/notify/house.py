"""An outbox, a clock that is set by hand, and channels that are doubles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.config import Config, load
from exporter.errors import NotifyError
from exporter.notify.lanes import lanes
from exporter.notify.message import Message
from exporter.notify.sender import Sender, post
from exporter.polling.sources import Registry
from exporter.store.outbox import Letter
from exporter.store.state import State
from exporter.testing.notifier import sample

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)


def config(channels: Iterable[dict[str, Any]], folder: Path, **notify: Any) -> Config:
    import json

    whole = {
        "store": {"path": "data"},
        "sources": [{"name": "aws-prod", "provider": "demo"}],
        "notify": {"channels": list(channels), **notify},
    }
    return load(json.dumps(whole), Registry(), folder=folder, environment={})


@dataclass
class Script:
    """A notifier that does what it is told, in turn, and then takes everything."""

    errors: list[NotifyError | Exception | None] = field(default_factory=list)
    tried: list[Message] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.tried.append(message)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.taken.append(message)

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.taken]


@dataclass
class House:
    state: State
    config: Config
    scripts: dict[str, Script]
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.lanes = lanes(self.config)
        self.sender = self.another()

    def another(self) -> Sender:
        """A sender that knows nothing but what is in the outbox, as after a restart."""
        return Sender(
            self.state, lambda: self.now, self.lanes, self.config.notify, connect=lambda s: self.scripts[s.name]
        )

    def put(self, *keys: str, **changes: Any) -> None:
        for key in keys:
            self.state.post([post(sample(**{"key": key, "fingerprint": key} | changes), self.lanes)], self.now)

    def run(self) -> datetime | None:
        return self.sender.run()

    def later(self, **length: float) -> datetime | None:
        self.now += timedelta(**length)
        return self.sender.run()

    def drain(self, tries: int = 200) -> None:
        """Run, and move the clock to wherever it is asked to, until nothing waits."""
        for _ in range(tries):
            due = self.run()
            if due is None:
                return
            self.now = max(due, self.now)
        raise AssertionError(f"still waiting: {self.letters('waiting')}")

    def letters(self, *states: str) -> list[Letter]:
        return self.state.letters(*states)


def house(folder: Path, *names: str, **notify: Any) -> House:
    """Channels of type webhook with these names, none of which is there."""
    channels = [{"name": name, "type": "webhook", "url": "http://127.0.0.1:9/x"} for name in names]
    return House(State(folder / "state.sqlite"), config(channels, folder, **notify), {name: Script() for name in names})
