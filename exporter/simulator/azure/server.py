"""The cloud: its addresses, its login, who may ask for what, and how it fails."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

from exporter.clock import Clock
from exporter.simulator.azure.query import InvalidQuery, Query
from exporter.simulator.azure.quotas import Quotas
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import CloudServer, Fault, Refused, Reply, Request

QUERY = "query"
LOGIN = "login"
TENANT = "99999999-0000-0000-0000-000000000009"
CLIENT = "88888888-0000-0000-0000-000000000008"
SECRET = "made-up-for-the-simulator"  # noqa: S105  nobody's
TOKEN_LASTS = timedelta(hours=1)
_ADDRESS = re.compile(r"/+(?P<scope>.+?)/providers/microsoft\.costmanagement/query/?", re.IGNORECASE)
_EXPIRED = "The access token expiry UTC time is earlier than current UTC time."


@dataclass(eq=False)
class AzureCloud(CloudServer):
    """Login and Cost Management of one tenant."""

    name: ClassVar[str] = "azure"

    ledger: Ledger
    clock: Clock = field(default_factory=Clock)
    tls: ssl.SSLContext | None = None
    """The SDK sends no token without it."""
    page_rows: int = 1000
    groups: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Management groups and billing accounts → their subscriptions; what names no subscription is in each."""
    denied: set[str] = field(default_factory=set)
    """Scopes, by their last part, that may not be asked."""
    sponsored: set[str] = field(default_factory=set)
    """Subscriptions whose offer has no costs here: no rows."""
    bare: set[str] = field(default_factory=set)
    """Subscriptions that answer 204."""
    columns_turned: bool = False
    """Send the columns in the opposite order."""
    tag_columns: tuple[str, ...] = ("TagKey", "TagValue")
    """Leave one out to send only the other."""
    relink: Callable[[str], str] = str
    """What becomes of the link to a next page, as a gateway in between may change it."""
    rationed: bool = False
    """Count query units, say what is left of them, and refuse what is past the quota."""

    def __post_init__(self) -> None:
        super().__init__(self.clock, self.tls)
        self.quotas = Quotas(enforced=self.rationed)
        self._tokens: set[str] = set()

    def operation(self, request: Request) -> tuple[str, str]:
        """`query` of the last part of a scope, or `login` of a tenant."""
        if match := _ADDRESS.fullmatch(request.path):
            return QUERY, match["scope"].rpartition("/")[2]
        return LOGIN, request.path.split("/")[1]

    def answer(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """A token, or a page."""
        if operation == LOGIN:
            return self._login(request), {}
        return self._page(request, skip=0)

    def without_a_page(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:  # noqa: ARG002
        """The next page instead of the one that was asked for; the end, where there is none."""
        return self._page(request, skip=1)

    def hollow(self, operation: str) -> Reply:
        """A token reply without a token; a query result without rows."""
        if operation == LOGIN:
            return Reply.json({"token_type": "Bearer", "expires_in": 3600})
        return Reply.json({"id": "q", "name": "q", "type": "Microsoft.CostManagement/query", "properties": {}})

    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:
        """In the words of the login, or of Resource Manager."""
        if operation == LOGIN:
            code = {"expired": "AADSTS7000222", "denied": "AADSTS7000215"}.get(fault.kind, fault.code or "AADSTS90033")
            code = "AADSTS90055" if fault.kind == "throttle" else code
            status = {"expired": 401, "denied": 401, "throttle": 429}.get(fault.kind, fault.status)
            return _login_error(code, "the application cannot sign in.", status, fault.headers)
        match fault.kind:
            case "throttle":
                return _error("429", "Too many requests. Please retry.", 429, fault.headers)
            case "denied":
                return self._denied(request)
            case "expired":
                return self._unauthenticated("ExpiredAuthenticationToken")
        return _error(fault.code or "ServiceUnavailable", "Something went wrong.", fault.status, fault.headers)

    def _login(self, request: Request) -> Reply:
        base = f"{self.url}/{TENANT}"
        if request.path.split("/")[1] != TENANT:
            return _login_error("AADSTS90002", "Tenant not found.", 400)
        if request.path.endswith("/.well-known/openid-configuration"):
            return Reply.json(
                {
                    "issuer": f"{base}/v2.0",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["pairwise"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("client_id") != CLIENT:
            return _login_error("AADSTS700016", f"Application {form.get('client_id')!r} was not found.", 400)
        if form.get("client_secret") != SECRET:
            return _login_error("AADSTS7000215", "Invalid client secret provided.", 401)
        token = hashlib.blake2b(f"token {len(self._tokens)}".encode(), digest_size=16).hexdigest()
        self._tokens.add(token)
        seconds = int(TOKEN_LASTS.total_seconds())
        return Reply.json({"token_type": "Bearer", "expires_in": seconds, "access_token": token})

    def _page(self, request: Request, skip: int) -> tuple[Reply, Mapping[str, Any]]:
        """The page that the token in the address names; `skip` pages later where some are to be lost."""
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            raise Refused(self._unauthenticated("InvalidAuthenticationToken"))
        if not request.query.get("api-version"):
            raise Refused(_error("MissingApiVersionParameter", "The api-version query parameter is required.", 400))
        if request.method != "POST":
            raise Refused(_error("MethodNotAllowed", "Queries are POSTed, their next pages too.", 405))
        charges = self._charges(request)
        try:
            query = Query.parse(request.json(), self.now)
        except InvalidQuery as error:
            raise Refused(_error("BadRequest", f"Invalid query definition: {error}.", 400)) from None
        there, headers = self.quotas.take(query.units, self.now)
        detail = {"units": query.units, "dataset": query.dataset, "client_type": request.headers.get("clienttype", "")}
        if not there:
            raise Refused(_error("429", "Too many requests. Please retry.", 429, headers))
        if charges is None:
            return Reply(204, headers=headers), detail
        try:
            rows = query.rows(charges, self.ledger.accounts)
        except InvalidQuery as error:
            raise Refused(_error("BadRequest", f"Invalid query definition: {error}.", 400)) from None
        at = self._first_row(request) + skip * self.page_rows
        columns, rows = self._arranged(query.columns(), rows[at : at + self.page_rows + 1])
        following = self._link(request, at + self.page_rows) if len(rows) > self.page_rows else None
        properties = {"nextLink": following, "columns": columns, "rows": rows[: self.page_rows]}
        document = {"id": "q", "name": "q", "type": "Microsoft.CostManagement/query", "properties": properties}
        return Reply.json(document, headers=headers), {**detail, "row": at}

    def _charges(self, request: Request) -> list[Charge] | None:
        """What the scope in the address was charged; None where it has nothing at all to say."""
        match = _ADDRESS.fullmatch(request.path)
        parts = match["scope"].split("/") if match else []
        id = parts[-1]
        if id in self.denied:
            raise Refused(self._denied(request))
        if parts[0].lower() == "subscriptions":
            members, id = {parts[1]}, parts[1]
            if id not in self.ledger.accounts:
                raise Refused(_error("SubscriptionNotFound", f"The subscription '{id}' could not be found.", 404))
        elif id in self.groups:
            members = {*self.groups[id], ""}
        else:
            raise Refused(_error("NotFound", f"There is no {id!r}.", 404))
        if id in self.bare:
            return None
        group = parts[3].lower() if len(parts) > 3 and parts[2].lower() == "resourcegroups" else None
        return [
            charge
            for charge in self.ledger.shown(self.now)
            if charge.account in members
            and charge.account not in self.sponsored
            and group in (None, charge.details.get("resource_group", "").lower())
        ]

    def _arranged(
        self, columns: list[dict[str, str]], rows: list[list[object]]
    ) -> tuple[list[dict[str, str]], list[list[object]]]:
        """The columns that are sent, in the order in which they are."""
        kept = [
            i for i, column in enumerate(columns) if column["name"] not in {"TagKey", "TagValue"} - {*self.tag_columns}
        ]
        if self.columns_turned:
            kept.reverse()
        return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]

    def _link(self, request: Request, row: int) -> str:
        token = base64.b64encode(json.dumps({"row": row, "of": _digest(request.body)}).encode()).decode()
        query = urlencode({"api-version": request.query["api-version"], "$skiptoken": token})
        return self.relink(f"{self.url}{request.path}?{query}")

    def _first_row(self, request: Request) -> int:
        token = request.query.get("$skiptoken")
        if not token:
            return 0
        told = json.loads(base64.b64decode(token))
        if told["of"] != _digest(request.body):
            raise Refused(_error("BadRequest", "The skiptoken does not belong to this query definition.", 400))
        return int(told["row"])

    def _denied(self, request: Request) -> Reply:
        said = f"The client '{CLIENT}' does not have authorization to perform action "
        said += f"'Microsoft.CostManagement/query/action' over scope '{request.path}'."
        return _error("RBACAccessDenied", said, 403)

    def _unauthenticated(self, code: str) -> Reply:
        challenge = f'Bearer authorization_uri="{self.url}/{TENANT}", error="invalid_token"'
        return _error(code, _EXPIRED, 401, {"WWW-Authenticate": challenge})


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def _error(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply.json({"error": {"code": code, "message": message}}, status, headers)


def _login_error(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Reply:
    document = {"error": "invalid_client", "error_description": f"{code}: {message}", "error_codes": [int(code[6:])]}
    return Reply.json(document, status, headers)
