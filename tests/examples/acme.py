"""Acme Cloud, an invented vendor: daily charges from its JSON billing API."""

from datetime import date
from decimal import Decimal

from pydantic import BaseModel, Field, SecretStr

from exporter.costs import Ask, Bill, ChargeCategory, CostRow, CostTable, Scope
from exporter.periods import DAY, HOUR
from exporter.providers import Meter, Options, ProviderSpec
from exporter.providers.rest import get_json, pages, reading


class AcmeOptions(Options):
    """What a source with `provider: acme` may say."""

    url: str = "https://billing.acme.example"
    token: SecretStr


class Charge(BaseModel):
    """One charge: our names, and behind them Acme's."""

    start: date = Field(alias="day")
    account: str = Field(alias="project")
    service: str = Field(alias="product")
    region: str = Field("", alias="zone")  # Acme leaves it out for products that lie in none
    category: ChargeCategory = Field(ChargeCategory.USAGE, alias="kind")
    billed: Decimal = Field(alias="amount")
    currency: str


class Page(BaseModel):
    """One page of charges, and the cursor of the page behind it."""

    charges: list[Charge]
    next: str | None = None


class Acme:
    """Reads the charges of a window, page by page."""

    def __init__(self, options: AcmeOptions, meter: Meter) -> None:
        self.url, self.token, self.meter = f"{options.url}/v1/charges", options.token, meter

    def fetch(self, ask: Ask) -> Bill:
        """Every charge in the window, or a SourceError; never a part of them."""
        days = {"from": f"{ask.window.start:%Y-%m-%d}", "until": f"{ask.window.end:%Y-%m-%d}"}
        with reading("Acme's charges"):
            found = pages(lambda cursor: self._page({**days, "cursor": cursor}), None, lambda page: page.next)
            rows = [CostRow(**charge.model_dump()) for page in found for charge in page.charges]
            return Bill(costs=CostTable.of(rows), covered=(Scope(ask.window),))

    def _page(self, params: dict[str, str | None]) -> Page:
        return get_json(self.url, Page, params=params, token=self.token, meter=self.meter, operation="billing.read")


SPEC = ProviderSpec(
    "acme", AcmeOptions, Acme, settles_after=DAY, poll_every=6 * HOUR, permissions=("billing.read",), label="acme"
)
