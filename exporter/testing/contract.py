"""What every provider must do, as tests to inherit: `BillContract` for any provider, `ProviderContract` for HTTP ones.

Subclass, fill in the class attributes, and pytest runs the rest. Labels may stay empty: the normaliser turns "" into
`unknown`, `global` or `none`. `source` and `provider` stay empty too; the poller stamps them.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from exporter.costs import Ask, Bill, CostLine
from exporter.costs.money import LIMIT
from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.periods import Window
from exporter.providers import NO_UNITS, Options, Provider, ProviderSpec, rest
from exporter.testing.billing_server import BillingServer

_LABELS = ("provider", "billing_account", "account", "service", "region", "charge_category", "billing_month", "day")
_COSTS = ("billed", "effective", "list", "contracted")
_MOST_TRIES = 10
_SOUNDS_SECRET = re.compile(r"(token|secret|password|passphrase|credential|api_?key|private_?key)$")


class CountingMeter:
    """Counts requests; past `cap` it refuses them, as the money cap does."""

    def __init__(self, cap: int | None = None) -> None:
        self.operations: list[str] = []
        self.cap = cap

    def request(
        self,
        operation: str,
        charge: Decimal = Decimal(0),
        currency: str = "USD",
        units: Mapping[str, Decimal] = NO_UNITS,
    ) -> None:
        """Count one request. Throttled past the cap."""
        assert charge >= 0
        assert all(amount >= 0 for amount in units.values())
        assert len(currency) == 3
        if self.cap is not None and len(self.operations) >= self.cap:
            raise Throttled("the cap of this meter is reached")
        self.operations.append(operation)

    def affords(self, operation: str) -> bool:  # noqa: ARG002
        """Always, below the cap."""
        return self.cap is None or len(self.operations) < self.cap

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """Ask; this meter keeps no pages. The request must be JSON, as the real one makes a key of it."""
        json.dumps(request)
        return fetch()


@dataclass
class Subject:
    """The provider under test: how it is made, and what to ask it."""

    spec: ProviderSpec[Any]
    options: Options
    windows: Mapping[str, Window]
    """`whole`, and its halves `first` and `second`."""
    announce: Callable[[str], None] | None = None
    """Called with the part that is asked next, before it is."""
    meter: CountingMeter = field(default_factory=CountingMeter)

    @classmethod
    def asked(
        cls, spec: ProviderSpec[Any], options: Mapping[str, object], first: date, split: date, until: date
    ) -> Subject:
        """From plain values: the options as a configuration has them, and days from `first` to `until`, excluded."""
        days = {"whole": (first, until), "first": (first, split), "second": (split, until)}
        windows = {part: Window.of_days(*edges) for part, edges in days.items()}
        return cls(spec, spec.options.model_validate(dict(options)), windows)

    def connect(self) -> Provider:
        """A new provider."""
        return self.spec.connect(self.options, self.meter)

    def fetch(self, part: str = "whole") -> Bill:
        """What a new provider answers."""
        if self.announce:
            self.announce(part)
        return self.ask(part)

    def ask(self, part: str = "whole", provider: Provider | None = None) -> Bill:
        """The same without an announcement, which would end the trouble that a test has made."""
        return (provider or self.connect()).fetch(Ask(self.windows[part]))


class BillContract:
    """What a bill must be, wherever it comes from. `window` and `split` are days that the source has charges on."""

    spec: ClassVar[ProviderSpec[Any]]
    options: ClassVar[Mapping[str, object]] = {}
    window: ClassVar[tuple[date, date]]
    """First day, included, to last, excluded."""
    split: ClassVar[date]
    """Where the second half begins."""

    @pytest.fixture
    def subject(self) -> Subject:
        """Override it where class attributes do not say enough."""
        first, until = self.window
        return Subject.asked(self.spec, self.options, first, self.split, until)

    def test_the_window_asked_has_charges(self, subject: Subject) -> None:
        """Also on the day where its halves meet; else nothing below would show anything."""
        days = {line.key[-1] for line in _lines(subject.fetch())}
        assert f"{subject.windows['second'].start:%Y-%m-%d}" in days

    def test_rows_lie_in_the_window_asked_and_inside_what_the_bill_covers(self, subject: Subject) -> None:
        """Replacing touches what is covered: a row beside it would be stored twice at the next poll."""
        bill = subject.fetch()
        for instant, account in bill.costs.select("ChargePeriodStart", "SubAccountId"):
            start = instant.replace(tzinfo=UTC)
            assert start in subject.windows["whole"]
            covering = [scope for scope in bill.covered if start in scope.window]
            assert any(scope.accounts is None or account in scope.accounts for scope in covering), (start, account)

    def test_two_half_windows_are_the_whole(self, subject: Subject) -> None:
        """Windows are half open: a day at the seam is in one half only."""
        halves = _lines(subject.fetch("first")) + _lines(subject.fetch("second"))
        assert sorted(halves) == sorted(_lines(subject.fetch("whole")))

    def test_asking_twice_gives_the_same_bill(self, subject: Subject) -> None:
        """Repeated back-fills change nothing."""
        one, two = subject.fetch(), subject.fetch()
        assert (_lines(one), one.covered, one.estimated) == (_lines(two), two.covered, two.estimated)

    def test_one_connection_may_be_asked_again(self, subject: Subject) -> None:
        """A provider keeps nothing of an earlier answer."""
        provider = subject.connect()
        assert _lines(subject.ask("whole", provider)) == _lines(subject.ask("whole", provider))

    def test_the_providers_own_totals_are_the_sum_of_its_rows(self, subject: Subject) -> None:
        """Where it has totals: a lost page would show as money."""
        bill = subject.fetch()
        if bill.totals is not None:
            assert _sums(bill.totals.by().rows()) == _sums(bill.costs.by().rows())

    def test_a_currency_is_three_capitals_or_the_name_of_a_virtual_one(self, subject: Subject) -> None:
        """`EUR`; or a word of four letters and more, such as `Credits`."""
        currencies = {line.currency for line in _lines(subject.fetch())}
        assert [name for name in currencies if not re.fullmatch(r"[A-Z]{3}|\w[\w -]{2,}\w", name)] == []

    def test_an_amount_is_exact_and_in_the_stored_range(self, subject: Subject) -> None:
        """Decimal, never float; less than 10^14."""
        for amounts in subject.fetch().costs.select("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
            for amount in amounts:
                assert amount is None or (isinstance(amount, Decimal) and abs(amount) < LIMIT)

    def test_estimated_days_lie_in_the_window_asked(self, subject: Subject) -> None:
        """A flag for a day that nobody asked for would unsettle a settled one."""
        assert subject.fetch().estimated <= set(subject.windows["whole"].days())

    def test_the_spec_has_sane_data(self, subject: Subject) -> None:
        """Names are slugs, intervals are polite."""
        spec = subject.spec
        assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
        assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", spec.label)
        assert issubclass(spec.options, Options)
        assert spec.poll_every >= timedelta(minutes=1)
        assert spec.settles_after >= timedelta(0)
        assert spec.history is None or spec.history > timedelta(0)
        assert spec.grains
        assert spec.grains <= {"day", "hour"}
        assert all(isinstance(permission, str) and permission for permission in spec.permissions)

    def test_an_unknown_option_is_refused(self, subject: Subject) -> None:
        """A typing error in the configuration is found before anything starts."""
        with pytest.raises(ValidationError) as caught:
            subject.spec.options.model_validate({"no_such_option": 1})
        assert ("no_such_option",) in [error["loc"] for error in caught.value.errors()]

    def test_options_that_sound_secret_are_secrets(self, subject: Subject) -> None:
        """`SecretStr` masks itself; a `str` goes wherever it is printed."""
        sounding = {name for name in type(subject.options).model_fields if _SOUNDS_SECRET.search(name)}
        assert {name for name in sounding if isinstance(getattr(subject.options, name), str)} == set()

    def test_no_secret_is_in_a_repr(self, subject: Subject) -> None:
        """They end up in logs and tracebacks."""
        _assert_silent(subject.options, f"{subject.options!r} {subject.options} {subject.connect()!r} {subject.spec!r}")


class ProviderContract(BillContract):
    """What a provider that speaks HTTP must do besides, shown on recorded pages.

    `recorded` is a folder as `BillingServer` plays it, with the conversations `whole`, `first`, `second` and `empty`,
    and an `expected.json`: the windows they ask for and the totals of `whole`, added by hand.
    """

    recorded: ClassVar[Path]
    url_option: ClassVar[str] = "url"
    """The option that takes the address of the server."""
    not_a_bill: ClassVar[tuple[str, ...]] = (
        "<html>please log in; you sent {echo}</html>",
        "",
        "null",
        "[3]",
        '"maintenance"',
        "{}",
        '{"error": "you sent {echo}"}',
    )
    """Answers with status 200 that cannot be a page. Leave one out only where the API documents it as a page."""

    @pytest.fixture
    def server(self) -> Iterator[BillingServer]:
        """The billing API."""
        with BillingServer(self.recorded) as server:
            server.play("whole")
            yield server

    @pytest.fixture(autouse=True)
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Seconds that the provider waited; nobody sleeps. Override it for a provider that does without rest.py."""
        waits: list[float] = []
        monkeypatch.setattr(rest, "PATIENCE", rest.Patience(sleep=waits.append))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return waits

    @pytest.fixture
    def expected(self) -> Any:
        """`expected.json`, its numbers as they stand there."""
        return json.loads((self.recorded / "expected.json").read_text("utf-8"), parse_float=Decimal)

    @pytest.fixture
    def subject(self, server: BillingServer, expected: Any, caplog: pytest.LogCaptureFixture) -> Subject:
        """The provider, connected to the server."""
        caplog.set_level(logging.DEBUG)
        options = self.spec.options.model_validate({**self.options, self.url_option: server.url})
        windows = {part: Window.of_days(*map(date.fromisoformat, days)) for part, days in expected["windows"].items()}
        return Subject(self.spec, options, windows, announce=server.play)

    def test_all_pages_are_read_and_none_twice(self, subject: Subject, server: BillingServer) -> None:
        """A lost page is lost money, a second reading doubles it."""
        for part in ("whole", "first", "second", "empty"):
            subject.fetch(part)
            assert sorted(server.played) == sorted(server.pages(part))

    def test_the_sum_of_the_rows_is_the_recorded_total(self, subject: Subject, expected: Any) -> None:
        """To the last decimal."""
        costs = subject.fetch().costs
        groups: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Decimal]]] = {}
        for total in expected["totals"]:
            labels = tuple(sorted(total.keys() - set(_COSTS)))
            amounts = {cost: Decimal(total[cost]) for cost in _COSTS if cost in total}
            groups.setdefault(labels, {})[tuple(total[label] for label in labels)] = amounts
        assert groups
        for labels, totals in groups.items():
            rows = {line.key: line for line in costs.by(*labels).rows()}
            assert rows.keys() == totals.keys()
            for key, amounts in totals.items():
                assert {cost: getattr(rows[key], cost) for cost in amounts} == amounts

    def test_an_empty_answer_is_covered_without_rows(self, subject: Subject) -> None:
        """A complete answer without charges replaces what was there; one that covers nothing would leave it."""
        bill = subject.fetch("empty")
        assert _lines(bill) == []
        assert any(scope.window.covers(subject.windows["empty"]) for scope in bill.covered)

    def test_connecting_opens_nothing(self, subject: Subject, server: BillingServer) -> None:
        """A configuration is checked without a call."""
        subject.connect()
        assert server.requests == []

    def test_every_request_is_metered(self, subject: Subject, server: BillingServer) -> None:
        """Also those that are made again."""
        server.throttle(times=1)
        subject.ask()
        assert len(subject.meter.operations) == len(server.requests) > len(server.pages("whole"))

    def test_a_request_past_the_cap_is_not_made(self, subject: Subject, server: BillingServer) -> None:
        """The meter's refusal comes out as it is."""
        subject.meter.cap = 1
        with pytest.raises(Throttled, match="the cap of this meter"):
            subject.ask()
        assert len(server.requests) == 1

    def test_passing_throttling_is_waited_for(
        self, subject: Subject, server: BillingServer, waits: list[float]
    ) -> None:
        """Retry-After is the least it waits."""
        whole = _lines(subject.fetch())
        server.play("whole")
        server.throttle(times=2, retry_after=3)
        assert _lines(subject.ask()) == whole
        assert len(waits) == 2
        assert min(waits) >= 3

    def test_lasting_throttling_is_reported_as_such(
        self, subject: Subject, server: BillingServer, waits: list[float]
    ) -> None:
        """After a few tries, each later than the last."""
        server.throttle()
        with pytest.raises(Throttled):
            subject.ask()
        assert 1 < len(server.requests) <= _MOST_TRIES
        assert waits == sorted(waits)

    def test_a_long_rest_is_left_to_the_poller(
        self, subject: Subject, server: BillingServer, waits: list[float]
    ) -> None:
        """The worker does not sleep for hours; the poller comes back when it may."""
        server.throttle(retry_after=7200)
        with pytest.raises(Throttled) as caught:
            subject.ask()
        assert caught.value.retry_after == timedelta(hours=2)
        assert sum(waits) < 7200

    @pytest.mark.parametrize("status", [401, 403])
    def test_denial_names_the_missing_permission(self, subject: Subject, server: BillingServer, status: int) -> None:
        """The hint is for the person who can grant it."""
        server.deny(status)
        with pytest.raises(AccessDenied) as caught:
            subject.ask()
        assert any(permission in (caught.value.hint or "") for permission in subject.spec.permissions)
        assert len(server.requests) == 1, "asking again does not help, and may lock the account"

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_fault_of_the_server_is_unavailable(self, subject: Subject, server: BillingServer, status: int) -> None:
        """After a few tries."""
        server.fail(status)
        with pytest.raises(Unavailable):
            subject.ask()
        assert len(server.requests) <= _MOST_TRIES

    def test_a_server_that_is_not_there_is_unavailable(self, subject: Subject, server: BillingServer) -> None:
        """The connection is refused."""
        server.stop()
        with pytest.raises(Unavailable):
            subject.ask()

    @pytest.mark.parametrize("announced", [True, False])
    def test_a_body_cut_off_is_bad_data(self, subject: Subject, server: BillingServer, *, announced: bool) -> None:
        """Whether or not its length was announced."""
        server.cut_off(announced=announced)
        with pytest.raises(BadData):
            subject.ask()

    def test_what_is_not_a_bill_is_bad_data(self, subject: Subject, server: BillingServer) -> None:
        """Never an empty bill, which would wipe what is stored."""
        for words in self.not_a_bill:
            server.play("whole")
            server.say(words)
            with pytest.raises(BadData):
                pytest.fail(f"{words!r} became {subject.ask()}")

    def test_a_failing_page_means_no_bill(self, subject: Subject, server: BillingServer) -> None:
        """Whichever page it is: nothing partial escapes."""
        for after in range(len(server.pages("whole"))):
            for trouble in (server.fail, server.cut_off):
                server.play("whole")
                trouble(after=after)
                with pytest.raises(SourceError):
                    pytest.fail(f"page {after + 1} failed, and yet there is {subject.ask()}")

    def test_no_secret_is_in_an_error_or_in_the_log(
        self, subject: Subject, server: BillingServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Even where the server quotes what it was sent."""
        troubles: list[Callable[[], None]] = [server.throttle, server.deny, server.fail, server.cut_off, server.stop]
        troubles[:0] = [lambda words=words: server.say(words) for words in self.not_a_bill]  # type: ignore[misc]
        said = []
        for trouble in troubles:
            server.play("whole")
            trouble()
            with pytest.raises(SourceError) as caught:
                subject.ask()
            error = caught.value
            said += [repr(error), str(error), error.message, error.hint or "", *traceback.format_exception(error)]
        _assert_silent(subject.options, "\n".join([*said, caplog.text]))


def _lines(bill: Bill) -> list[CostLine]:
    return bill.costs.by(*_LABELS).rows()


def _sums(lines: list[CostLine]) -> dict[str, Decimal]:
    return {line.currency: line.billed for line in lines}


def _secrets(options: BaseModel) -> Iterator[str]:
    for _, value in options:
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value)


def _assert_silent(options: BaseModel, said: str) -> None:
    found = [line for line in said.splitlines() for secret in _secrets(options) if secret in line]
    assert found == []
