"""Azure, through the query API of Cost Management: subscriptions, resource groups, management groups, billing accounts.

    azure_scopes   scopes, routes, the role      azure_client   credentials, quotas, failures
    azure_query    questions and answers         azure_tally    from lines to rows

A query groups by two dimensions at most, so a scope takes two: charge type × subscription over everything (the
overview), and service × location over what is usage (the details). Charges that are not usage come from the overview,
as do the totals; so a lost page of details shows as money. Both are asked of the invoice (ActualCost) and, unless
told otherwise, of the bill with commitments spread over their use (AmortizedCost).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field, field_validator

from exporter.clock import Clock
from exporter.costs import NONE, UNKNOWN, Ask, Bill, ChargeCategory, Note, Scope
from exporter.costs.money import PLACES, stored
from exporter.errors import BadData, SourceError
from exporter.periods import DAY, HOUR, Window
from exporter.providers import Access, Call, Meter, ProviderSpec
from exporter.providers import azure_scopes as scopes_
from exporter.providers.azure_client import OPERATION, PERMISSION, Asking, AzureLogin, asking
from exporter.providers.azure_query import (
    CHARGE_TYPE,
    DIMENSIONS,
    LOCATION,
    SERVICE,
    SUBSCRIPTION,
    SUBSCRIPTION_NAME,
    USAGE_LIKE,
    ChargeType,
    Cut,
    Dataset,
    Line,
    Question,
    charge_type,
    days_of,
    oldest_kept,
    pieces,
    spelled,
)
from exporter.providers.azure_scopes import ROLE, BillingScope
from exporter.providers.azure_tally import OTHER, Key, Tally
from exporter.providers.rest import reading

_OVERVIEW = (CHARGE_TYPE, SUBSCRIPTION)
_USAGE = ChargeType(ChargeCategory.USAGE)
_STRANGE = ChargeType(ChargeCategory.ADJUSTMENT)


class AzureOptions(AzureLogin):
    """What a source with `provider: azure` may say."""

    scopes: tuple[str, ...] = Field(
        min_length=1,
        description="What to bill: subscription ids, or paths of subscriptions, resource groups, management groups,"
        " billing accounts and their parts.",
    )
    amortized: bool = Field(
        default=True, description="Ask for amortised costs too; half the queries without them, and no effective cost."
    )
    accounts: Literal["joint", "each"] = Field(
        default="joint",
        description="`each` asks for services and regions subscription by subscription where a scope has many.",
    )
    accounts_expected: int = Field(
        default=1, ge=1, description="How many subscriptions of a scope `cloudspend plan` reckons with, for `each`."
    )
    names: bool = Field(default=True, description="Ask for the names of subscriptions: one small query a scope.")
    dimensions: tuple[Literal["resource_group", "meter_category", "meter_subcategory", "resource_type"], ...] = Field(
        default=(), max_length=1, description="One more dimension, kept as a tag of that name instead of the region."
    )
    regions: tuple[str, ...] = Field(
        default=(), description="Regions to keep apart where a tag or dimension takes the place of the region."
    )

    @field_validator("scopes")
    @classmethod
    def _apart(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(scope.path for scope in scopes_.parsed(scopes))

    @field_validator("regions")
    @classmethod
    def _once(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        seen: dict[str, str] = {}
        for region in regions:
            same = seen.setdefault(region.lower().replace(" ", ""), region)
            if same is not region:
                raise ValueError(f"{region!r} and {same!r} are one region, and its charges would count twice")
        return regions

    @property
    def billing_scopes(self) -> tuple[BillingScope, ...]:
        """The scopes, read."""
        return scopes_.parsed(self.scopes)

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """What is asked for: the invoice, and perhaps the amortised bill."""
        return tuple(Dataset) if self.amortized else (Dataset.ACTUAL,)

    def third(self, tags: tuple[str, ...]) -> tuple[str, Cut] | None:
        """Name and cut of what is grouped by instead of the region. BadData for more than one."""
        cuts = [*((tag, Cut(tag, tag=True)) for tag in tags), *((name, DIMENSIONS[name]) for name in self.dimensions)]
        if len(cuts) > 1:
            names = ", ".join(name for name, _ in cuts)
            hint = "keep one of `tags` and `dimensions`; a cost export (azure_export) has all of them"
            raise BadData(f"Azure groups by two dimensions at most, service and one of {names}", hint=hint)
        return cuts[0] if cuts else None


class _Reading:
    """One answer to one `Ask`, while it grows."""

    def __init__(self, options: AzureOptions, asking: Asking, third: tuple[str, Cut] | None) -> None:
        self.options, self.asking = options, asking
        self.tag, self.cut = third or ("", LOCATION)
        self.joint = third is None
        self.costs, self.overview = Tally(), Tally()
        self.holders: dict[str, BillingScope] = {}
        """Subscription → the scope that was seen to hold it first."""
        self.names: dict[str, str] = {}
        self.nameless: list[str] = []
        self.empty: list[str] = []
        self.strange: set[str] = set()
        self.rounded = 0

    def scope(self, scope: BillingScope, window: Window) -> None:
        """Read all that one scope was charged in the window."""
        some = False
        for piece in pieces(window):
            for dataset in self.options.datasets:
                lines = self.asking.lines(Question(scope.path, dataset, piece, _OVERVIEW))
                some = some or bool(lines)
                # Also where there are none: details without an overview show that it was lost.
                self._take_details(scope, dataset, piece, self._take_overview(scope, dataset, lines))
        if not some:
            self.empty.append(scope.path)

    def _take_overview(self, scope: BillingScope, dataset: Dataset, lines: list[Line]) -> list[str]:
        """Take every charge for the totals, and those that the details do not hold. Subscriptions that have usage."""
        each = scope.wide and self.options.accounts == "each"
        accounts = set()
        for line in lines:
            word, account = line.words
            kind = charge_type(word)
            if kind is None:
                self.strange.add(word)
            self._hold(scope, account.lower())
            key = self._key(scope, line, NONE, "", "", kind or _STRANGE, account)
            self.overview.add(key, dataset, stored(line.amount))
            detailed = kind is not None and kind.category is ChargeCategory.USAGE
            if detailed and account:
                accounts.add(account)
            if not detailed or (each and not account):  # no filter finds the charges of no subscription
                self.costs.add(key, dataset, self._amount(line))
        return sorted(accounts) if each else []

    def _hold(self, scope: BillingScope, account: str) -> None:
        """BadData where another scope has billed the subscription too: which ones a scope holds, only answers tell."""
        holder = self.holders.setdefault(account, scope) if account else scope
        if holder is not scope and not holder.apart(scope):
            hint = "leave one of them out of `scopes`: the subscription's charges would count twice"
            raise BadData(f"{holder} and {scope} both hold subscription {account}", hint=hint)

    def _take_details(self, scope: BillingScope, dataset: Dataset, piece: Window, accounts: list[str]) -> None:
        usage = (CHARGE_TYPE, USAGE_LIKE)
        each = scope.wide and self.options.accounts == "each"
        for account in accounts if each else [""]:
            filters = (usage, (SUBSCRIPTION, (account,))) if account else (usage,)
            question = Question(scope.path, dataset, piece, (SERVICE, self.cut), filters)
            if self.joint or not self.options.regions:
                self._take(scope, question, account)
                continue
            # No filter says "in none of these": what the listed regions have is taken off the whole.
            self._take(scope, question, account, region=OTHER)
            for region in self.options.regions:
                here = Question(scope.path, dataset, piece, question.cuts, (*filters, (LOCATION, spelled(region))))
                self._take(scope, here, account, region=region, off=OTHER)

    def _take(
        self, scope: BillingScope, question: Question, account: str, *, region: str = UNKNOWN, off: str = ""
    ) -> None:
        """Take an answer about usage; with `off`, the same amounts come off what that region has."""
        for line in self.asking.lines(question):
            service, value = line.words
            place, value = (value, "") if self.joint else (region, value)
            key = self._key(scope, line, service, place, value, _USAGE, account)
            amount = self._amount(line)
            self.costs.add(key, question.dataset, amount)
            if off:
                self.costs.add(key._replace(region=off), question.dataset, amount.copy_negate())

    def _key(
        self, scope: BillingScope, line: Line, service: str, region: str, value: str, kind: ChargeType, account: str
    ) -> Key:
        owner = account.lower() or scope.account
        return Key(line.day, owner, scope.billing_account, service, region, value, kind, line.currency)

    def _amount(self, line: Line) -> Decimal:
        """What is stored of an amount, which is counted where that is not all of it."""
        exponent = line.amount.as_tuple().exponent
        self.rounded += isinstance(exponent, int) and -exponent > PLACES
        return stored(line.amount)

    def name(self, scope: BillingScope, window: Window) -> None:
        """Learn how subscriptions are called. The bill is whole without."""
        question = Question(scope.path, Dataset.ACTUAL, _last_days(window), (SUBSCRIPTION, SUBSCRIPTION_NAME))
        try:
            self.names |= {
                id.lower(): name for id, name in (line.words for line in self.asking.lines(question)) if name
            }
        except SourceError as error:
            self.nameless.append(error.message)

    def bill(self, asked: Window, kept: Window | None) -> Bill:
        """The whole answer."""
        amortized = self.options.amortized
        overview = self.overview.table("", amortized=amortized)
        joint = self.options.accounts == "each" or not any(scope.wide for scope in self.options.billing_scopes)
        return Bill(
            costs=self.costs.table(self.tag, amortized=amortized),
            covered=(Scope(kept),) if kept else (),
            by_account=None if joint else overview,
            totals=overview,
            accounts=self.names,
            notes=tuple(self._notes(asked, kept)),
            rounded=self.rounded,
        )

    def _notes(self, asked: Window, kept: Window | None) -> Iterator[Note]:
        if kept is None or kept.start > asked.start:
            since = f"days before {kept.start:%Y-%m-%d} are" if kept else "all days asked for are"
            yield Note("history", f"Cost Management answers for 13 months and the current one: {since} left out")
        if self.empty:
            where = ", ".join(self.empty)
            why = "a sponsored subscription (quotaId Sponsored_2016-01-01) answers so: bill it with azure_sponsorship"
            yield Note("no_charges", f"{where} answered without a single charge; {why}")
        if self.nameless:
            yield Note("account_names", f"subscriptions are without names: {'; '.join(self.nameless)}")
        if self.strange:
            words = ", ".join(map(repr, sorted(self.strange)))
            yield Note("unknown_charge_type", f"{words} is kept as Adjustment")


class Azure:
    """Reads what its scopes were charged."""

    def __init__(self, options: AzureOptions, meter: Meter, clock: Clock | None = None) -> None:
        self.options, self.meter = options, meter
        self._clock = clock

    def fetch(self, ask: Ask) -> Bill:
        """Every charge of every scope, or a SourceError. One denied scope fails the source: a part is no bill."""
        third = self.options.third(ask.tags)
        answered = _answered(self._clock)
        # Days to come have no charges, and that is all there is to say about them: covered, and not asked for.
        kept = ask.window.meet(Window(answered.start, max(answered.end, ask.window.end)))
        shown = ask.window.meet(answered)
        with asking(self.options, self.meter) as azure, reading("Azure's costs"):
            answer = _Reading(self.options, azure, third)
            if shown:
                for scope in self.options.billing_scopes:
                    answer.scope(scope, days_of(shown))
                    if self.options.names:
                        answer.name(scope, days_of(shown))
            return answer.bill(ask.window, kept)

    def access(self) -> Access:
        """One query about the last days for each scope."""
        recent = _last_days(_answered(self._clock))
        newest: list[date] = []
        columns: dict[str, str] = {}
        with asking(self.options, self.meter) as azure, reading("Azure's costs"):
            for scope in self.options.billing_scopes:
                question = Question(scope.path, Dataset.ACTUAL, recent, _OVERVIEW)
                for page in azure.pages(question):
                    newest += (line.day for line in page.lines)
                    columns |= page.columns
        return Access(
            credentials=self.options.found,
            identity=self.options.identity,
            calls=(OPERATION,),
            newest=max(newest, default=None),
            shape={"columns": columns},
        )


def _last_days(window: Window) -> Window:
    return Window(max(window.start, window.end - 7 * DAY), window.end)


def _answered(clock: Clock | None) -> Window:
    """What Cost Management answers for today."""
    # A command that may not freeze the clock has already said so.
    return oldest_kept((clock or Clock.from_environment(may_freeze=True)).now())


def _calls(options: AzureOptions, ask: Ask) -> tuple[Call, ...]:
    """What `fetch` asks. A question takes one unit for each month it is about."""
    cuts = 1 + (len(options.regions) if options.third(ask.tags) else 0)
    shown = ask.window.meet(_answered(None))
    if shown is None:
        return ()
    each = options.accounts_expected if options.accounts == "each" else 1
    questions = sum(1 + cuts * (each if scope.wide else 1) for scope in options.billing_scopes)
    months = Counter(len(list(piece.months())) for piece in pieces(days_of(shown)))
    calls = tuple(
        Call(operation=OPERATION, times=questions * len(options.datasets) * n, units={"qpu": Decimal(qpu)})
        for qpu, n in months.items()
    )
    if not options.names:
        return calls
    qpu = Decimal(len(list(_last_days(days_of(shown)).months())))
    return (*calls, Call(operation=OPERATION, times=len(options.scopes), units={"qpu": qpu}, optional=True))


def _routes(options: AzureOptions) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope.route for scope in options.billing_scopes))


def _policy(options: AzureOptions) -> str:
    return scopes_.policy(options.billing_scopes, options.client_id or "<object id of the identity>")


SPEC = ProviderSpec(
    name="azure",
    options=AzureOptions,
    connect=Azure,
    # Usage shows up within 8 to 24 hours under an agreement, within 72 hours on pay-as-you-go:
    # https://learn.microsoft.com/azure/cost-management-billing/costs/understand-cost-mgt-data
    settles_after=timedelta(hours=72),
    # Refreshed every four hours; Microsoft asks to be called no more than that.
    poll_every=8 * HOUR,
    permissions=(PERMISSION, f"the role {ROLE}"),
    label="azure",
    recent_first=True,  # a year of months takes minutes of quota
    calls=_calls,
    routes=_routes,
    policy=_policy,
)
