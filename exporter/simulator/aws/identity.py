"""Who asks: keys, roles, and the answers of sts and organizations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.simulator.aws import wire
from exporter.simulator.server import Refused

_MOST_ACCOUNTS = 20  # organizations:ListAccounts never gives more on a page


@dataclass(frozen=True, slots=True)
class Key:
    """An access key: its secret, and whose it is."""

    secret: str
    account: str
    name: str = "user/cost-reader"
    """The last part of the ARN."""
    token: str | None = None
    """The session token that must come along."""
    expires: datetime | None = None
    """Real time."""

    @property
    def arn(self) -> str:
        """Who it is."""
        service = "sts" if self.name.startswith("assumed-role/") else "iam"
        return f"arn:aws:{service}::{self.account}:{self.name}"


@dataclass(frozen=True, slots=True)
class Role:
    """A role that may be assumed."""

    arn: str
    external_id: str | None = None
    """Must be given where it is not None."""
    web_token: str | None = None
    """The identity token that opens it to `AssumeRoleWithWebIdentity`."""


class Identity:
    """Keys and roles. Assuming a role makes a new key."""

    def __init__(self, keys: Mapping[str, Key], roles: Iterable[Role], lasts: timedelta = timedelta(hours=1)) -> None:
        self.keys = dict(keys)
        self.roles = {role.arn: role for role in roles}
        self.lasts = lasts
        self._numbers = itertools.count(1)

    def get_caller_identity(self, caller: Key) -> dict[str, Any]:
        """GetCallerIdentity."""
        return {"UserId": "AIDASIMULATED", "Account": caller.account, "Arn": caller.arn}

    def assume_role(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AssumeRole. Raises Refused where the role is not there or its external id is another."""
        role = self.roles.get(asked["RoleArn"])
        if role is None or role.external_id != asked.get("ExternalId"):
            raise _denied("sts:AssumeRole", asked["RoleArn"])
        return self._assumed(role, asked["RoleSessionName"])

    def assume_role_with_web_identity(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """AssumeRoleWithWebIdentity. Raises Refused where the token is another."""
        role = self.roles.get(asked["RoleArn"])
        if role is None or role.web_token is None:
            raise _denied("sts:AssumeRoleWithWebIdentity", asked["RoleArn"])
        if role.web_token != asked["WebIdentityToken"]:
            raise wire.refused("sts", "InvalidIdentityToken", "The web identity token is not valid")
        return self._assumed(role, asked["RoleSessionName"])

    def _assumed(self, role: Role, session: str) -> dict[str, Any]:
        number = next(self._numbers)
        account, _, name = role.arn.removeprefix("arn:aws:iam::").partition(":role/")
        id, secret, token = f"ASIASIMULATED{number:04}", f"made-up-secret-{number}", f"made-up-session-token-{number}"
        expires = datetime.now(UTC).replace(microsecond=0) + self.lasts
        key = Key(secret, account, f"assumed-role/{name}/{session}", token, expires)
        self.keys[id] = key
        credentials = {"AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token, "Expiration": expires}
        return {"Credentials": credentials, "AssumedRoleUser": {"AssumedRoleId": f"AROA:{session}", "Arn": key.arn}}


def list_accounts(accounts: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """organizations:ListAccounts, at most 20 a page."""
    first = int(asked.get("NextToken") or 0)
    until = first + min(asked.get("MaxResults", _MOST_ACCOUNTS), _MOST_ACCOUNTS)
    listed = [{"Id": id, "Name": name, "Status": "ACTIVE", "State": "ACTIVE"} for id, name in sorted(accounts.items())]
    more = {"NextToken": str(until)} if until < len(listed) else {}
    return {"Accounts": listed[first:until], **more}


def _denied(action: str, what: str) -> Refused:
    return wire.refused("sts", "AccessDenied", f"User is not authorized to perform: {action} on resource: {what}", 403)
