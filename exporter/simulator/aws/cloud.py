"""The server: one port for Cost Explorer, sts and organizations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from exporter.clock import Clock
from exporter.simulator.aws import signatures, wire
from exporter.simulator.aws.cost_explorer import CostExplorer
from exporter.simulator.aws.estate import PAYER
from exporter.simulator.aws.identity import Identity, Key, Role, list_accounts
from exporter.simulator.ledger import Ledger
from exporter.simulator.server import CloudServer, Fault, Refused, Reply, Request

KEY_ID = "AKIASIMULATED"
SECRET = "made-up-secret"  # noqa: S105
ROLE = f"arn:aws:iam::{PAYER}:role/cost-reader"

_REQUIRED = {
    "GetCostAndUsage": "ResultsByTime",
    "ListAccounts": "Accounts",
    "GetCallerIdentity": "Account",
}
_THROTTLED = {"ce": "LimitExceededException", "sts": "Throttling", "organizations": "TooManyRequestsException"}
_DENIED = {"sts": ("AccessDenied", 403)}
_EXPIRED = {"sts": ("ExpiredToken", 403)}


class Aws(CloudServer):
    """AWS, billing from a ledger. Knows one key of the payer unless told others."""

    name: ClassVar[str] = "aws"

    def __init__(
        self,
        ledger: Ledger,
        *,
        payer: str = PAYER,
        keys: Mapping[str, Key] | None = None,
        roles: Iterable[Role] = (),
        page_size: int = 1000,
        net: bool = True,
        hourly: bool = True,
        organization: bool = True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(clock)
        self.ledger = ledger
        self.identity = Identity({KEY_ID: Key(SECRET, payer)} if keys is None else keys, roles)
        self.explorer = CostExplorer(ledger, payer, page_size, net, hourly)
        self.organization = organization
        """Whether the payer is in an organization."""

    def options(self) -> dict[str, Any]:
        """Options of a source that reads this bill."""
        places = ("endpoint_url", "sts_endpoint_url", "organizations_endpoint_url")
        id, key = next(iter(self.identity.keys.items()))
        return {**dict.fromkeys(places, self.url), "access_key_id": id, "secret_access_key": key.secret}

    def operation(self, request: Request) -> tuple[str, str]:
        """See `CloudServer.operation`; the account is that of the key."""
        key = self.identity.keys.get(signatures.key_id(request))
        return wire.asked(request)[1], key.account if key else ""

    def answer(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """See `CloudServer.answer`."""
        return self._answered(request, operation)

    def without_a_page(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """See `CloudServer.without_a_page`."""
        return self._answered(request, operation, lose=True)

    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:
        """See `CloudServer.refusal`."""
        service = wire.asked(request)[0]
        code, message, status = "ServiceUnavailableException", "The service is not available", fault.status
        if fault.kind == "throttle":
            code, message, status = _THROTTLED.get(service, "Throttling"), "Rate limit exceeded", 400
        elif fault.kind == "denied":
            code, status = _DENIED.get(service, ("AccessDeniedException", 400))
            message = f"User is not authorized to perform: {service}:{operation}"
        elif fault.kind == "expired":
            code, status = _EXPIRED.get(service, ("ExpiredTokenException", 400))
            message = "The security token included in the request is expired"
        return wire.refusal(service, fault.code or code, message, status, fault.headers)

    def hollow(self, operation: str) -> Reply:
        """See `CloudServer.hollow`."""
        if operation == "GetCallerIdentity":
            return Reply(200, b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>")
        return Reply.json({"NotHere": _REQUIRED.get(operation, "")})

    def _answered(self, request: Request, operation: str, *, lose: bool = False) -> tuple[Reply, Mapping[str, Any]]:
        service, operation = wire.asked(request)
        if not operation:
            raise wire.refused("ce", "UnknownOperationException", "this operation is not simulated", 404)
        if operation == "AssumeRoleWithWebIdentity":  # the one that nobody signs
            opened = self.identity.assume_role_with_web_identity(wire.parameters(request, service, operation))
            return wire.reply(service, operation, opened), {}
        caller = signatures.signer(request, service, self.identity.keys, ("us-east-1",))
        asked = wire.parameters(request, service, operation)
        if operation == "GetCostAndUsage":
            found = self.explorer.get_cost_and_usage(asked, caller.account, self.now, lose=lose)
            return wire.reply(service, operation, found), _detail(asked)
        return wire.reply(service, operation, self._told(operation, asked, caller)), {}

    def _told(self, operation: str, asked: Mapping[str, Any], caller: Key) -> dict[str, Any]:
        if operation == "GetCallerIdentity":
            return self.identity.get_caller_identity(caller)
        if operation == "AssumeRole":
            return self.identity.assume_role(asked)
        if operation == "ListAccounts":
            if not self.organization:
                message = "Your account is not a member of an organization."
                raise wire.refused("organizations", "AWSOrganizationsNotInUseException", message)
            return list_accounts(self.ledger.accounts, asked)
        raise Refused(wire.refusal("ce", "UnknownOperationException", f"{operation} is not simulated", 404))


def _detail(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one call from another: for counting what was paid."""
    return {
        "granularity": asked["Granularity"],
        "period": asked["TimePeriod"],
        "groups": [group["Key"] for group in asked.get("GroupBy", [])],
        "filter": asked.get("Filter"),
        "page": "NextPageToken" in asked,
        "paid": "0.01",
    }
