"""Where Azure bills: scopes as people write them, the accounts they stand for, and the role that lets us ask.

    00000000-0000-0000-0000-000000000001                                  a subscription, for short
    /subscriptions/<id>                                                   one subscription
    /subscriptions/<id>/resourceGroups/<name>                             a part of one
    /providers/Microsoft.Management/managementGroups/<name>               many subscriptions
    /providers/Microsoft.Billing/billingAccounts/<id>[/…]                 many subscriptions; or a profile, invoice
                                                                          section, department, enrollment, customer

https://learn.microsoft.com/azure/cost-management-billing/costs/understand-work-scopes
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ROLE = "Cost Management Reader"
"""The built-in role that may ask; on billing accounts it is Billing account reader or Enrollment reader."""

_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = r"[^/\s?#]+"
_SUBSCRIPTION = re.compile(rf"/subscriptions/({_ID})(/resourceGroups/{_PART})?", re.IGNORECASE)
_WIDE = re.compile(
    rf"/providers/Microsoft\.(?:Management/managementGroups/{_PART}"
    rf"|Billing/(billingAccounts/{_PART}(?:/billingProfiles/{_PART}(?:/invoiceSections/{_PART})?"
    rf"|/departments/{_PART}|/enrollmentAccounts/{_PART}|/customers/{_PART})?))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BillingScope:
    """One scope that is asked for its costs."""

    path: str
    subscription: str = ""
    """The subscription that it is, or is a part of; empty where it may hold many."""
    billing_account: str = ""
    """Only where the path names one."""

    @classmethod
    def parse(cls, text: str) -> BillingScope:
        """Read a scope as people write it. ValueError for what is none."""
        path = "/" + text.strip().strip("/")
        if re.fullmatch(_ID, path[1:], re.IGNORECASE):
            path = f"/subscriptions{path}"
        if match := _SUBSCRIPTION.fullmatch(path):
            return cls(path, match[1].lower())
        if match := _WIDE.fullmatch(path):
            return cls(path, billing_account=match[1].split("/")[1] if match[1] else "")
        raise ValueError(
            f"{text!r} is not a scope. hint: a subscription id, or a path that begins with /subscriptions/,"
            " /providers/Microsoft.Management/managementGroups/ or /providers/Microsoft.Billing/billingAccounts/"
        )

    @property
    def account(self) -> str:
        """What stands for charges that name no subscription: the subscription itself, or the last part of the path."""
        return self.subscription or self.path.rpartition("/")[2]

    @property
    def wide(self) -> bool:
        """Whether it may hold many subscriptions."""
        return not self.subscription

    @property
    def route(self) -> str:
        """The bill that it reads. A resource group has its subscription's: beside it, it would be counted twice."""
        return f"azure:/subscriptions/{self.subscription}" if self.subscription else f"azure:{self.path.lower()}"

    def holds(self, other: BillingScope) -> bool:
        """Whether the other lies in this one, as far as paths tell, or is the same."""
        return f"{other.path.lower()}/".startswith(f"{self.path.lower()}/")

    def apart(self, other: BillingScope) -> bool:
        """Whether both may bill one subscription without billing a charge twice, given that neither holds the other.

        Resource groups do, and sections, departments or billing accounts that a subscription moved between. Management
        groups lie in each other; a department and its enrollment accounts do.
        """
        if self.subscription and other.subscription:
            return True
        parents = {scope.path.lower().rpartition("/")[0] for scope in (self, other)}
        return bool(self.billing_account and other.billing_account) and len(parents) == 1

    def __str__(self) -> str:
        return self.path


def parsed(texts: Iterable[str]) -> tuple[BillingScope, ...]:
    """Scopes of one source. ValueError where one is none, or lies in another: its charges would count twice."""
    scopes = tuple(map(BillingScope.parse, texts))
    for number, scope in enumerate(scopes):
        for other in (*scopes[:number], *scopes[number + 1 :]):
            if scope.holds(other):
                raise ValueError(f"{other} lies in {scope}, and its charges would count twice. hint: leave one out")
    return scopes


def policy(scopes: Iterable[BillingScope], assignee: str) -> str:
    """The commands that grant the role at each scope; what the Azure CLI cannot assign is said in a comment."""
    lines = []
    for scope in scopes:
        if scope.billing_account:
            lines.append(f'# In the portal, "Access control" of {scope}: add "Billing account reader" for {assignee}')
        else:
            lines.append(f'az role assignment create --role "{ROLE}" --assignee {assignee} --scope {scope}')
    return "\n".join(lines)
