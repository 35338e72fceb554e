"""What asking costs: requests counted and priced before they are made, pages kept before they are used."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from threading import local

from exporter.clock import Clock
from exporter.costs import Ask
from exporter.costs.money import MONEY, ZERO, text
from exporter.errors import Throttled
from exporter.periods import Month
from exporter.polling.budget import Purse, month_end
from exporter.polling.sources import Source
from exporter.providers import NO_UNITS
from exporter.store.spending import USD, Answer, Spent
from exporter.store.state import State

_log = logging.getLogger(__name__)


class Ledger:
    """The Meter of one source, over the state file. Counts and pages survive restarts and crashes of the poll."""

    def __init__(self, state: State, source: Source, clock: Clock) -> None:
        self._state = state
        self._source = source
        self._clock = clock
        self._asking = local()
        self._answers: dict[str, _Answered] = {}
        self._all_fresh = True
        self.charges: dict[str, Decimal] = {}
        """Currency → what this ledger's requests have cost."""
        self.requests = 0
        """How many were made."""

    def request(
        self,
        operation: str,
        charge: Decimal = Decimal(0),
        currency: str = USD,
        units: Mapping[str, Decimal] = NO_UNITS,
    ) -> None:
        """See `Meter.request`."""
        in_page = getattr(self._asking, "page", False)
        if in_page:
            self._take_back()
        month = Month.containing(self._clock.now())
        asked = Spent(self._source.name, month, operation, currency, 1, charge, dict(units))
        if not self._state.spend(asked, self._source.caps.own, self._source.caps.overall):
            raise self._refusal(asked)
        self.requests += 1
        if in_page:
            self._asking.owed = asked
        else:
            self._pay(asked)

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """See `Meter.page`."""
        if not self._source.cache:
            return self._paid(fetch)
        asked = json.dumps([self._source.name, self._source.fingerprint, request], sort_keys=True)
        key = hashlib.blake2b(asked.encode(), digest_size=20).hexdigest()
        kept = self._state.page(key, self._clock.now())
        if kept is not None:
            self._state.count("cloudspend_source_cached_pages_total", self._source.name)
            self._all_fresh = False
            return kept
        body = self._paid(fetch)
        self._state.keep_page(key, self._source.name, self._clock.now() + self._source.cache, body)
        return body

    def affords(self, operation: str) -> bool:
        """See `Meter.affords`."""
        purses = self._purses()
        if any(purse.near for purse in purses):
            fields = {"source": self._source.name, "operation": operation}
            _log.info("near the api_budget; an optional call is left out", extra={"fields": fields})
            return False
        return True

    def answered(self, ask: Ask) -> None:
        """Remember how many pages the questions of an `Ask` took, for `cloudspend plan`; the next ask begins anew.

        Only where every page was asked for: one that was kept does not say which operation it answered.
        """
        found, fresh = self._answers, self._all_fresh
        self._answers, self._all_fresh = {}, True
        if not (found and fresh):
            return
        questions: dict[str, int] = {}
        for call in self._source.spec.calls(self._source.options, ask):
            questions[call.operation] = questions.get(call.operation, 0) + call.times
        days = (ask.window.end - ask.window.start).days
        answers = [
            Answer(name, ask.grain, days, questions.get(name, 0), it.pages, it.charge, it.currency, it.units)
            for name, it in found.items()
        ]
        self._state.keep_answers(self._source.name, self._source.fingerprint, answers)

    def _purses(self) -> list[Purse]:
        """The caps there are, with what is spent of each this month."""
        caps, month = self._source.caps, Month.containing(self._clock.now())
        purses = []
        if caps.own is not None:
            purses.append(Purse(caps.own, self._state.usd_spent(month, self._source.name)))
        if caps.overall is not None:
            purses.append(Purse(caps.overall, self._state.usd_spent(month)))
        return purses

    def _refusal(self, asked: Spent) -> Throttled:
        tight = min(self._purses(), key=lambda purse: purse.left)
        whose = "all sources" if tight.limit == self._source.caps.overall else "this source"
        return Throttled(
            f"{asked.operation} costs {text(asked.charge)} USD, and {text(tight.spent)} of the {text(tight.limit)} USD"
            f" that api_budget allows {whose} in {asked.month} are spent",
            hint="raise api_budget.monthly_usd, or wait for the next month; the last good data stays",
            retry_after=month_end(self._clock.now()) - self._clock.now(),
        )

    def _paid(self, fetch: Callable[[], bytes]) -> bytes:
        """What `fetch` returns, its last request paid for; nothing is owed where it fails.

        A process that dies in between owes it all the same: nobody knows whether the answer came.
        """
        self._asking.page, self._asking.owed = True, None
        try:
            body = fetch()
        except Exception:
            self._take_back()
            raise
        finally:
            self._asking.page = False
        if self._asking.owed is not None:
            self._pay(self._asking.owed)
        return body

    def _take_back(self) -> None:
        """The try before failed, and costs nothing."""
        owed: Spent | None = self._asking.owed
        self._asking.owed = None
        if owed is not None and (owed.charge or owed.units):
            self._state.unspend(owed)

    def _pay(self, asked: Spent) -> None:
        if asked.charge or asked.units:
            self._state.paid(asked)
            self.charges[asked.currency] = MONEY.add(self.charges.get(asked.currency, ZERO), asked.charge)
        self._answers[asked.operation] = self._answers.get(asked.operation, _Answered()).plus(asked)


@dataclass(frozen=True, slots=True)
class _Answered:
    """What the pages of one operation have come to, since the last ask."""

    pages: int = 0
    charge: Decimal = ZERO
    currency: str = USD
    units: Mapping[str, Decimal] = field(default_factory=dict)

    def plus(self, asked: Spent) -> _Answered:
        units = dict(self.units)
        for unit, amount in asked.units.items():
            units[unit] = MONEY.add(units.get(unit, ZERO), amount)
        charge = MONEY.add(self.charge, asked.charge)
        return replace(self, pages=self.pages + 1, charge=charge, currency=asked.currency, units=units)
