"""How Azure is reached: credentials, the SDK's client, patience, quotas, and what its failures mean.

The SDK's own policies sign in, sign requests and check certificates. Its retries are off: they would ask without
being metered, and do not heed Cost Management's own throttling headers. Bodies are taken raw, for the SDK's models
read amounts as floats.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from exporter.config.schema import LocalPath
from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.log import keep_secret, masked
from exporter.providers import Meter, Options, rest
from exporter.providers.azure_query import NOTHING, Line, Page, Question, read
from exporter.providers.azure_scopes import ROLE
from exporter.providers.rest import cause_of

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse
    from azure.mgmt.costmanagement import CostManagementClient

OPERATION = "Microsoft.CostManagement/query"
PERMISSION = "Microsoft.CostManagement/query/action"
CONNECT_SECONDS, READ_SECONDS = 10, 60

_CLOUDS = {
    "public": ("AZURE_PUBLIC_CLOUD", "AZURE_PUBLIC_CLOUD"),
    "china": ("AZURE_CHINA_CLOUD", "AZURE_CHINA"),
    "government": ("AZURE_US_GOVERNMENT", "AZURE_GOVERNMENT"),
}
"""Our word → the SDK's cloud, and its login."""
_LIMITS = "x-ms-ratelimit-microsoft.costmanagement-"
_RESTS = tuple(f"{_LIMITS}{who}-retry-after" for who in ("qpu", "entity", "tenant", "client", "clienttype"))
_LONGEST_REST = timedelta(days=1)
_EXCERPT = 240
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_LOGIN_HINTS = {
    "AADSTS7000215": "`client_secret` is not the secret of `client_id`; take its value, not its id",
    "AADSTS7000222": "`client_secret` has expired: make a new one",
    "AADSTS700016": "there is no application `client_id` in `tenant_id`",
    "AADSTS90002": "there is no tenant `tenant_id`",
    "AADSTS53003": "a conditional access policy refuses this login",
}
_BUSY = frozenset({"AADSTS90055", "AADSTS50196"})
_PASSING = frozenset({"AADSTS90033"})


class AzureLogin(Options):
    """How to sign in to Azure, and where it is. Every source on Azure's own APIs has these options."""

    tenant_id: str | None = Field(default=None, description="The directory that the application signs in to.")
    client_id: str | None = Field(default=None, description="The application; or a user-assigned managed identity.")
    client_secret: SecretStr | None = Field(
        default=None,
        description="The application's secret. Without one, what the machine offers is tried: AZURE_* variables,"
        " workload identity, managed identity, Azure CLI.",
    )
    sign_in: Literal["chain", "environment", "workload_identity", "managed_identity", "cli"] = Field(
        default="chain", description="What to sign in with where there is no `client_secret`; `chain` tries all."
    )
    cloud: Literal["public", "china", "government"] = Field(default="public", description="Which of the Azures.")
    endpoint_url: str | None = Field(default=None, description="Resource Manager elsewhere than at the cloud's own.")
    authority_url: str | None = Field(default=None, description="The login elsewhere than at the cloud's own.")
    ca_bundle: LocalPath | None = Field(default=None, description="PEM file of the authorities to trust.")
    proxy: SecretStr | None = Field(default=None, description="An HTTP proxy by its URL, password and all.")

    @field_validator("endpoint_url", "authority_url")
    @classmethod
    def _encrypted(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("https://"):
            raise ValueError("must begin with https://. hint: the SDK sends no token over plain HTTP")
        return url

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not _installed():
            raise ValueError("Azure needs its SDK. hint: pip install 'cloudspend[azure]'")
        if self.client_secret and not (self.tenant_id and self.client_id):
            raise ValueError("client_secret needs tenant_id and client_id beside it")
        return self

    @property
    def found(self) -> str:
        """Where the credentials are."""
        return "client_secret" if self.client_secret else f"sign_in: {self.sign_in}"

    @property
    def identity(self) -> str:
        """Who asks, as far as the options tell."""
        return self.client_id or "whoever this machine is signed in as"


def _installed() -> bool:
    try:
        return all(importlib.util.find_spec(name) for name in ("azure.identity", "azure.mgmt.costmanagement"))
    except ModuleNotFoundError:  # not even what lies above
        return False


@contextmanager
def asking(login: AzureLogin, meter: Meter) -> Iterator[Asking]:
    """The SDK's client, which signs in at its first request, and how to ask it."""
    from azure.core import AzureClouds
    from azure.mgmt.core.tools import get_arm_endpoints
    from azure.mgmt.costmanagement import CostManagementClient

    # Every request at level info, every credential that is not there as a warning, every odd token reply as an error.
    for chatty in ("azure", "msal"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    network = _network(login)
    credential = _credential(login, network)
    cloud = AzureClouds[_CLOUDS[login.cloud][0]]
    endpoint = login.endpoint_url or get_arm_endpoints(cloud)["resource_manager"]
    try:
        with CostManagementClient(
            credential, endpoint, cloud_setting=cloud, permit_redirects=False, **network
        ) as client:
            yield Asking(client, endpoint, meter)
    finally:
        close = getattr(credential, "close", None)
        if close:
            close()


def _network(login: AzureLogin) -> dict[str, Any]:
    """What both the client and the credentials must know of the network. `retry_total=0` switches retries off."""
    network: dict[str, Any] = {
        "retry_total": 0,
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
    }
    if login.ca_bundle:
        network["connection_verify"] = str(login.ca_bundle)
    if login.proxy:
        network["proxies"] = dict.fromkeys(("http", "https"), _revealed(login.proxy))
    return network


def _credential(login: AzureLogin, network: Mapping[str, Any]) -> TokenCredential:
    """The credentials that the options choose. AccessDenied where the SDK says that they cannot be."""
    from azure import identity

    _, host = _CLOUDS[login.cloud]
    place: dict[str, Any] = {"authority": login.authority_url or getattr(identity.AzureAuthorityHosts, host), **network}
    if login.authority_url:
        place["disable_instance_discovery"] = True  # a login of one's own is not in Microsoft's list
    try:
        if login.client_secret:
            secret = _revealed(login.client_secret)
            return identity.ClientSecretCredential(login.tenant_id or "", login.client_id or "", secret, **place)
        if login.sign_in == "environment":
            return identity.EnvironmentCredential(**place)
        if login.sign_in == "workload_identity":
            return identity.WorkloadIdentityCredential(tenant_id=login.tenant_id, client_id=login.client_id, **place)
        if login.sign_in == "managed_identity":
            return identity.ManagedIdentityCredential(client_id=login.client_id, **network)
        if login.sign_in == "cli":
            return identity.AzureCliCredential(tenant_id=login.tenant_id or "")
        chosen = {"managed_identity_client_id": login.client_id} if login.client_id else {}
        return identity.DefaultAzureCredential(
            exclude_shared_token_cache_credential=True,
            exclude_visual_studio_code_credential=True,
            exclude_broker_credential=True,
            **chosen,
            **place,
        )
    except ValueError as error:
        problem = AccessDenied(f"the credentials for Azure cannot be used: {_excerpt(str(error))}", hint=_GRANT)
    raise problem


def _revealed(secret: SecretStr) -> str:
    text = secret.get_secret_value()
    keep_secret(text)
    if password := urlsplit(text).password if "://" in text else None:
        keep_secret(password)
    return text


_GRANT = f"the credentials must allow {PERMISSION}: assign the role {ROLE}"


class _Failure(NamedTuple):
    error: SourceError
    passing: bool = False
    """Whether the same request may go better in a moment."""


@dataclass(slots=True)
class Asking:
    """Puts questions to Azure: metered, page by page, within its quotas."""

    client: CostManagementClient
    endpoint: str
    meter: Meter
    room: Mapping[str, int] = field(default_factory=dict)
    """Query units that the last answer said are left, by the span they are for."""

    def lines(self, question: Question) -> list[Line]:
        """The whole answer. Raises SourceError; never a part of it."""
        return [line for page in self.pages(question) for line in page.lines]

    def pages(self, question: Question) -> Iterator[Page]:
        """Every page of the answer. The next one is asked for with the same body."""
        return rest.pages(lambda link: self._page(question, link), "", lambda page: page.following)

    def _page(self, question: Question, link: str) -> Page:
        address = self._address(question, link)
        # The token of the next page is in its address: without the host that is all that decides the answer.
        asked = {"address": urlunsplit(("", "", *urlsplit(address)[2:])), "body": question.body()}
        return read(self.meter.page(asked, lambda: self._insist(question, address)), question)

    def _address(self, question: Question, link: str) -> str:
        """Where a page is. Always at our own endpoint: the token goes nowhere else, whatever an answer says."""
        own = urlsplit(self.endpoint)
        there = urlsplit(link or question.path)
        return urlunsplit((own.scheme, own.netloc, there.path, there.query, ""))

    def _insist(self, question: Question, address: str) -> bytes:
        """The answer, asked for again while the failure may pass and patience lasts."""
        patience, attempt = rest.PATIENCE, 1
        while True:
            if pause := _pause(self.room, question.units):
                patience.sleep(min(pause, patience.longest))
            self.meter.request(OPERATION, units={"qpu": Decimal(question.units)})
            self.room = {}
            answer = self._ask(question, address)
            if isinstance(answer, bytes):
                return answer
            wait = patience.wait(attempt, answer.error) if answer.passing else None
            if wait is None:
                raise answer.error
            patience.sleep(wait)
            attempt += 1

    def _ask(self, question: Question, address: str) -> bytes | _Failure:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        # Without a type of its own, a client shares its quota with everything else that has none.
        headers = {"ClientType": "cloudspend", "Accept": "application/json"}
        request = HttpRequest("POST", address, json=question.body(), headers=headers)
        try:
            response = self.client.send_request(request, stream=True)
            try:
                body = response.read()
            finally:
                response.close()
        except AzureError as error:
            return _broken(error, question)
        except (ValueError, OSError) as error:  # http.client's and requests' own; they may quote what was sent
            return _Failure(Unavailable(f"asking for {question} failed: {type(error).__name__}"), passing=True)
        self.room = _room(response.headers)
        return _judged(response, body, question)


def _judged(response: HttpResponse, body: bytes, question: Question) -> bytes | _Failure:
    """The body of a good answer, or what its status means."""
    status = response.status_code
    if status == 204:
        return NOTHING
    if status == 200:
        return body
    said = f"{question}: Azure answered {status}, {_excerpt(body.decode(errors='replace')) or 'without a word'}"
    pause = _rest_asked(response.headers)
    if status == 429:
        hint = "poll less often (`poll_every`); another client may use the same quota"
        return _Failure(Throttled(said, hint=hint, retry_after=pause), passing=True)
    if status == 401:
        return _Failure(AccessDenied(said, hint=f"{_GRANT}; the token may have expired: check the clock"))
    if status in (403, 407):
        where = f"{_GRANT} at {question.scope}; make it a source of its own to keep the other scopes going"
        return _Failure(AccessDenied(said, hint=where if status == 403 else "check `proxy`"))
    if status in (408, 424) or status >= 500:
        return _Failure(Unavailable(said, retry_after=pause), passing=True)
    if status in (404, 410) or 300 <= status < 400:
        return _Failure(Unavailable(said, hint="check `scopes`, `cloud` and `endpoint_url`"))
    return _Failure(BadData(said))


def _broken(error: Exception, question: Question) -> _Failure:
    """What an answer that did not come, or not whole, means. `str(error)` is not used: it may quote anything."""
    from azure.core import exceptions as azure

    if isinstance(error, azure.ClientAuthenticationError):
        return _no_login(error, question)
    if isinstance(error, azure.IncompleteReadError | azure.DecodeError):
        return _Failure(BadData(f"the answer about {question} is cut off or cannot be unpacked"), passing=True)
    cause = cause_of(error)
    if isinstance(error, azure.ServiceRequestError) and "certificate" in str(error).lower():
        hint = "check the certificate; for an authority of your own set `ca_bundle`"
        return _Failure(Unavailable("no trusted connection to Azure", hint=hint))
    if isinstance(error, azure.ServiceRequestError):
        hint = "check the network, `proxy` and `endpoint_url`"
        return _Failure(Unavailable(f"cannot reach Azure: {cause}", hint=hint), passing=True)
    if isinstance(error, azure.ServiceResponseTimeoutError):
        return _Failure(Unavailable(f"Azure sent nothing for {READ_SECONDS} s about {question}"), passing=True)
    return _Failure(Unavailable(f"the answer about {question} did not come: {cause}"), passing=True)


def _no_login(error: Exception, question: Question) -> _Failure:
    """Why there is no token. azure-identity makes one error of them all, also of a login that cannot be reached."""
    from azure.core.exceptions import AzureError
    from azure.identity import CredentialUnavailableError

    if isinstance(error.__cause__, AzureError):
        return _broken(error.__cause__, question)
    told = " ".join(str(cause) for cause in _causes(error))
    status = next((int(text) for text in re.findall(r"HTTP (?:status|Error): (\d{3})", told)), 0)
    code = next(iter(re.findall(r"AADSTS\d+", told)), "")
    if status == 429 or code in _BUSY:
        return _Failure(Throttled(f"the login of Azure is busy: {code or status}"), passing=True)
    if status >= 500 or code in _PASSING:
        return _Failure(Unavailable(f"the login of Azure is in trouble: {code or status}"), passing=True)
    if code:
        return _Failure(AccessDenied(f"the login of Azure refused: {code}", hint=_LOGIN_HINTS.get(code, _GRANT)))
    if any(isinstance(cause, ValueError | LookupError) for cause in _causes(error)):
        return _Failure(BadData("the login of Azure answered what is no login", hint="check `authority_url`, `proxy`"))
    hint = "set `tenant_id`, `client_id` and `client_secret`, or sign in (`az login`, a managed identity)"
    where = "there are no credentials for Azure" if isinstance(error, CredentialUnavailableError) else "no token came"
    return _Failure(AccessDenied(f"{where}: {_excerpt(str(error))}", hint=hint))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _rest_asked(headers: Mapping[str, str]) -> timedelta | None:
    """The longest of the rests that an answer asks for: each quota has a header of its own."""
    said = [headers.get(name) or "" for name in (*_RESTS, "Retry-After")]
    seconds = [float(text) for text in said if re.fullmatch(r"\d+(\.\d+)?", text)]
    return min(timedelta(seconds=max(seconds)), _LONGEST_REST) if seconds else None


_SPANS = {"10sec": 10.0, "min": 60.0}


def _room(headers: Mapping[str, str]) -> dict[str, int]:
    """What is left of the quotas: `QueriesPer10Sec:11;QueriesPerMin:59;QueriesPerHour:599`."""
    said = headers.get(f"{_LIMITS}qpu-remaining") or ""
    return {span.lower(): int(left) for span, left in re.findall(r"Per(\w+):(\d+)", said)}


def _pause(room: Mapping[str, int], units: int) -> float:
    """Seconds until so many units are there again. What an hour has too few of is left to Azure to refuse."""
    return max((seconds for span, seconds in _SPANS.items() if room.get(span, units) < units), default=0.0)


def _excerpt(words: str) -> str:
    words = " ".join(masked(words).split())
    return words if len(words) <= _EXCERPT else f"{words[:_EXCERPT]}…"
