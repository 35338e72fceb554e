"""What asking costs: every request to a billing API, counted and priced in the state file before it is made."""

from __future__ import annotations

from decimal import Decimal

from exporter.store.state import State


class Ledger:
    """The Meter of one source. Counts survive restarts, crashes of the poll included."""

    def __init__(self, state: State, source: str) -> None:
        self._state = state
        self._source = source

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:  # noqa: ARG002
        """Count one request, and what it costs."""
        self._state.count("cloudspend_source_api_requests_total", self._source)
        if charge:
            self._state.count("cloudspend_source_api_charges_total", self._source, currency, charge)
