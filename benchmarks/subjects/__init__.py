"""What is measured: name → how its lines come about, and nothing of it before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from benchmarks.outcome import Outcome
from benchmarks.scale import Scale
from benchmarks.subjects import (
    check,
    clouds,
    daemon,
    dashboards,
    detection,
    focus,
    forecast,
    history,
    receiver,
    rendering,
    scrape,
    store,
)

Subject = Callable[[Scale], Iterator[Outcome]]

SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "scrape": scrape.outcomes,
        "rendering": rendering.outcomes,
        "focus": focus.outcomes,
        "store": store.outcomes,
        "daemon": daemon.outcomes,
        "check": check.outcomes,
        "receiver": receiver.outcomes,
        "clouds": clouds.outcomes,
        "dashboards": dashboards.outcomes,
        "detection": detection.outcomes,
        "forecast": forecast.outcomes,
        "history": history.outcomes,
    }
)
