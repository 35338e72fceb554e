"""Every error that cloudspend raises on purpose.

    CloudspendError
    ├── ConfigError            the configuration cannot be used; carries every problem found
    ├── SourceError            a billing source did not answer with a bill; has a reason
    │   ├── AccessDenied       reason="access_denied"   asked again at the next regular poll
    │   ├── Throttled          reason="throttled"       asked again after retry_after
    │   ├── Unavailable        reason="unavailable"     time-outs, 5xx, DNS; asked again with back-off
    │   ├── NotReady           reason="not_ready"       no bill yet; wipes nothing, is nobody's fault
    │   └── BadData            reason="bad_data"        does not parse; nothing of it is taken
    ├── StoreError             the lake or the state file cannot be read or written
    ├── MixedCurrencies        somebody tried to add two currencies
    ├── UnknownRate            no exchange rate for a pair of currencies
    └── NotifyError            a channel did not take a message; has a reason, and says whether a second try can help
        ├── Refused            reason="refused"         credentials or address; not tried until reconfigured
        ├── Rejected           reason="rejected"        this message; others may pass
        ├── TooMany            reason="throttled"       tried again after retry_after
        └── Unreachable        reason="unavailable"     time-outs, 5xx, DNS; tried again with back-off

The reason words appear in the log, as label of `cloudspend_source_failed`, as headings of
`docs/runbooks.md` and in the output of checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


class CloudspendError(Exception):
    """Root of the tree. `str()` is one sentence for the person who can fix it, with a hint where there is one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where (`sources[0].poll_every`, line 7), what, and how to mend it."""

    path: str
    message: str
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        hint = f". hint: {self.hint}" if self.hint else ""
        return f"{where}{self.path}: {self.message}{hint}" if self.path else f"{where}{self.message}{hint}"


class ConfigError(CloudspendError):
    """The configuration cannot be used. `problems` holds every mistake found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...], file: str = "configuration") -> None:
        self.problems = problems
        self.file = file
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


class SourceError(CloudspendError):
    """A billing source did not answer with a bill.

    `message` says what happened while doing what; `hint` names the fix (a missing permission, a setting).
    Providers raise the subclasses; the poller adds which source it was.
    """

    reason: ClassVar[str] = "unavailable"

    def __init__(self, message: str, *, hint: str | None = None, retry_after: timedelta | None = None) -> None:
        self.message = message
        self.hint = hint
        self.retry_after = retry_after
        super().__init__(f"{message}. hint: {hint}" if hint else message)


class AccessDenied(SourceError):
    """The credentials are missing, wrong, or lack a permission; `hint` names it."""

    reason = "access_denied"


class Throttled(SourceError):
    """The source asked for fewer requests; `retry_after` is its own word where it gave one."""

    reason = "throttled"


class Unavailable(SourceError):
    """The source could not be reached or answered with a fault of its own."""

    reason = "unavailable"


class NotReady(SourceError):
    """There is no bill yet: an export that is not enabled, a folder still empty. Stored data stays."""

    reason = "not_ready"


class BadData(SourceError):
    """What came back cannot be a bill. Nothing of it is taken."""

    reason = "bad_data"


WORKER_DIED = "worker_died"
"""Reason of a source whose worker was killed, hung or crashed before it could say why."""

STORE_ERROR = "store_error"
"""Reason of a source whose bill arrived and could not be stored: a full disk, too little memory."""

REASONS: tuple[str, ...] = (
    *(kind.reason for kind in (AccessDenied, Throttled, Unavailable, NotReady, BadData)),
    STORE_ERROR,
    WORKER_DIED,
)
"""Every value of the `reason` label."""


class StoreError(CloudspendError):
    """The lake, the state file or the snapshot cannot be read or written."""


class MixedCurrencies(CloudspendError):
    """A sum over two currencies was asked for. Currencies are never added."""


class UnknownRate(CloudspendError):
    """There is no exchange rate from one currency to another."""


class NotifyError(CloudspendError):
    """A channel did not take a message. `retry` says whether a second try can help.

    `done` names the recipients that took it all the same; they are not to get it again.
    """

    reason: ClassVar[str] = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        retry: bool,
        hint: str | None = None,
        retry_after: timedelta | None = None,
        done: tuple[str, ...] = (),
    ) -> None:
        self.retry = retry
        self.message = message
        self.hint = hint
        self.retry_after = retry_after
        self.done = done
        super().__init__(f"{message}. hint: {hint}" if hint else message)


class Refused(NotifyError):
    """The channel refuses us: credentials, address or settings are wrong. It rests until it is configured anew."""

    reason = "refused"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, retry=False, hint=hint)


class Rejected(NotifyError):
    """The channel does not take this one message, now or later. It is put aside; the next one is sent."""

    reason = "rejected"

    def __init__(self, message: str, *, hint: str | None = None, done: tuple[str, ...] = ()) -> None:
        super().__init__(message, retry=False, hint=hint, done=done)


class TooMany(NotifyError):
    """The channel asked for fewer messages; `retry_after` is its own word where it gave one."""

    reason = "throttled"

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message, retry=True, retry_after=retry_after)


class Unreachable(NotifyError):
    """The channel could not be reached or answered with a fault of its own."""

    reason = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after: timedelta | None = None,
        done: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, retry=True, hint=hint, retry_after=retry_after, done=done)


EXPIRED = "expired"
"""Reason of a message that nobody took for so long that it was given up."""

NOTIFY_REASONS: tuple[str, ...] = (
    *(kind.reason for kind in (Refused, Rejected, TooMany, Unreachable)),
    EXPIRED,
)
"""Every `reason` of a notification that failed."""
