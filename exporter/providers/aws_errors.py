"""What a failed call to AWS means: every exception of botocore, and of what lies under it, as a SourceError.

Texts of botocore's own exceptions are not used: some quote a proxy's address with its password.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.errors import AccessDenied, BadData, NotReady, SourceError, Throttled, Unavailable
from exporter.log import masked

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_THROTTLED = frozenset(
    {
        *("LimitExceededException", "ThrottlingException", "Throttling", "ThrottledException", "SlowDown"),
        *("RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled", "RequestThrottledException"),
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidIdentityToken"})
_UNKNOWN = frozenset(
    {
        *("UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken", "IncompleteSignature"),
        *("InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationTokenException"),
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure"})
_OPT_IN = frozenset({"OptInRequired", "OptInRequiredException", "SubscriptionRequiredException"})
_NOT_READY = frozenset({"DataUnavailableException", "BillingViewHealthStatusException"})
_AGAIN = frozenset({"InvalidNextTokenException", "RequestChangedException"})

_EXCERPT = 300
_LONGEST_REST = 31 * 86400

MISSING = Unavailable("the AWS SDK is not installed", hint="pip install 'cloudspend[aws]'")


class Failure(NamedTuple):
    """What went wrong, and whether the same request may go better in a moment."""

    error: SourceError
    passing: bool = False


def failure(error: Exception, permission: str) -> Failure:
    """What an exception of a call means; `permission` is the action, as in `ce:GetCostAndUsage`."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _refused(error, permission)
    return _broken(error, permission)


def _refused(error: ClientError, permission: str) -> Failure:
    """An answer that says no."""
    response: Mapping[str, Any] = error.response
    told, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(told.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    said = " ".join(masked(str(told.get("Message", ""))).split())[:_EXCERPT]
    sentence = f"{permission} was refused with {code}" + (f": {said}" if said else "")
    if code in _THROTTLED or status == 429:
        rest = _rest(meta.get("HTTPHeaders", {}))
        hint = "poll less often (`poll_every`), or ask less often by other tools of the account"
        return Failure(Throttled(sentence, hint=hint, retry_after=rest), passing=True)
    if hint := _why_denied(code, permission):
        return Failure(AccessDenied(sentence, hint=hint))
    if code in _NOT_READY:
        hint = "Cost Explorer shows its first data 24 hours after it was switched on for the account"
        return Failure(NotReady(sentence, hint=hint))
    if code in _AGAIN:
        return Failure(BadData(sentence, hint="the next poll starts at the first page again"))
    if code == "BillExpirationException":
        return Failure(Unavailable(sentence, hint="the report was dropped while it was read; the next poll reads anew"))
    if status >= 500:
        return Failure(Unavailable(sentence, retry_after=_rest(meta.get("HTTPHeaders", {}))), passing=True)
    return Failure(AccessDenied(sentence, hint=_allow(permission)) if status in (401, 403) else BadData(sentence))


def _why_denied(code: str, permission: str) -> str:
    """What mends a refusal of the credentials; empty where it is none."""
    if code in _DENIED:
        return _allow(permission)
    if code in _EXPIRED:
        return f"the session has expired: log in again, or use a role; it must allow {permission}"
    if code in _UNKNOWN:
        return f"check the access key, its secret and this machine's clock; the key must allow {permission}"
    if code in _OPT_IN:
        return f"switch Cost Explorer on in the billing console of the payer account, and allow {permission}"
    return ""


def _allow(permission: str) -> str:
    return f"the credentials must allow {permission}; docs/how-to/connect-aws.md has the policy"


def _broken(error: Exception, permission: str) -> Failure:
    """No answer, or none that can be read."""
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    name, hint = type(error).__name__, "check the network, `endpoint_url` and `proxy`"
    if isinstance(error, (known.ConnectTimeoutError, known.ReadTimeoutError)):
        return Failure(Unavailable(f"{permission} was not answered in time", hint=hint), passing=True)
    if isinstance(error, known.SSLError):
        hint = "for a certificate authority of your own set `ca_bundle`"
        return Failure(Unavailable(f"no trusted connection for {permission}", hint=hint))
    unreadable = (ResponseParserError, known.ResponseStreamingError, known.IncompleteReadError)
    if isinstance(error, (*unreadable, ValueError, LookupError, TypeError)):  # the last from inside of its parsers
        hint = "a proxy or a login page may stand in between; check `proxy`"
        return Failure(BadData(f"the answer of {permission} cannot be read ({name})", hint=hint))
    if isinstance(error, (known.HTTPClientError, known.ConnectionError, OSError)):
        return Failure(Unavailable(f"cannot reach the endpoint of {permission} ({name})", hint=hint), passing=True)
    if any(word in name for word in ("Credential", "Profile", "Token", "SSO")):
        return Failure(credentials(name))
    return Failure(Unavailable(f"{permission} could not be asked ({name})", hint=hint))


def credentials(name: str = "") -> AccessDenied:
    """There are none that could be used; `name` says why."""
    return AccessDenied(
        f"no AWS credentials could be used{f' ({name})' if name else ''}",
        hint="set `profile`, `access_key_id` and `secret_access_key`, or `role_arn`; or give the machine a role."
        " They must allow ce:GetCostAndUsage",
    )


def _rest(headers: Mapping[str, str]) -> timedelta | None:
    """Retry-After in seconds, which AWS rarely sends."""
    written = headers.get("retry-after", "")
    return timedelta(seconds=min(int(written), _LONGEST_REST)) if written.isdecimal() else None
