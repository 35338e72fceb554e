"""What asking costs: requests counted and priced before they are made, pages kept before they are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal

from exporter.clock import Clock
from exporter.polling.sources import Source
from exporter.store.state import State


class Ledger:
    """The Meter of one source, over the state file. Counts and pages survive restarts and crashes of the poll."""

    def __init__(self, state: State, source: Source, clock: Clock) -> None:
        self._state = state
        self._source = source
        self._clock = clock

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:  # noqa: ARG002
        """Count one request, and what it costs."""
        self._state.count("cloudspend_source_api_requests_total", self._source.name)
        if charge:
            self._state.count("cloudspend_source_api_charges_total", self._source.name, currency, charge)

    def page(self, request: Mapping[str, object], fetch: Callable[[], bytes]) -> bytes:
        """See `Meter.page`."""
        if not self._source.cache:
            return fetch()
        asked = json.dumps([self._source.name, self._source.fingerprint, request], sort_keys=True)
        key = hashlib.blake2b(asked.encode(), digest_size=20).hexdigest()
        kept = self._state.page(key, self._clock.now())
        if kept is not None:
            self._state.count("cloudspend_source_cached_pages_total", self._source.name)
            return kept
        body = fetch()
        self._state.keep_page(key, self._source.name, self._clock.now() + self._source.cache, body)
        return body
