"""Credentials for AWS and calls with them: what every source that reads AWS has in common.

    with AwsSession(options, meter) as aws:
        answer = aws.call("ce", "GetCostAndUsage", request, needs=("ResultsByTime",), charge=PAGE_PRICE)

Each attempt is metered, and botocore's own retries are off: what may pass by itself is asked again here, a few times.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import SecretStr, StringConstraints, model_validator

from exporter.config.schema import Duration, LocalPath
from exporter.errors import BadData, SourceError
from exporter.log import keep_secret
from exporter.providers import NO_UNITS, Meter, Options, rest
from exporter.providers.aws_errors import MISSING, credentials, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
RoleArn = Annotated[str, StringConstraints(pattern=r"^arn:[a-z-]+:iam::\d{12}:role/.+$")]

# Cost Explorer and Organizations answer in one region per partition, and requests are signed for it.
_HOME = {"aws": "us-east-1", "aws-cn": "cn-northwest-1"}
_CONNECT_TIMEOUT = 10.0  # seconds
_BODY = "cloudspend:body"  # among the keys of an answer
_ROLE_LASTS = 3600  # seconds; a worker is ended long before


class AwsOptions(Options):
    """How to reach AWS. Without any: what the SDK finds (environment, shared files, SSO, the role of the machine)."""

    profile: str | None = None
    """A profile of ~/.aws/config."""
    role_arn: RoleArn | None = None
    """A role to assume, with the credentials that the rest of the options name."""
    external_id: str | None = None
    """What the role's trust policy asks for besides."""
    session_name: str = "cloudspend"
    """Names the session in CloudTrail."""
    access_key_id: str | None = None
    """An access key; with secret_access_key."""
    secret_access_key: SecretStr | None = None
    """Its secret."""
    session_token: SecretStr | None = None
    """Its session token, where it is a temporary one."""
    web_identity_token_file: LocalPath | None = None
    """A file with an OpenID Connect token that opens role_arn; Kubernetes keeps it fresh."""
    partition: Literal["aws", "aws-cn"] = "aws"
    """aws-cn for the regions in China, which have accounts, endpoints and a currency of their own."""
    sts_endpoint_url: str | None = None
    """Where sts is, if not at its usual address."""
    proxy: SecretStr | None = None
    """An HTTP proxy, http://user:password@host:port; HTTPS_PROXY unless said."""
    ca_bundle: LocalPath | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""
    timeout: Duration = timedelta(seconds=60)
    """How long to wait for an answer."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        if self.access_key_id and self.profile:
            raise ValueError("profile and access_key_id are two ways to say who you are. hint: keep one")
        if self.session_token and not self.access_key_id:
            raise ValueError("session_token belongs to access_key_id. hint: give that too")
        if (self.external_id or self.web_identity_token_file) and not self.role_arn:
            raise ValueError("external_id and web_identity_token_file are for a role. hint: set role_arn")
        return self

    @property
    def role_account(self) -> str | None:
        """The account that the role lies in."""
        return self.role_arn.split(":")[4] if self.role_arn else None


def openings(options: AwsOptions) -> tuple[str, ...]:
    """The calls that opening a session takes; none of them costs anything."""
    if options.web_identity_token_file:
        return ("sts:AssumeRoleWithWebIdentity",)
    return ("sts:AssumeRole",) if options.role_arn else ()


class AwsSession:
    """One set of credentials, for one poll. A context manager: clients are closed behind it."""

    def __init__(self, options: AwsOptions, meter: Meter) -> None:
        self._options = options
        self._meter = meter
        self._clients: dict[tuple[str, str | None], Any] = {}
        self.region = _HOME[options.partition]
        quieten()
        with _sdk():
            self._session = self._opened()

    @property
    def found(self) -> str:
        """Where the credentials come from."""
        options = self._options
        where = f"profile {options.profile}" if options.profile else "options of the source"
        if not options.profile and not options.access_key_id:
            where = str(self._base.get_credentials().method) if self._base.get_credentials() else "nowhere"
        if options.web_identity_token_file:
            where = f"{options.web_identity_token_file.name}"
        return f"{where}, then role {options.role_arn}" if options.role_arn else where

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        needs: Iterable[str],
        charge: Decimal = Decimal(0),
        units: Mapping[str, Decimal] = NO_UNITS,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """One answer, without the SDK's own additions. Raises a SourceError, a few tries later where it may pass.

        `needs` are the keys that it must have: botocore turns a page of HTML into an answer without any. It is
        BadData then, and never an empty bill.
        """
        return self._asked(service, operation, request, needs, charge, units, endpoint)[0]

    def body(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        needs: Iterable[str],
        charge: Decimal = Decimal(0),
        endpoint: str | None = None,
    ) -> bytes:
        """The same, as it came."""
        return self._asked(service, operation, request, needs, charge, NO_UNITS, endpoint)[1]

    def identity(self) -> dict[str, Any]:
        """Account and ARN of whoever asks."""
        return self.call("sts", "GetCallerIdentity", {}, needs=("Account", "Arn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for client in self._clients.values():
            client.close()

    def _asked(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        needs: Iterable[str],
        charge: Decimal,
        units: Mapping[str, Decimal],
        endpoint: str | None,
    ) -> tuple[dict[str, Any], bytes]:
        """An answer and its body."""
        permission = f"{service}:{operation}"
        attempt = 1
        while True:
            self._meter.request(permission, charge, units=units)
            try:
                answer = self._ask(service, operation, request, endpoint)
            except SourceError:
                raise
            except Exception as error:
                trouble = failure(error, permission)
            else:
                return _whole(answer, needs, permission), answer[_BODY]
            wait = rest.PATIENCE.wait(attempt, trouble.error) if trouble.passing else None
            if wait is None:
                raise trouble.error
            rest.PATIENCE.sleep(wait)
            attempt += 1

    def _ask(self, service: str, operation: str, request: Mapping[str, Any], endpoint: str | None) -> Any:
        client = self._client(service, endpoint or (self._options.sts_endpoint_url if service == "sts" else None))
        return getattr(client, _snake(operation))(**request)

    def _client(self, service: str, endpoint: str | None) -> Any:
        from botocore.config import Config

        if (service, endpoint) not in self._clients:
            options = self._options
            proxy = options.proxy.get_secret_value() if options.proxy else None
            if proxy:
                keep_secret(proxy)
            config = Config(
                retries={"total_max_attempts": 1, "mode": "standard"},
                connect_timeout=min(_CONNECT_TIMEOUT, options.timeout.total_seconds()),
                read_timeout=options.timeout.total_seconds(),
                proxies={"http": proxy, "https": proxy} if proxy else None,
            )
            client = self._clients[service, endpoint] = self._session.client(
                service,
                region_name=self.region,
                endpoint_url=endpoint,
                config=config,
                verify=str(options.ca_bundle) if options.ca_bundle else None,
            )
            client.meta.events.register("before-parse", _keep_body)
        return self._clients[service, endpoint]

    def _opened(self) -> Any:
        """The session that asks for bills: of the role, or of the credentials themselves."""
        import boto3

        options = self._options
        secret, token = _plain(options.secret_access_key), _plain(options.session_token)
        self._base = self._session = boto3.session.Session(
            options.access_key_id, secret, token, region_name=self.region, profile_name=options.profile
        )
        if not options.web_identity_token_file and self._base.get_credentials() is None:
            raise credentials()
        if not options.role_arn:
            return self._base
        assumed = self._assumed(options.role_arn)
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        with rest.reading("the credentials of the role"):
            id, secret, token = (assumed[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        keep_secret(secret)
        keep_secret(token)
        return boto3.session.Session(id, secret, token, region_name=self.region)

    def _assumed(self, role: str) -> Mapping[str, Any]:
        """Temporary credentials of the role."""
        options = self._options
        request: dict[str, Any] = {"RoleArn": role, "RoleSessionName": options.session_name}
        request["DurationSeconds"] = _ROLE_LASTS
        if file := options.web_identity_token_file:
            try:
                request["WebIdentityToken"] = file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise credentials(f"{file} cannot be read") from None
            keep_secret(request["WebIdentityToken"])
            operation = "AssumeRoleWithWebIdentity"
        else:
            operation = "AssumeRole"
            if options.external_id:
                request["ExternalId"] = options.external_id
        answer: Mapping[str, Any] = self.call("sts", operation, request, needs=("Credentials",))["Credentials"]
        return answer


def quieten() -> None:
    """Keep the SDK's debug lines, which spell out signed headers and session tokens, out of the log."""
    for name in ("boto3", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def _sdk() -> Iterator[None]:
    """Inside, a missing SDK and credentials that cannot be used are SourceErrors."""
    try:
        yield
    except SourceError:
        raise
    except ImportError:
        raise MISSING from None
    except Exception as error:
        raise credentials(type(error).__name__) from None


def _keep_body(response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """A hook of botocore: what it is told to add to the parsed answer is the body."""
    customized_response_dict[_BODY] = response_dict["body"]


def _whole(answer: Any, needs: Iterable[str], permission: str) -> dict[str, Any]:
    found = {name: value for name, value in dict(answer).items() if name not in ("ResponseMetadata", _BODY)}
    for name in needs:
        if found.get(name) is None:
            hint = "a proxy or a login page may stand in between; check `endpoint_url` and `proxy`"
            raise BadData(f"the answer of {permission} has no {name}", hint=hint)
    return found


def _plain(secret: SecretStr | None) -> str | None:
    if secret is None:
        return None
    keep_secret(secret.get_secret_value())
    return secret.get_secret_value()


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
