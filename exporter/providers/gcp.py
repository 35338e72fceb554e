"""Google Cloud, from the Cloud Billing export in BigQuery: standard, detailed and FOCUS tables.

    gcp_sql      the statement that sums the bill where it lies       gcp_client   asking BigQuery, once per answer
    gcp_errors   its failures in our words

Usage is net of discounts; promotional credits are charges of their own; `contracted` is the cost before credits. Days
are UTC days of `usage_start_time`, billing months those of the invoice, which Google cuts at midnight on the Pacific
coast: one UTC day may lie in two of them. Late usage and corrections are new rows, so each poll sums its days anew.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from exporter.clock import Clock
from exporter.config.values import Duration, LocalPath
from exporter.costs import Ask, Bill, BilledRate, ChargeCategory, CostRow, CostTable, Note, Scope
from exporter.costs.money import PLACES, add
from exporter.errors import AccessDenied, BadData
from exporter.log import keep_secret
from exporter.periods import DAY, HOUR, Grain, Month
from exporter.providers import Access, Call, Meter, Options, ProviderSpec
from exporter.providers.gcp_client import LEAST, SCOPE, BigQuery, Limits, Row, price
from exporter.providers.gcp_errors import DESCRIBE, JOB, READ
from exporter.providers.gcp_sql import Export
from exporter.providers.rest import reading

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.bigquery import Client

ON_DEMAND = Decimal("6.25")
"""US dollars for a tebibyte read, in the US and EU multi-regions (https://cloud.google.com/bigquery/pricing)."""

_TABLE = r"^[a-z0-9.:-]+\.\w+\.[\w-]+$"
_ACCOUNT = re.compile(r"_([0-9A-F]{6})_([0-9A-F]{6})_([0-9A-F]{6})$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CATEGORIES = {
    "regular": ChargeCategory.USAGE,
    "usage": ChargeCategory.USAGE,
    "purchase": ChargeCategory.PURCHASE,
    "tax": ChargeCategory.TAX,
    "credit": ChargeCategory.CREDIT,
    "adjustment": ChargeCategory.ADJUSTMENT,
    "rounding_error": ChargeCategory.ADJUSTMENT,
}


class GcpOptions(Options):
    """Where the export is, and who asks."""

    table: str | tuple[str, ...] = Field(
        description="The export's table, `project.dataset.gcp_billing_export_v1_ACCOUNT`; or a list, one for each"
        " billing account. Standard, detailed and FOCUS tables are told apart by their columns."
    )
    project: str | None = Field(default=None, description="The project that pays for queries; the table's unless set.")
    location: str | None = Field(default=None, description="Where queries run (`EU`); where the table is unless set.")
    credentials_file: LocalPath | None = Field(
        default=None, description="A service account's key file; the default credentials unless set."
    )
    impersonate: str | None = Field(default=None, description="The mail address of a service account to act as.")
    dimensions: tuple[Literal["sku"], ...] = Field(
        default=(), description="What to keep beside services, as tags: `sku` (`--by tag:sku`)."
    )
    max_bytes: int = Field(default=2**30, ge=LEAST, description="The most bytes that one query may be billed for.")
    usd_per_tib: Decimal = Field(
        default=ON_DEMAND, ge=0, description="What a tebibyte read costs where the dataset is; 0 with editions."
    )
    partition_slack: Duration = Field(
        default=3 * DAY, description="How much older than its usage the partition of a row may be."
    )
    endpoint_url: str | None = Field(default=None, description="Another endpoint of the BigQuery API.")
    iam_endpoint_url: str | None = Field(
        default=None, description="Another endpoint of the IAM Credentials API, for `impersonate`."
    )
    proxy: SecretStr | None = Field(default=None, description="An HTTP proxy's URL; else HTTPS_PROXY.")
    ca_bundle: LocalPath | None = Field(default=None, description="Certificate authorities to trust instead.")
    timeout: Duration = Field(default=timedelta(seconds=60), description="How long a call may go without an answer.")

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables."""
        return (self.table,) if isinstance(self.table, str) else self.table

    @field_validator("table")
    @classmethod
    def _named(cls, table: str | tuple[str, ...]) -> str | tuple[str, ...]:
        tables = (table,) if isinstance(table, str) else table
        if not tables:
            raise ValueError("name one table at least")
        for name in tables:
            if not re.fullmatch(_TABLE, name):
                raise ValueError(f"{name!r} is not project.dataset.table")
        return table

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        routes = [route for route in map(_route, self.tables) if route]
        if twice := {route for route in routes if routes.count(route) > 1}:
            raise ValueError(f"two tables hold the bill of {min(twice)}: they would be added up")
        try:
            installed = importlib.util.find_spec("google.cloud.bigquery")
        except ModuleNotFoundError:
            installed = None
        if installed is None:
            raise ValueError("BigQuery needs one more package. hint: pip install 'cloudspend[gcp]'")
        return self


class Gcp:
    """The bill of one or many billing accounts, one statement for each table."""

    def __init__(self, options: GcpOptions, meter: Meter, clock: Clock | None = None) -> None:
        self.options = options
        self.meter = meter
        self.clock = clock or Clock.from_environment(may_freeze=True)

    def fetch(self, ask: Ask) -> Bill:
        """Every charge in the window from every table, or a SourceError."""
        found = _Found()
        with self._opened() as bigquery:
            for table in self.options.tables:
                export = bigquery.describe(table)
                statement = export.statement(ask, self.options.partition_slack, self.options.dimensions)
                answer = bigquery.rows(statement, export)
                found.take(table, answer, statement.tags, ask)
        return Bill(
            costs=CostTable.of(found.rows),
            covered=(Scope(ask.window),),
            totals=CostTable.of(found.totals),
            accounts=found.names,
            rates=found.rates,
            notes=tuple(found.notes()),
            rounded=found.rounded,
        )

    def access(self) -> Access:
        """Describe each table, and ask it for its newest charge of the last days: ten mebibytes each."""
        newest, shape = [], {}
        since = self.clock.now() - 7 * DAY
        with self._opened() as bigquery:
            for table in self.options.tables:
                export = bigquery.describe(table)
                shape[_kind(export)] = dict(sorted(export.fields.items()))
                for row in bigquery.rows(export.newest(since), export):
                    with reading(f"the newest charge of {table}"):
                        newest += [_instant(row["newest"])] if row["newest"] else []
            return Access(
                credentials=self._where(),
                identity=bigquery.identity,
                calls=("bigquery.tables.get", "bigquery.jobs.insert", "bigquery.tabledata.list"),
                newest=max(newest).date() if newest else None,
                shape=shape,
            )

    def _opened(self) -> BigQuery:
        told = self.options
        limits = Limits(told.max_bytes, told.usd_per_tib, told.timeout.total_seconds(), told.location)
        return BigQuery(self._connect, self.meter, limits)

    def _where(self) -> str:
        own = str(self.options.credentials_file) if self.options.credentials_file else "the default credentials"
        return f"{own}, acting as {self.options.impersonate}" if self.options.impersonate else own

    def _connect(self) -> tuple[Client, Credentials]:
        """The client and who it is. Its sessions take our proxy and certificates, for tokens too."""
        import requests
        from google.api_core.client_options import ClientOptions
        from google.auth.transport.requests import AuthorizedSession, Request
        from google.cloud.bigquery import Client

        credentials = self._credentials()
        tokens = requests.Session()
        session = AuthorizedSession(
            credentials, refresh_timeout=self.options.timeout.total_seconds(), auth_request=Request(tokens)
        )
        for each in (tokens, session):
            if self.options.proxy:
                proxy = self.options.proxy.get_secret_value()
                keep_secret(proxy)
                each.proxies = {"http": proxy, "https": proxy}
            if self.options.ca_bundle:
                each.verify = str(self.options.ca_bundle)
        client = Client(
            project=self.options.project or self.options.tables[0].split(".")[0],
            location=self.options.location,
            client_options=ClientOptions(api_endpoint=self.options.endpoint_url) if self.options.endpoint_url else None,
            _http=session,
        )
        return client, credentials

    def _credentials(self) -> Credentials:
        from google.oauth2 import service_account

        credentials: Credentials
        if file := self.options.credentials_file:
            try:
                credentials = service_account.Credentials.from_service_account_file(str(file), scopes=[SCOPE])
            except OSError as error:
                raise AccessDenied(f"cannot read {file}: {error.strerror}", hint="check `credentials_file`") from None
            except ValueError:
                hint = "a key file of a service account is JSON; for other kinds set GOOGLE_APPLICATION_CREDENTIALS"
                raise AccessDenied(f"{file} is no service account's key file", hint=hint) from None
        else:
            import google.auth

            credentials, _ = google.auth.default(scopes=[SCOPE])
        if target := self.options.impersonate:
            from google.auth import impersonated_credentials

            base = self.options.iam_endpoint_url
            address = f"{base}/v1/projects/-/serviceAccounts/{target}:generateAccessToken" if base else None
            credentials = impersonated_credentials.Credentials(
                credentials, target, [SCOPE], iam_endpoint_override=address
            )
        return credentials


@dataclass(slots=True)
class _Found:
    """What the tables said so far."""

    rows: list[CostRow] = field(default_factory=list)
    totals: list[CostRow] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    per_dollar: dict[str, tuple[datetime, Month, Decimal]] = field(default_factory=dict)
    """Currency → its conversion rate on the newest day that has one, the highest where the day has several."""
    billed_by: dict[str, str] = field(default_factory=dict)
    """Billing account → the table that has its bill."""
    rounded: int = 0

    def take(self, table: str, answer: Iterable[Row], tags: tuple[str, ...], ask: Ask) -> None:
        """Read the answer of one table: its charges, and its totals by currency and over all."""
        ended = False
        with reading(f"the bill in {table}"):
            for row in answer:
                if row["summed"] == "0":
                    self._charge(table, row, tags, ask.grain)
                elif row["currency"] is not None:
                    billed = add(_amount(row, "billed"), _amount(row, "promoted"))
                    self.totals.append(_total(ask, row["currency"], billed))
                else:
                    ended = True  # over all there is: also where that is nothing
        if not ended:
            raise BadData(f"the answer of {table} lacks its total")

    def _charge(self, table: str, row: Row, tags: tuple[str, ...], grain: Grain) -> None:
        account, holder = _text(row, "billing_account"), self.billed_by
        if holder.setdefault(account, table) != table:
            hint = "name one table for each billing account: standard, detailed and FOCUS tables hold the same bill"
            raise BadData(f"{table} and {holder[account]} both hold the bill of {account}", hint=hint)
        if row["account_name"]:
            self.names[_text(row, "account")] = row["account_name"]
        self._rate(row)
        if _text(row, "kind") not in _CATEGORIES:
            self.strangers.add(_text(row, "kind"))
        for charge in _charges(row, tags, grain):
            amounts = (charge.billed, charge.effective, charge.list, charge.contracted)
            self.rounded += sum(1 for amount in amounts if amount is not None and _places(amount) > PLACES)
            self.rows.append(charge)

    def _rate(self, row: Row) -> None:
        """`cost` divided by `currency_conversion_rate` is the cost in US dollars (Google, "Standard data export")."""
        month, rate, currency = _text(row, "month"), _known(row, "per_dollar"), _text(row, "currency")
        if month and rate and rate > 0 and currency != "USD":
            told = _instant(_text(row, "start")), Month(int(month[:4]), int(month[4:])), rate
            self.per_dollar[currency] = max(told, self.per_dollar.get(currency, told))

    @property
    def rates(self) -> dict[str, BilledRate]:
        """What each currency was worth on its newest day."""
        return {
            currency: BilledRate.implied(month, Decimal(1), rate)
            for currency, (_, month, rate) in self.per_dollar.items()
        }

    def notes(self) -> Iterator[Note]:
        """What no number shows."""
        if self.strangers:
            words = ", ".join(map(repr, sorted(self.strangers)))
            yield Note("unknown_charge_category", f"cost_type {words} is kept as Adjustment")


def _charges(row: Row, tags: tuple[str, ...], grain: Grain) -> Iterator[CostRow]:
    """The charge that a row is, net of discounts, and the promotional credits on it."""
    start = _instant(_text(row, "start"))
    month = _text(row, "month")
    charge = CostRow(
        start=start,
        end=start + (HOUR if grain is Grain.HOUR else DAY),
        account=_text(row, "account"),
        service=_text(row, "service"),
        region=_text(row, "region"),
        billed=_amount(row, "billed"),
        currency=_text(row, "currency"),
        effective=_known(row, "effective"),
        list=_known(row, "at_list"),
        contracted=_known(row, "contracted"),
        category=_CATEGORIES.get(_text(row, "kind"), ChargeCategory.ADJUSTMENT),
        billing_month=Month(int(month[:4]), int(month[4:])) if month else None,
        billing_account=_text(row, "billing_account"),
        charge_class="Correction" if row["correction"] == "true" else "",
        tags={key: value for n, key in enumerate(tags) if (value := row[f"tag_{n}"])},
    )
    yield charge
    if promoted := _amount(row, "promoted"):
        yield replace(
            charge, category=ChargeCategory.CREDIT, billed=promoted, effective=None, list=None, contracted=None
        )


def _total(ask: Ask, currency: str, billed: Decimal) -> CostRow:
    return CostRow(start=ask.window.start, account="", service="", region="", billed=billed, currency=currency)


def _text(row: Row, column: str) -> str:
    text = row[column]
    if text is None:
        raise ValueError(f"{column} is empty")
    return text


def _amount(row: Row, column: str) -> Decimal:
    return Decimal(_text(row, column))


def _known(row: Row, column: str) -> Decimal | None:
    return None if row[column] is None else _amount(row, column)


def _places(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _instant(micros: str | None) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros or ""))


def _kind(export: Export) -> str:
    if export.focus:
        return "focus"
    return "detailed" if "resource.name" in export.fields else "standard"


def _route(table: str) -> str:
    """The billing account that Google writes behind a table's name; empty for a view with a name of its own."""
    found = _ACCOUNT.search(table)
    return "-".join(found.groups()) if found else ""


def _routes(options: GcpOptions) -> tuple[str, ...]:
    return tuple(f"gcp:{route}" for table in options.tables if (route := _route(table)))


def _calls(options: GcpOptions, ask: Ask) -> tuple[Call, ...]:  # noqa: ARG001  the bytes are not known before asking
    """Paid for is one query for each table, at least ten mebibytes; what it really reads, the first poll tells."""
    times = len(options.tables)
    charge, billed = price(0, options.usd_per_tib)
    query = Call(operation="jobs.insert", times=times, charge=charge, units={"bytes": Decimal(billed)}, paged=False)
    free = (
        Call(operation=name, times=times, paged=name == "tabledata.list")
        for name in ("tables.get", "jobs.dryRun", "tabledata.list")
    )
    return (query, *free)


def _policy(options: GcpOptions) -> str:
    """Two roles as gcloud commands: to run queries in the project that pays, and to read the export's datasets."""
    pays = options.project or options.tables[0].split(".")[0]
    member = f"serviceAccount:{options.impersonate or 'ACCOUNT@PROJECT.iam.gserviceaccount.com'}"
    lines = [f"gcloud projects add-iam-policy-binding {pays} --member={member} --role=roles/bigquery.jobUser"]
    for dataset in dict.fromkeys(table.rpartition(".")[0] for table in options.tables):
        project, _, name = dataset.rpartition(".")
        grant = f'GRANT `roles/bigquery.dataViewer` ON SCHEMA `{project}.{name}` TO "{member}"'
        lines.append(f"bq query --use_legacy_sql=false --project_id={pays} '{grant}'")
    return "\n".join(lines)


SPEC = ProviderSpec(
    name="gcp",
    options=GcpOptions,
    connect=Gcp,
    # Google promises nothing: most usage is there within a day, some services report later.
    settles_after=timedelta(hours=72),
    poll_every=6 * HOUR,  # the export loads several times a day
    permissions=(JOB, READ, DESCRIBE),
    label="gcp",
    grains=frozenset({Grain.DAY, Grain.HOUR}),
    calls=_calls,
    routes=_routes,
    policy=_policy,
)
