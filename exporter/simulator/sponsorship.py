"""The Azure Sponsorship portal, as far as its usage page asks it: one table, money as text, a session by cookie.

What is known of it comes from public collectors; nothing is documented. Both dates are included; a range is one sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from exporter.clock import Clock
from exporter.costs.money import add
from exporter.periods import DAY, Window
from exporter.simulator.ledger import Ledger
from exporter.simulator.server import CloudServer, Fault, Refused, Reply, Request

HEADERS = ["Service Name", "Service Resource", "Spend"]
_LOGIN = "https://login.microsoftonline.com/common/oauth2/authorize?client_id=made-up"


class SponsorshipPortal(CloudServer):
    """One portal and one session. The resource of a charge is in its details."""

    name: ClassVar[str] = "azure_sponsorship"

    def __init__(self, ledger: Ledger, cookie: str, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.ledger = ledger
        self.cookie = cookie

    def operation(self, request: Request) -> tuple[str, str]:
        """The page's one call, and the subscription it is about."""
        return request.path.removeprefix("/Usage/"), request.query.get("subscriptionGuid", "")

    def answer(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """The table of a range of days."""
        if request.headers.get("cookie") != self.cookie:
            raise Refused(_login())
        if operation != "GetSubscriptionData" or request.headers.get("x-requested-with") != "XMLHttpRequest":
            raise Refused(Reply(404, b"<html>not found</html>", {"Content-Type": "text/html"}))
        first, last = (date.fromisoformat(request.query[edge]) for edge in ("startDate", "endDate"))
        sums: dict[tuple[str, str], Decimal] = {}
        for charge in self.ledger.shown(self.now, Window.of_days(first, last + DAY)):
            if charge.account == request.query["subscriptionGuid"]:
                which = charge.service, charge.details.get("resource", "")
                sums[which] = add(sums.get(which, Decimal(0)), charge.billed)
        rows = [[service, resource, _money(total)] for (service, resource), total in sorted(sums.items())]
        return Reply.json({"TableHeaders": HEADERS, "TableRows": rows}), {"start": str(first), "end": str(last)}

    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:  # noqa: ARG002
        """A login for a session that ended, else a bare status."""
        if fault.kind == "expired":
            return _login()
        status = {"throttle": 429, "denied": 403}.get(fault.kind, fault.status)
        return Reply(status, b"<html>sorry</html>", {"Content-Type": "text/html", **fault.headers})

    def hollow(self, operation: str) -> Reply:  # noqa: ARG002
        """A table without its rows."""
        return Reply.json({"TableHeaders": HEADERS})


def _login() -> Reply:
    return Reply(302, b"", {"Location": _LOGIN, "Content-Type": "text/html"})


def _money(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,f}"
