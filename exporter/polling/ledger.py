"""What asking costs: requests counted and priced before they are made, pages kept before they are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from threading import local
from typing import NamedTuple

from exporter.clock import Clock
from exporter.polling.sources import Source
from exporter.providers import NO_UNITS
from exporter.store.state import State


class Ledger:
    """The Meter of one source, over the state file. Counts and pages survive restarts and crashes of the poll."""

    def __init__(self, state: State, source: Source, clock: Clock) -> None:
        self._state = state
        self._source = source
        self._clock = clock
        self._asking = local()

    def request(
        self,
        operation: str,  # noqa: ARG002
        charge: Decimal = Decimal(0),
        currency: str = "USD",
        units: Mapping[str, Decimal] = NO_UNITS,
    ) -> None:
        """See `Meter.request`."""
        self._state.count("cloudspend_source_api_requests_total", self._source.name)
        owed = _Owed(charge, currency, units)
        if getattr(self._asking, "page", False):
            self._asking.owed = owed  # instead of that of a try that failed
        else:
            self._pay(owed)

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """See `Meter.page`."""
        if not self._source.cache:
            return self._paid(fetch)
        asked = json.dumps([self._source.name, self._source.fingerprint, request], sort_keys=True)
        key = hashlib.blake2b(asked.encode(), digest_size=20).hexdigest()
        kept = self._state.page(key, self._clock.now())
        if kept is not None:
            self._state.count("cloudspend_source_cached_pages_total", self._source.name)
            return kept
        body = self._paid(fetch)
        self._state.keep_page(key, self._source.name, self._clock.now() + self._source.cache, body)
        return body

    def _paid(self, fetch: Callable[[], bytes]) -> bytes:
        """What `fetch` returns, its last request paid for; nothing is owed where it fails."""
        self._asking.page, self._asking.owed = True, None
        try:
            body = fetch()
        finally:
            self._asking.page = False
        if self._asking.owed is not None:
            self._pay(self._asking.owed)
        return body

    def _pay(self, owed: _Owed) -> None:
        name = self._source.name
        if owed.charge:
            self._state.count("cloudspend_source_api_charges_total", name, owed.currency, owed.charge)
        for unit, amount in owed.units.items():
            self._state.count("cloudspend_source_api_units_total", name, unit, amount)


class _Owed(NamedTuple):
    """What the vendor charges for an answer."""

    charge: Decimal
    currency: str
    units: Mapping[str, Decimal]
