"""The exchange rates of one run of the worker: those of the file as it is now, or as it was when it was last good."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.config.rates import HEADER
from exporter.config.schema import CurrencySettings
from exporter.costs import BilledRate
from exporter.costs.money import text
from exporter.errors import ConfigError
from exporter.normalise import currency
from exporter.normalise.currency import Rates
from exporter.polling.sources import Paths
from exporter.store.files import write_durably
from exporter.store.state import SourceState

_log = logging.getLogger(__name__)


def current(settings: CurrencySettings | None, paths: Paths) -> Rates | None:
    """The rates to convert with; None where nothing is converted.

    A file that went bad after the configuration was read changes nothing: its last good state counts, and the log says
    so once. Without such a state its currencies have no rate.
    """
    if settings is None or settings.rates_file is None:
        return currency.load(settings) if settings else None
    memory = _Memory(paths.root)
    try:
        rates = currency.load(settings)
    except ConfigError as error:
        if memory.fails(str(error)):
            _log.error("the exchange rates cannot be read", extra={"fields": {"error": error}})
        return memory.last(settings)
    if memory.succeeds(rates):
        _log.info("the exchange rates can be read again", extra={"fields": {"file": settings.rates_file}})
    return rates


def with_bills(rates: Rates, remembered: Iterable[SourceState]) -> Rates:
    """With the rates that the bills of these sources have themselves, where the configuration asks for it.

    The newest month counts; of two sources that tell the same month, the first.
    """
    if rates.settings.rates_from is None:
        return rates
    newest: dict[str, BilledRate] = {}
    for name, told in (pair for source in remembered for pair in source.rates.items()):
        if name not in newest or newest[name].month < told.month:
            newest[name] = told
    return replace(rates, billed={name: told.rate for name, told in newest.items()})


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is remembered of the file between two runs, in the data folder. A disk that is full forgets, no more."""

    root: Path

    def succeeds(self, rates: Rates) -> bool:
        """Remember rates that are good; whether those before were not."""
        rows = sorted(quote for quotes in rates.dated.values() for quote in quotes)
        lines = [",".join(HEADER), *(f"{quote.day},{quote.currency},{text(quote.rate)}" for quote in rows), ""]
        with suppress(OSError):
            _put(self._copy, "\n".join(lines))
        failed = self._problem.exists()
        self._problem.unlink(missing_ok=True)
        return failed

    def fails(self, problem: str) -> bool:
        """Remember what is wrong with the file; whether that is new."""
        with suppress(OSError):
            return _put(self._problem, problem)
        return True

    def last(self, settings: CurrencySettings) -> Rates:
        """The rates when they were last good; those of the configuration alone where they never were."""
        try:
            kept = currency.load(settings.model_copy(update={"rates_file": self._copy}))
        except ConfigError:
            return Rates(settings)
        return replace(kept, settings=settings)

    @property
    def _copy(self) -> Path:
        return self.root / "rates.csv"

    @property
    def _problem(self) -> Path:
        return self.root / "rates.problem"


def _put(path: Path, content: str) -> bool:
    """Write a file, unless that is what it holds; whether it was written."""
    if path.exists() and path.read_bytes() == content.encode():
        return False
    write_durably(path, content.encode())
    return True
