"""AWS Cost Explorer: the bill of a payer account and its members, for a cent a page.

Facts: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html. Fourteen months are
kept, fourteen days of hours; `End` is excluded; amounts are texts of up to ten decimals; days are UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from exporter.clock import Clock
from exporter.costs import Ask, Bill, ChargeCategory, CostTable, Note, Scope
from exporter.errors import AccessDenied, NotReady, SourceError
from exporter.periods import ALWAYS, DAY, Grain, Month, Window, day_of, midnight
from exporter.providers import Access, Call, Meter, ProviderSpec
from exporter.providers.aws_answers import Answers, next_page
from exporter.providers.aws_plan import METRICS, Plan, Question, extra
from exporter.providers.aws_session import AccountId, AwsOptions, AwsSession, openings
from exporter.providers.aws_words import category
from exporter.providers.rest import pages, reading

PAGE_PRICE = Decimal("0.01")
"""USD a page. Calls that end in an error are free (https://aws.amazon.com/aws-cost-management/pricing/)."""
MONTHS_KEPT = 14
HOURLY_DAYS = 14

_ASK = "ce:GetCostAndUsage"
_WHO = "sts:GetCallerIdentity"
_NAMES = "organizations:ListAccounts"


def _apart(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names one twice")
    return values


class AwsCostExplorerOptions(AwsOptions):
    """Options of `aws_cost_explorer`."""

    accounts: Literal["each"] | Annotated[tuple[AccountId, ...], Field(min_length=1), AfterValidator(_apart)] | None = (
        None
    )
    """each: join every account with service and region, for one question more per account. A list: the same for these
    accounts alone. Unless said, usage bears the payer's account, and accounts are known by charge category."""
    accounts_expected: int = Field(default=10, ge=1)
    """How many accounts `cloudspend plan` reckons with where accounts is `each`; asking counts for itself."""
    dimensions: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^(usage_type|cost_category:.+)$")], ...], Field(max_length=1)
    ] = ()
    """One more label, kept like a tag: usage_type, or cost_category:NAME. Takes the place of region, as tags do."""
    regions: Annotated[tuple[str, ...], AfterValidator(_apart)] = ()
    """Regions to keep apart beside tags or dimensions: one question more each, and all others together are `other`."""
    organizations: bool = False
    """Whether to ask Organizations for the names of all accounts; free."""
    payer: AccountId | None = None
    """The payer account. Found out by asking sts unless said; told by role_arn."""
    endpoint_url: str | None = None
    """Where Cost Explorer is, if not at its usual address."""
    organizations_endpoint_url: str | None = None
    """Where Organizations is, if not at its usual address."""


class AwsCostExplorer:
    """The provider."""

    def __init__(self, options: AwsCostExplorerOptions, meter: Meter, clock: Clock | None = None) -> None:
        self._options = options
        self._meter = meter
        self._clock = clock

    def fetch(self, ask: Ask) -> Bill:
        """Every charge of the window, as far back as Cost Explorer keeps it; and which months are not final."""
        plan, grain = _plan(self._options, ask), ask.grain
        kept, notes = self._kept(ask)
        asked = kept and kept.meet(Window(ALWAYS.start, midnight(day_of(self._now()) + DAY)))
        if asked is None:  # all of it lies ahead, or so far back that nobody knows
            return Bill(CostTable.nothing(), covered=(Scope(kept),) if kept else (), notes=notes)
        with AwsSession(self._options, self._meter) as aws:
            payer = _payer(self._options) or str(aws.identity()["Account"])
            answers = Answers()
            answers.read(plan.everything(), self._pages(aws, plan.everything(), asked, grain))
            seen = {account for account, kind in answers.kinds() if category(kind) is ChargeCategory.USAGE}
            for each in plan.usage(seen):
                answers.read(each, self._pages(aws, each, asked, grain))
            names, unnamed = self._names(aws, answers.names) if grain is Grain.DAY else ({}, ())
        bases = answers.bases()
        with reading("the bill"):
            totals = answers.by_account(payer, bases)
            return Bill(
                costs=answers.costs(payer, bases),
                covered=(Scope(Window(asked.start, ask.window.end)),),
                by_account=None if plan.each else totals,
                totals=totals,
                open_months=answers.open_months(),
                accounts=names,
                notes=(*notes, bases.note(), *answers.strange(), *unnamed),
            )

    def access(self) -> Access:
        """Who asks, and the last days: one page, paid."""
        today = midnight(day_of(self._now()))
        request = {
            "TimePeriod": {"Start": f"{today - 6 * DAY:%Y-%m-%d}", "End": f"{today + DAY:%Y-%m-%d}"},
            "Granularity": "DAILY",
            "Metrics": list(METRICS),
        }
        calls, missing = [*openings(self._options), _WHO, _ASK], []
        with AwsSession(self._options, self._meter) as aws:
            identity = aws.identity()
            body = self._page(aws, request)
            if self._options.organizations:
                calls.append(_NAMES)
                try:
                    self._listed(aws)
                except SourceError:
                    missing.append(_NAMES)
            found = aws.found
        with reading("the last days"):
            answer = json.loads(body)
            billed = [day for day in answer["ResultsByTime"] if Decimal(day["Total"]["UnblendedCost"]["Amount"])]
            newest = max((date.fromisoformat(day["TimePeriod"]["Start"]) for day in billed), default=None)
        return Access(
            credentials=found,
            identity=str(identity["Arn"]),
            calls=tuple(calls),
            newest=newest,
            missing=tuple(missing),
            shape=_shape(answer),
        )

    def _now(self) -> datetime:
        return (self._clock or Clock.from_environment(may_freeze=True)).now()

    def _kept(self, ask: Ask) -> tuple[Window | None, tuple[Note, ...]]:
        """The part of the window that Cost Explorer still knows."""
        now = self._now()
        since = Month.containing(now).back(MONTHS_KEPT - 1).window().start
        words = f"the last {MONTHS_KEPT} months"
        if ask.grain is Grain.HOUR:
            since, words = midnight(day_of(now)) - HOURLY_DAYS * DAY, f"hours of the last {HOURLY_DAYS} days"
        if ask.window.start >= since:
            return ask.window, ()
        note = Note("history", f"Cost Explorer keeps {words}: nothing before {since:%Y-%m-%d} was asked for.")
        return ask.window.meet(Window(since, max(since, ask.window.end))), (note,)

    def _pages(self, aws: AwsSession, question: Question, window: Window, grain: Grain) -> Iterator[bytes]:
        """The bodies of all pages."""
        first = question.request(window, grain)

        def read(token: str) -> bytes:
            return self._page(aws, {**first, "NextPageToken": token} if token else first, grain)

        return pages(read, "", next_page)

    def _page(self, aws: AwsSession, request: Mapping[str, Any], grain: Grain = Grain.DAY) -> bytes:
        """The body of a page, as it came."""

        def fetch() -> bytes:
            where, needs = self._options.endpoint_url, ("ResultsByTime",)
            return aws.body("ce", "GetCostAndUsage", request, needs=needs, charge=PAGE_PRICE, endpoint=where)

        try:
            return self._meter.page({"operation": _ASK, **request}, fetch)
        except (AccessDenied, NotReady) as error:
            raise _without_hours(error) if grain is Grain.HOUR else error from None

    def _names(self, aws: AwsSession, named: Mapping[str, str]) -> tuple[dict[str, str], tuple[Note, ...]]:
        """Account names, and a note where Organizations would not tell them."""
        if not self._options.organizations:
            return dict(named), ()
        try:
            return {**named, **self._listed(aws)}, ()
        except SourceError as error:
            return dict(named), (Note("organizations", f"Organizations did not name the accounts: {error}"),)

    def _listed(self, aws: AwsSession) -> dict[str, str]:
        where = self._options.organizations_endpoint_url

        def read(token: str) -> dict[str, Any]:
            request = {"NextToken": token} if token else {}
            return aws.call("organizations", "ListAccounts", request, needs=("Accounts",), endpoint=where)

        with reading("the list of accounts"):
            found = pages(read, "", lambda page: page.get("NextToken"))
            return {account["Id"]: account["Name"] for page in found for account in page["Accounts"]}


def _without_hours(error: SourceError) -> SourceError:
    """The same refusal, where hours were asked for."""
    hint = (
        "hours must be switched on in the payer account (Billing and Cost Management, Cost Management preferences), and"
        f" cost extra; or set `hours: false`. {error.hint or ''}"
    )
    return type(error)(f"Cost Explorer gave no hours: {error.message}", hint=hint.strip())


def _shape(value: object) -> Any:
    """Keys and types of an answer, without a value of it."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(value[0]), f"{len(value)} in all"] if value else []
    return type(value).__name__


def _payer(options: AwsCostExplorerOptions) -> str | None:
    return options.payer or options.role_account


def _plan(options: AwsCostExplorerOptions, ask: Ask) -> Plan:
    """BadData where more labels are wanted than there are."""
    listed = options.accounts if isinstance(options.accounts, tuple) else None
    return Plan(listed, options.accounts is not None, extra(ask.tags, options.dimensions), options.regions)


def _calls(options: AwsCostExplorerOptions, ask: Ask) -> tuple[Call, ...]:
    questions = _plan(options, ask).count(options.accounts_expected)
    free = [*openings(options), *(() if _payer(options) else (_WHO,))]
    listed = options.organizations and ask.grain is Grain.DAY
    return (
        *(Call(operation=operation, paged=False) for operation in free),
        Call(operation=_ASK, times=questions, charge=PAGE_PRICE),
        *((Call(operation=_NAMES),) if listed else ()),
    )


def _routes(options: AwsCostExplorerOptions) -> tuple[str, ...]:
    payer = _payer(options)
    return (f"aws:{payer}",) if payer else ()


def _policy(options: AwsCostExplorerOptions) -> str:
    """An IAM policy for whoever reads the bill: the user, or the role. GetCallerIdentity needs no permission."""
    actions = [_ASK, *([_NAMES] if options.organizations else [])]
    statement = {"Sid": "ReadTheBill", "Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


SPEC = ProviderSpec(
    "aws_cost_explorer",
    AwsCostExplorerOptions,
    AwsCostExplorer,
    # Cost Explorer refreshes at least once a day, and says nothing of how long a day moves.
    settles_after=timedelta(hours=48),
    poll_every=timedelta(hours=8),
    permissions=(_ASK,),
    label="aws",
    history=timedelta(days=425),
    grains=frozenset({Grain.DAY, Grain.HOUR}),
    calls=_calls,
    routes=_routes,
    policy=_policy,
)
