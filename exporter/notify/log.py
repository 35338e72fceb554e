"""Messages as lines of the exporter's own log."""

from __future__ import annotations

import logging

from exporter.config.notify import LogSettings
from exporter.notify.message import Message

_log = logging.getLogger(__name__)


def connect(settings: LogSettings) -> Log:
    """The notifier of a channel of type `log`."""
    return Log(settings)


class Log:
    """One line a message: a warning, or info where something is over or only good to know."""

    def __init__(self, settings: LogSettings) -> None:
        self._name = settings.name

    def send(self, message: Message) -> None:
        """Write it."""
        fields = {
            "channel": self._name,
            "title": message.title,
            "status": message.status,
            "severity": message.severity,
            "source": message.source or None,
            "fingerprint": message.fingerprint,
            "sentence": message.sentence,
        }
        mild = message.over or message.severity == "info"
        _log.log(logging.INFO if mild else logging.WARNING, "notification", extra={"fields": fields})
