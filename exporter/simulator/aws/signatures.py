"""SigV4: who signed a request, recomputed with botocore's own signer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from exporter.simulator.aws import wire
from exporter.simulator.aws.identity import Key
from exporter.simulator.server import Request

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>\w+)"
)
_SKEW = timedelta(minutes=15)

# The words that JSON services and sts have for the same refusals.
_NO_SIGNATURE = {"sts": "MissingAuthenticationToken"}
_UNKNOWN_KEY = {"sts": "InvalidClientTokenId"}
_WRONG_SIGNATURE = {"sts": "SignatureDoesNotMatch"}
_EXPIRED = {"sts": "ExpiredToken"}


def key_id(request: Request) -> str:
    """The access key id that a request names; empty where it names none."""
    match = _SIGNED.match(request.headers.get("authorization", ""))
    return match["key"] if match else ""


def signer(request: Request, service: str, keys: Mapping[str, Key], regions: tuple[str, ...]) -> Key:
    """The key that signed a request for a service in one of these regions. Raises Refused.

    The real time counts, whatever the simulator's clock shows: clients sign with it.
    """
    status = 403 if service == "sts" else 400
    match = _SIGNED.match(request.headers.get("authorization", ""))
    if not match:
        code = _NO_SIGNATURE.get(service, "MissingAuthenticationTokenException")
        raise wire.refused(service, code, "Missing Authentication Token", status)
    key = keys.get(match["key"])
    token = request.headers.get("x-amz-security-token")
    if key is None or key.token != token:
        code = _UNKNOWN_KEY.get(service, "UnrecognizedClientException")
        raise wire.refused(service, code, "The security token included in the request is invalid.", status)
    problem = _misplaced(match, service, regions) or _mismatch(request, match, key)
    if problem:
        raise wire.refused(service, _WRONG_SIGNATURE.get(service, "InvalidSignatureException"), problem, status)
    if key.expires and key.expires <= datetime.now(UTC):
        code = _EXPIRED.get(service, "ExpiredTokenException")
        raise wire.refused(service, code, "The security token included in the request is expired", status)
    return key


def _misplaced(match: re.Match[str], service: str, regions: tuple[str, ...]) -> str:
    if match["service"] != service:
        return f"Credential should be scoped to correct service: {service!r}."
    return "" if match["region"] in regions else "Credential should be scoped to a valid region."


def _mismatch(request: Request, match: re.Match[str], key: Key) -> str:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    stamp = request.headers["x-amz-date"]
    if abs(datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") - datetime.now(UTC)) > _SKEW:
        return "Signature expired: the clocks differ by more than 15 minutes."
    signed = {name: request.headers[name] for name in match["headers"].split(";") if name != "host"}
    again = AWSRequest(request.method, f"http://{request.headers['host']}{request.path}", signed, request.body)
    again.context["timestamp"] = stamp
    auth = SigV4Auth(Credentials(match["key"], key.secret), match["service"], match["region"])
    wanted = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    return "" if wanted == match["signature"] else "The request signature we calculated does not match."
