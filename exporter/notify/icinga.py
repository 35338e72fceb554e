"""Messages as passive check results, through the API of Icinga 2.

Source: https://icinga.com/docs/icinga-2/latest/doc/12-icinga2-api/#process-check-result. The service shows the worst of
what is open: that something is over does not make it OK while something else is not.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.config.notify import IcingaSettings
from exporter.errors import Refused, Rejected, Unreachable
from exporter.notify.message import Message, rank
from exporter.notify.wire import Answer, Post, basic, judged

OK, WARNING, CRITICAL = 0, 1, 2
_CRITICAL_FROM = "high"
_PATH = "/v1/actions/process-check-result"
_PERMIT = "the ApiUser needs the permission actions/process-check-result"
_QUOTED = 160


def connect(settings: IcingaSettings) -> Icinga:
    """The notifier of a channel of type `icinga`."""
    return Icinga(settings)


class Icinga:
    """One service of one host."""

    def __init__(self, settings: IcingaSettings) -> None:
        self._settings = settings
        self._post = Post("Icinga", settings.timeout, settings.ca_file)

    def send(self, message: Message) -> None:
        """Submit it. Raises NotifyError."""
        settings = self._settings
        headers = {
            "Accept": "application/json",
            "Authorization": basic(settings.username, settings.password.get_secret_value()),
        }
        body = json.dumps(result(message, settings)).encode()
        verdict(self._post(settings.url + _PATH, body, headers), f"{settings.host}!{service(message, settings)}")


def result(message: Message, settings: IcingaSettings) -> dict[str, Any]:
    """The check result of a message."""
    lines = [f"{name}: {value}" for name, value in message.facts]
    lines += [*message.lines, *(f"{words}: {url}" for words, url in message.links)]
    made: dict[str, Any] = {
        "type": "Service",
        # By variables, not by name: a name with a quote in it must not become part of the filter.
        "filter": "host.name == hostname && service.name == servicename",
        "filter_vars": {"hostname": settings.host, "servicename": service(message, settings)},
        "exit_status": state(message),
        "plugin_output": "\n".join([f"{message.heading}: {message.sentence}", *lines]).replace("|", "/"),
        "check_source": "cloudspend",
    }
    if settings.ttl is not None:
        made["ttl"] = int(settings.ttl.total_seconds())
    return made


def state(message: Message) -> int:
    """The exit status: CRITICAL from high on, WARNING below, OK where nothing is open; info is OK."""
    worst = max(-1 if message.over else rank(message.severity), rank(message.standing))
    if message.kind == "test" or worst <= rank("info"):
        return OK
    return CRITICAL if worst >= rank(_CRITICAL_FROM) else WARNING


def service(message: Message, settings: IcingaSettings) -> str:
    """The service that a message is for."""
    return settings.service.replace("{kind}", message.kind).replace("{source}", message.source or "all")


def verdict(answer: Answer, what: str) -> None:
    """Raise what Icinga's answer means. It answers 200 too where a single result failed."""
    try:
        said = json.loads(answer.text)
    except (ValueError, RecursionError):
        said = None
    if answer.status == 404:
        raise _nobody(what)
    if not isinstance(said, dict):
        judged("Icinga", answer, hint=_PERMIT)
        raise Unreachable(f"Icinga: answered {answer.status} with something else than its JSON")
    results = said.get("results")
    if results == []:  # version 2.13 answers 500, as if it were broken: no result has made it another status
        raise _nobody(what)
    if isinstance(results, list):
        _judged(results, what)
    if answer.status in (401, 403):
        words = str(said.get("status", ""))[:_QUOTED]
        raise Refused(f"Icinga: answered {answer.status}: {words}", hint=f"check username and password; {_PERMIT}")
    judged("Icinga", answer, hint=_PERMIT)
    if not isinstance(results, list):
        raise Unreachable(f"Icinga: answered {answer.status} without results")


def _judged(results: list[Any], what: str) -> None:
    """Raise what the results of single services mean: one of them, as `filter` asks for."""
    for each in results:
        code, words = (each.get("code"), str(each.get("status", ""))[:_QUOTED]) if isinstance(each, dict) else (0, "")
        if code == 403:
            raise Refused(f"Icinga: {words}", hint=f"set enable_passive_checks = true for the service {what}")
        if isinstance(code, int | float) and code >= 500:
            raise Unreachable(f"Icinga: {words}")
        if not isinstance(code, int | float) or not 200 <= code < 300:
            raise Rejected(f"Icinga: {words}")


def _nobody(what: str) -> Refused:
    return Refused(
        f"Icinga: there is no service {what}",
        hint='define it with check_command = "passive", or correct host and service of the channel',
    )
