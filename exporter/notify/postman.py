"""Who looks for news and empties the outbox: a thread of the daemon, or `collect --notify` once.

Nothing that serves waits for it: it has a connection to the state file of its own, and talks to channels alone.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter import snapshot
from exporter.clock import Clock
from exporter.config.notify import NotifySettings
from exporter.config.schema import Config
from exporter.errors import StoreError
from exporter.notify.lanes import Lanes, lanes
from exporter.notify.news import Settings, news
from exporter.notify.sender import Sender, post
from exporter.notify.words import Pages
from exporter.store.files import storing
from exporter.store.outbox import Post
from exporter.store.state import State

_log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds that it waits for another writer of the state file
_LOOK = timedelta(seconds=2)  # between looks for a new snapshot
_REST = timedelta(seconds=10)  # after the state file could not be used
_IDLE = timedelta(seconds=30)  # nobody tells of messages that another process lets wait again
_TURN = timedelta(milliseconds=200)  # between looks whether another sender has finished
_GOODBYE = 5.0  # seconds that a stop waits for a message that is on its way


class Reporter:
    """Turns snapshots into messages in the outbox, each thing once."""

    def __init__(self, state: State, snapshots: Path, clock: Clock, lanes: Lanes, settings: NotifySettings) -> None:
        self._state = state
        self._snapshots = snapshots
        self._clock = clock
        self._seen = 0
        self._again: datetime | None = None
        self.configure(lanes, settings)

    def configure(self, lanes: Lanes, settings: NotifySettings) -> None:
        """Take up a configuration; what is shown is looked at again."""
        self._lanes, self._settings, self._seen = lanes, settings, 0

    def look(self) -> int:
        """Put what is new into the outbox. How many messages that makes. StoreError where they cannot be kept."""
        now = self._clock.now()
        newest = snapshot.newest(self._snapshots)
        if newest == self._seen and not (self._again and now >= self._again):
            return 0
        published = snapshot.load(self._snapshots)
        if published is None:
            return 0
        try:
            check = published.check()
        except (OSError, ValueError):  # superseded while it was being read
            return 0
        pages = Pages(self._settings.external_url, self._settings.grafana_url)
        settings = Settings(self._settings.cool_down, pages)
        found = news(check, self._state.told(), now, settings)
        posts: list[Post] = [post(message, self._lanes) for message in found.messages]
        if posts or found.told:
            self._state.post(posts, now, found.told)
        if found.forgotten:
            self._state.forget_told(found.forgotten)
        self._seen, self._again = newest, found.look_again
        return len(posts)


class Postman:
    """The thread. `start` it, `nudge` it when something is in the outbox, `stop` it."""

    def __init__(self, config: Config, state: Path, snapshots: Path, clock: Clock) -> None:
        self._config = config
        self._path = state
        self._snapshots = snapshots
        self._clock = clock
        self._woken = threading.Event()
        self._stopping = False
        self._changed = False
        self._working: threading.Thread | None = None
        self._broken = False

    def start(self) -> None:
        """Begin, where there is a channel; else as soon as a reload brings one."""
        if self._working is None and lanes(self._config).named:
            self._working = threading.Thread(target=self._work, name="postman", daemon=True)
            self._working.start()

    def nudge(self) -> None:
        """Something has been put into the outbox."""
        self._woken.set()

    def configure(self, config: Config) -> None:
        """Take up another configuration; channels that refused us are tried again."""
        self._config, self._changed = config, True
        self.start()
        self._woken.set()

    def stop(self) -> None:
        """Try nothing more. A message that is on its way is waited for, but not for long."""
        self._stopping = True
        self._woken.set()
        if self._working is not None:
            self._working.join(_GOODBYE)

    def _work(self) -> None:
        while not self._stopping:
            try:
                with State(self._path, _PATIENCE) as state, _alone(self._path) as alone:
                    if not alone:  # a `collect --notify` that ends soon
                        self._wait(_TURN)
                        continue
                    self._serve(state)
            except StoreError as error:
                if not self._broken:
                    _log.error("cannot use the outbox; trying again", extra={"fields": {"error": error}})
            except Exception:  # whatever it is, messages are not to stay for ever
                _log.exception("the sender of notifications has a fault; going on")
            else:
                return
            self._broken = True
            self._wait(_REST)

    def _serve(self, state: State) -> None:
        config = self._config
        found = lanes(config)
        reporter = Reporter(state, self._snapshots, self._clock, found, config.notify)
        sender = Sender(state, self._clock.now, found, config.notify, stopping=lambda: self._stopping)
        while not self._stopping:
            if self._changed:
                self._changed = False
                config = self._config
                found = lanes(config)
                reporter.configure(found, config.notify)
                sender.configure(found, config.notify)
            if config.notify.direct:
                reporter.look()
            due = sender.run()
            if self._broken:
                _log.info("the outbox can be used again")
                self._broken = False
            rest = _LOOK if config.notify.direct else _IDLE
            self._wait(rest if due is None else min(rest, max(due - self._clock.now(), timedelta(milliseconds=10))))

    def _wait(self, rest: timedelta) -> None:
        if not self._stopping:
            self._woken.wait(rest.total_seconds())
        self._woken.clear()


def deliver_once(config: Config, state: Path, snapshots: Path, clock: Clock, patience: timedelta) -> dict[str, int]:
    """Tell what is new, and send until nothing waits or `patience` has passed. Channel → messages still waiting."""
    # Rests are real time: a clock that stands still would never end one.
    moving = clock if clock.frozen is None else Clock(offset=clock.frozen - datetime.now(UTC))
    found = lanes(config)
    deadline = moving.now() + patience
    with State(state, _PATIENCE) as store:
        Reporter(store, snapshots, clock, found, config.notify).look()
        sender = Sender(store, moving.now, found, config.notify)
        while True:
            with _alone(state) as alone:
                due = sender.run() if alone else moving.now() + _TURN
            left = {name: count for name, count in store.waiting().items() if name in found.named}
            if not left or due is None or due > deadline:
                return left
            time.sleep(max((due - moving.now()).total_seconds(), 0.01))


@contextmanager
def _alone(state: Path) -> Iterator[bool]:
    """Whether nobody else sends from this outbox: two senders would both send the same message."""
    with storing(state.parent):
        lock = state.with_name("outbox.lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
