"""The outbox, emptied: each lane in its order, at its pace, with rests after what went wrong.

One message is tried at a time. What a channel has acknowledged is on the disk before the next one is tried, so that
nothing acknowledged is sent again, even where the process is killed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from exporter import log
from exporter.config.notify import ChannelSettings, NotifySettings, QuietSettings
from exporter.errors import EXPIRED, NotifyError, Refused, Unreachable
from exporter.notify import PACES, Notifier, connect, kind
from exporter.notify.lanes import Lanes
from exporter.notify.message import Message, bundled, read, with_done
from exporter.store.outbox import Letter, Post, is_due
from exporter.store.state import State

_log = logging.getLogger(__name__)

_FIRST_REST = timedelta(seconds=5)
_LONGEST_REST = timedelta(minutes=10)
_PRUNE_EVERY = timedelta(hours=1)

Connect = Callable[[ChannelSettings], Notifier]


@dataclass(slots=True)
class _Lane:
    """One lane while it is being worked on. Instants are of the business clock."""

    name: str
    settings: ChannelSettings
    notifier: Notifier | None = None
    refused: bool = False
    """Whether it refuses us: only another configuration, or a reload, can change that."""
    rest_until: datetime | None = None
    in_row: int = 0
    """Tries in a row that failed."""
    failing: str | None = None
    """Why the last try failed; for the log, which tells changes."""
    sent: deque[datetime] = field(default_factory=lambda: deque(maxlen=128))
    """When messages were tried, for the pace."""

    def free_at(self, now: datetime) -> datetime:
        """When its pace allows the next message."""
        free = now
        for count, seconds in PACES.get(kind(self.settings), ()):
            if len(self.sent) >= count:
                free = max(free, self.sent[-count] + timedelta(seconds=seconds))
        return free


class Sender:
    """Sends what waits. One for each state file; used by one thread."""

    def __init__(
        self,
        state: State,
        now: Callable[[], datetime],
        lanes: Lanes,
        settings: NotifySettings,
        connect: Connect = connect,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopping`: whether to try no further message."""
        self._stopping = stopping
        self._state = state
        self._now = now
        self._connect = connect
        self._lanes: dict[str, _Lane] = {}
        self._pruned: datetime | None = None
        self.configure(lanes, settings)

    def configure(self, lanes: Lanes, settings: NotifySettings) -> None:
        """Take up a configuration. Lanes that refused us are tried again."""
        paces = {name: lane.sent for name, lane in self._lanes.items()}
        failing = {name: lane.failing for name, lane in self._lanes.items()}
        self._settings = settings
        self._lanes = {name: _Lane(name, channel) for name, channel in lanes.named.items()}
        for name, lane in self._lanes.items():
            lane.sent, lane.failing = paces.get(name, lane.sent), failing.get(name)

    def run(self) -> datetime | None:
        """Try what is due, one message of each lane in turn. When to come again; None where nothing waits.

        StoreError where the state file cannot be read or written.
        """
        self._prune()
        waiting = self._state.waiting()
        lanes = [lane for name, lane in self._lanes.items() if name in waiting]
        self._bury_strays(waiting)
        due: list[datetime] = []
        while lanes and not self._stopping():
            lanes = [lane for lane in lanes if not self._turn(lane, due)]
        return min(due, default=None)

    def _turn(self, lane: _Lane, due: list[datetime]) -> bool:
        """Try the next message of a lane. Whether the lane is done for now; `due` then learns when to come again."""
        now = self._now()
        quiet_until = self._quiet_until(lane, now)
        if quiet_until is not None:
            self._state.hold(lane.name, urgent_too=self._holds_urgent)
            due.append(quiet_until)
        else:
            self._bundle(lane, now)
        letter = self._state.next_letter(lane.name, urgent_only=quiet_until is not None)
        if letter is None or (quiet_until is not None and self._holds_urgent):
            return True
        if now >= letter.made + self._settings.give_up_after:
            self._give_up(lane, letter, now)
            return False
        if lane.refused:
            due.append(letter.made + self._settings.give_up_after)
            return True
        if not is_due(letter, now):
            due.append(letter.due)
            return True
        free = max(lane.free_at(now), lane.rest_until or now)
        if free > now:
            due.append(free)
            return True
        return not self._tried(lane, letter, due)

    def _tried(self, lane: _Lane, letter: Letter, due: list[datetime]) -> bool:
        """Try a message. Whether the lane goes on."""
        started = self._now()
        lane.sent.append(started)
        try:
            if lane.notifier is None:
                lane.notifier = self._connect(lane.settings)
            lane.notifier.send(with_done(read(letter.body), letter.done))
        except NotifyError as error:
            return self._failed(lane, letter, error, due)
        except Exception as error:  # a mistake of ours must not lose a message
            _log.exception("a channel has a fault", extra={"fields": {"channel": lane.name}})
            return self._failed(lane, letter, Unreachable(f"{type(error).__name__}: {error}"), due)
        self._state.acknowledged(letter, self._now())
        if lane.failing is not None:
            _log.info("notifications arrive again", extra={"fields": {"channel": lane.name}})
        lane.failing, lane.rest_until, lane.in_row = None, None, 0
        return True

    def _failed(self, lane: _Lane, letter: Letter, error: NotifyError, due: list[datetime]) -> bool:
        now, said = self._now(), log.masked(str(error))
        if isinstance(error, Refused):
            # It waits: a change of the configuration, or a reload, lets it go.
            lane.refused, lane.notifier = True, None
            self._state.put_off(letter, now, error.reason, said, error.done)
            due.append(letter.made + self._settings.give_up_after)
        elif error.retry:
            rest = error.retry_after
            if rest is None:
                rest = min(_FIRST_REST * 2 ** min(lane.in_row, 16), _LONGEST_REST)
            lane.rest_until, lane.in_row = now + rest, lane.in_row + 1
            self._state.put_off(letter, now + rest, error.reason, said, error.done)
            due.append(now + rest)
        else:
            self._state.bury(letter, now, error.reason, said, error.done)
            _tell(lane, letter, error.reason, said, "a message is put aside")
            return True
        if lane.failing != error.reason:
            words = "a channel refuses messages; they wait for another configuration"
            _tell(lane, letter, error.reason, said, words if lane.refused else "notifications fail; trying again")
        lane.failing = error.reason
        return False

    def _give_up(self, lane: _Lane, letter: Letter, now: datetime) -> None:
        said = letter.said or "nobody took it"
        self._state.bury(letter, now, EXPIRED, said)
        _tell(lane, letter, EXPIRED, said, "a message is put aside")

    def _bury_strays(self, waiting: Sequence[str] | dict[str, int]) -> None:
        """Put aside what waits for a channel that is configured no more."""
        now = self._now()
        for name in waiting:
            if name in self._lanes:
                continue
            for letter in self._state.letters("waiting", channel=name):
                if now >= letter.made + self._settings.give_up_after:
                    self._state.bury(letter, now, EXPIRED, "its channel is configured no more")

    # --- quiet hours ---------------------------------------------------------------------------------------------

    @property
    def _holds_urgent(self) -> bool:
        quiet = self._settings.quiet_hours
        return quiet is not None and quiet.critical == "hold"

    def _quiet_until(self, lane: _Lane, now: datetime) -> datetime | None:
        quiet = self._settings.quiet_hours
        return quiet_until(quiet, now) if quiet is not None and lane.settings.quiet_hours else None

    def _bundle(self, lane: _Lane, now: datetime) -> None:
        """Make one message of what quiet hours kept."""
        held = self._state.held(lane.name) if self._settings.quiet_hours else []
        if len(held) == 1:
            self._state.unhold(held[0])
        elif held:
            digest = bundled([read(letter.body) for letter in held], now)
            self._state.bundle(held, Post(digest.key, digest.written(), (lane.name,), urgent=False), now)

    def _prune(self) -> None:
        now = self._now()
        if self._pruned is None or not timedelta(0) <= now - self._pruned < _PRUNE_EVERY:
            self._state.prune_outbox(now - self._settings.keep)
            self._pruned = now


def quiet_until(quiet: QuietSettings, now: datetime) -> datetime | None:
    """When the quiet hours end that it is in now, UTC; None outside of them."""
    zone = ZoneInfo(quiet.timezone)
    local = now.astimezone(zone)
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    clock = local.time().replace(tzinfo=None)
    within = start <= clock < end if start < end else clock >= start or clock < end
    if not within:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, zone).astimezone(now.tzinfo)


def post(message: Message, lanes: Lanes) -> Post:
    """A message as the outbox takes it."""
    return Post(message.key, message.written(), lanes.of(message), urgent=message.severity == "critical")


def _tell(lane: _Lane, letter: Letter, reason: str, said: str, words: str) -> None:
    fields = {
        "channel": lane.name,
        "reason": reason,
        "error": said,
        "message": letter.key,
        "attempts": letter.attempts + 1,
    }
    _log.error(words, extra={"fields": fields})
