"""What goes wrong between us and BigQuery, in our words.

The client raises errors of four families: google.api_core for what the API says, google.auth for credentials, requests
for the network, and plain ValueErrors for answers that are no JSON. Reasons are those of
https://cloud.google.com/bigquery/docs/error-messages; `bytesBilledLimitExceeded` comes with status 400 or 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.errors import AccessDenied, BadData, NotReady, SourceError, Throttled, Unavailable
from exporter.log import masked

JOB = "bigquery.jobs.create"
READ = "bigquery.tables.getData"
DESCRIBE = "bigquery.tables.get"

_PASSING = frozenset({"backendError", "internalError", "badGateway", "jobBackendError", "jobInternalError", "timeout"})
_LONGEST = 300


class Failure(NamedTuple):
    """An error of ours, and whether the same call may go better in a moment."""

    error: SourceError
    passing: bool = False


def translated(error: Exception, doing: str, permission: str) -> Failure | None:
    """What an error of the client means; None for one that is none of its own (a bug of ours)."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, SourceError):
        return Failure(error)
    if isinstance(error, GoogleAPICallError):
        first = error.errors[0] if error.errors and isinstance(error.errors[0], Mapping) else {}
        return refused(int(error.code or 0), str(first.get("reason", "")), error.message or "", doing, permission)
    if isinstance(error, GoogleAuthError):
        return _unauthorised(error, doing)
    # requests' JSONDecodeError is one of both: an answer that is no JSON.
    if isinstance(error, requests.RequestException) and not isinstance(error, ValueError):
        return _broken(error, doing)
    if isinstance(error, (ValueError, LookupError, TypeError, AttributeError)):
        hint = "a proxy or a login page may stand in between; check `endpoint_url` and `proxy`"
        return Failure(BadData(f"the answer to {doing} is none of BigQuery's ({type(error).__name__})", hint=hint))
    return None


def refused(status: int, reason: str, message: str, doing: str, permission: str) -> Failure:
    """What the API's own error means."""
    said = f"{doing}: {reason or status}: {_short(message)}"
    if reason == "bytesBilledLimitExceeded":
        hint = "raise `max_bytes`, or read less: fewer tags, the standard table in place of the detailed one"
        return Failure(Throttled(said, hint=hint))
    if reason == "rateLimitExceeded" or status == 429:
        return Failure(Throttled(said, hint="poll less often (`poll_every`)"), passing=True)
    if reason == "quotaExceeded":
        return Failure(Throttled(said, hint="a daily quota of the project is used up; see its BigQuery quotas"))
    if status == 401:
        return Failure(AccessDenied(said, hint="the credentials have expired or were revoked; make a new key"))
    if status == 403:
        billing = reason == "billingNotEnabled"
        hint = "link the project that pays to a billing account" if billing else f"the credentials need {permission}"
        return Failure(AccessDenied(said, hint=f"{hint} (`cloudspend test-access --print-policy`)"))
    if status == 404:
        hint = "check `table` and `location`; the table appears a few hours after the export was switched on"
        return Failure(NotReady(said, hint=hint))
    if reason in _PASSING or status >= 500:
        return Failure(Unavailable(said), passing=True)
    if reason in ("resourcesExceeded", "stopped"):
        return Failure(Unavailable(said))
    return Failure(BadData(said, hint="the statement was refused: is the table a billing export, or a view of one?"))


def failed(job: Mapping[str, Any], doing: str) -> Failure:
    """Why a job that was taken on did not end well."""
    return refused(0, str(job.get("reason", "")), str(job.get("message", "")), doing, READ)


def _unauthorised(error: Exception, doing: str) -> Failure:
    from google.auth.exceptions import DefaultCredentialsError, TransportError

    said = f"{doing}: {_short(str(error.args[0]) if error.args else type(error).__name__)}"
    if isinstance(error, TransportError):
        hint = "the token endpoint (https://oauth2.googleapis.com) cannot be reached; check `proxy`"
        return Failure(Unavailable(said, hint=hint), passing=True)
    if getattr(error, "retryable", False):
        return Failure(Unavailable(said, hint="the token endpoint has a fault of its own"), passing=True)
    if isinstance(error, DefaultCredentialsError):
        hint = "give `credentials_file`, or set GOOGLE_APPLICATION_CREDENTIALS"
        return Failure(AccessDenied(said, hint=hint))
    hint = "the key may be deleted or disabled, or this machine's clock be wrong"
    return Failure(AccessDenied(said, hint=hint))


def _broken(error: Exception, doing: str) -> Failure:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        hint = "check the certificate; for a CA of your own give `ca_bundle`"
        return Failure(Unavailable(f"{doing}: no trusted connection", hint=hint))
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
        return Failure(BadData(f"the answer to {doing} is cut off"), passing=True)
    if isinstance(error, requests.Timeout):
        return Failure(Unavailable(f"{doing}: no answer in time"), passing=True)
    kind = type(error).__name__  # its text may quote a proxy's password
    hint = "check `endpoint_url`, `proxy` and the way out to googleapis.com"
    return Failure(Unavailable(f"{doing}: the connection broke ({kind})", hint=hint), passing=True)


def _short(words: str) -> str:
    words = " ".join(masked(words).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
