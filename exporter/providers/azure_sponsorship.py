"""Azure Sponsorship subscriptions, by the portal's own usage table. Experimental: the vendor documents nothing of it.

Cost Management answers for a sponsored subscription with no rows and a good conscience; the portal's page is all there
is. It is read with the cookie of a session that somebody opened in a browser, and that ends sooner or later. A range of
days comes back as one sum, so each day is a question of its own.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

from pydantic import BaseModel, Field, SecretStr

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostRow, CostTable, Note, Scope
from exporter.errors import AccessDenied
from exporter.periods import DAY, day_of
from exporter.providers import Access, Call, Meter, Options, ProviderSpec
from exporter.providers.rest import Redirected, WebPage, get_json, reading

_OPERATION = "GetSubscriptionData"
_SERVICE, _SPEND = "Service Name", "Spend"
_MONEY = re.compile(r"(?P<sign>-?)[^\d\s.,()-]{0,3}(?P<amount>(\d{1,3}(,\d{3})+|\d+)(\.\d+)?)", re.ASCII)


class AzureSponsorshipOptions(Options):
    """Which subscriptions, and the session that may see them."""

    subscriptions: tuple[str, ...] = Field(min_length=1, description="Ids of the sponsored subscriptions.")
    cookie: SecretStr = Field(
        description="The Cookie header of a browser that is logged in at the portal. When it ends, put a new one here."
    )
    currency: str = Field(
        default="USD",
        pattern="^[A-Z]{3}$",
        description="The currency of the sponsorship; the portal only shows a sign.",
    )
    url: str = Field(default="https://www.microsoftazuresponsorships.com", description="The portal.")


class Usage(BaseModel):
    """The portal's table: rows of texts, money among them."""

    headers: list[str] = Field(alias="TableHeaders")
    rows: list[list[str]] = Field(alias="TableRows")


class AzureSponsorship:
    """Reads the portal day by day."""

    def __init__(self, options: AzureSponsorshipOptions, meter: Meter, clock: Clock | None = None) -> None:
        self.options = options
        self.meter = meter
        self.clock = clock

    def fetch(self, ask: Ask) -> Bill:
        """Every charge in the window, or a SourceError; AccessDenied where the session has ended."""
        rows = [
            row
            for subscription in self.options.subscriptions
            for day in ask.window.days()
            for row in self._rows(subscription, day, self._usage(subscription, day))
        ]
        said = Note("experimental", "read from a portal page that the vendor does not document and may change any day")
        return Bill(CostTable.of(rows), (Scope(ask.window),), notes=(said,))

    def access(self) -> Access:
        """Yesterday, of each subscription."""
        yesterday = day_of((self.clock or Clock.from_environment(may_freeze=True)).now()) - DAY
        tables = {each: self._usage(each, yesterday) for each in self.options.subscriptions}
        charged = any(self._rows(each, yesterday, table) for each, table in tables.items())
        return Access(
            credentials="`cookie`",
            identity="",  # the portal does not say whose session it is
            calls=(_OPERATION,),
            newest=yesterday if charged else None,
            shape={"TableHeaders": list(tables[self.options.subscriptions[0]].headers)},
        )

    def _usage(self, subscription: str, day: date) -> Usage:
        try:
            return get_json(
                f"{self.options.url}/Usage/{_OPERATION}",
                Usage,
                meter=self.meter,
                operation=_OPERATION,
                permission="a session at the sponsorship portal that may see the subscription (`cookie`)",
                headers={
                    "Cookie": self.options.cookie,
                    "X-Requested-With": "XMLHttpRequest",
                    "Referer": f"{self.options.url}/Usage",
                },
                # Both ends are included.
                params={"startDate": f"{day}", "endDate": f"{day}", "subscriptionGuid": subscription},
            )
        except (Redirected, WebPage) as error:
            # An ended session is sent to the login page, or gets it at once.
            ended = AccessDenied(
                "the session at the sponsorship portal has ended: it answers with its login",
                hint="log in at the portal in a browser and put the new Cookie header into `cookie` or `cookie_file`",
            )
            raise ended from error

    def _rows(self, subscription: str, day: date, usage: Usage) -> list[CostRow]:
        with reading(f"the portal's table of {day}"):
            service, spend = (usage.headers.index(name) for name in (_SERVICE, _SPEND))
            return [
                CostRow(
                    start=day,
                    account=subscription,
                    service=row[service],
                    region="",
                    billed=_money(row[spend]),
                    currency=self.options.currency,
                )
                for row in usage.rows
            ]


def _money(text: str) -> Decimal:
    """`$2,354.00`, `-$1.50` or `($1.50)`, exactly. ValueError for anything else."""
    bare = text.strip()
    negative = bare.startswith("(") and bare.endswith(")")
    found = _MONEY.fullmatch(bare[1:-1] if negative else bare)
    if not found:
        raise ValueError(f"{text!r} is not money such as $2,354.00")
    amount = Decimal(found["amount"].replace(",", ""))
    return amount.copy_negate() if negative != bool(found["sign"]) else amount


def _calls(options: AzureSponsorshipOptions, ask: Ask) -> tuple[Call, ...]:
    days = sum(1 for _ in ask.window.days())
    return (Call(operation=_OPERATION, times=days * len(options.subscriptions), paged=False),)


def _routes(options: AzureSponsorshipOptions) -> tuple[str, ...]:
    return tuple(f"azure:/subscriptions/{subscription.lower()}" for subscription in options.subscriptions)


SPEC = ProviderSpec(
    name="azure_sponsorship",
    options=AzureSponsorshipOptions,
    connect=AzureSponsorship,
    settles_after=timedelta(hours=72),  # not documented; Cost Management's own data takes up to three days
    poll_every=DAY,
    permissions=("a session at the sponsorship portal that may see the subscription",),
    label="azure",
    history=timedelta(days=35),  # a request per day and subscription, to a page made for people
    calls=_calls,
    routes=_routes,
)
