"""Messages to any service that Apprise knows, by its URL. Needs the extra `apprise`.

Source: https://github.com/caronc/apprise/wiki. It says whether a message was taken, and in its log why not.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from exporter.config.notify import AppriseSettings
from exporter.errors import Refused, Unreachable
from exporter.notify.message import Message, plain

_TYPES = {"info": "info", "low": "info", "medium": "warning", "high": "failure", "critical": "failure"}


def connect(settings: AppriseSettings) -> Apprise:
    """The notifier of a channel of type `apprise`."""
    return Apprise(settings)


class Apprise:
    """One service."""

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings
        self._service: Any = None

    def send(self, message: Message) -> None:
        """Send it. Raises NotifyError."""
        service = self._opened()
        kind = "success" if message.over else _TYPES[message.severity]
        with _Heard() as heard:
            taken = service.notify(title=message.heading, body=plain(message), notify_type=kind, body_format="text")
        if not taken:
            # Its words are of its own making, and may hold an address with a token in it.
            raise Unreachable(f"Apprise: {service_name(service)} did not take it", hint=heard.hint)

    def _opened(self) -> Any:
        if self._service is None:
            try:
                import apprise
            except ImportError:
                raise Refused("Apprise is not installed", hint="pip install 'cloudspend[apprise]'") from None
            service = apprise.Apprise()
            with _Heard():  # it logs an address that it does not understand
                known = service.add(self._settings.url.get_secret_value())
            if not known:
                hint = "write it as https://github.com/caronc/apprise/wiki has it"
                raise Refused("Apprise does not understand the url", hint=hint)
            self._service = service
        return self._service


def service_name(service: Any) -> str:
    """The kind of service, which is no secret."""
    return ", ".join(str(each.service_name) for each in service)


class _Heard(logging.Handler):
    """What Apprise's log says meanwhile: the HTTP status, nothing else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.hint: str | None = None

    def __enter__(self) -> _Heard:
        self._logger = logging.getLogger("apprise")
        self._before = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._before

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the last status."""
        if match := re.search(r"error=(\d{3})", record.getMessage()):
            self.hint = f"the service answered {match[1]}"
