"""`cloudspend backtest --model`: how far off forecasts of past month ends would have been, beside two simple ones."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import click

from exporter.cli.output import Format, Record, rendered
from exporter.periods import DAY, Month

# What forecasts needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.forecasts.grouped import Group, Together
    from exporter.analysis.forecasts.replay import Replay
    from exporter.polling.estate import Estate

HISTORY = 200
"""Days that are read before the first month. The models look at 24 weeks."""
LAST_MONTH = "last month"


@dataclass(frozen=True, slots=True)
class _Trial:
    """What one forecaster said of the month ends of one group."""

    group: Group
    forecaster: str
    replay: Replay
    row: int

    @property
    def months(self) -> Iterator[tuple[Month, float, list[float | None], list[float | None]]]:
        """Each month that something was said of: what it cost, the errors, and whether the interval held it."""
        for place, month in enumerate(self.replay.months):
            errors = [_known(each) for each in self.replay.errors[self.row, place]]
            held = [_known(each) for each in self.replay.held[self.row, place]]
            if any(each is not None for each in errors):
                yield month, float(self.replay.came[self.row, place]), errors, held

    @property
    def error(self) -> float | None:
        """The median."""
        return _known(float(self.replay.error[self.row]))

    @property
    def by_money(self) -> float | None:
        """All that was missed as a share of all that came."""
        return _known(float(self.replay.by_money[self.row]))

    @property
    def coverage(self) -> float | None:
        """How often the truth lay in the interval."""
        return _known(float(self.replay.coverage[self.row]))


def show(
    estate: Estate, names: Sequence[str], model: str, first: date, last: date, confidence: float, form: Format
) -> None:
    """Print the errors of month ends within these days, group by group, and a summary."""
    from exporter.analysis.forecasts.grouped import together
    from exporter.analysis.forecasts.replay import AT

    trials = [
        trial
        for some in together(estate.sources, names)
        for trial in _trials(some, model, first, last, confidence)
        if trial.error is not None
    ]
    trials.sort(key=lambda trial: trial.group)
    if form == Format.JSON:
        documents = [_document(names, trial, confidence) for trial in trials]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        days = [f"day {day}" for day in AT]
        columns = [*names, "currency", "month", "came", "forecaster", *days, "held"]
        title = f"errors of month ends forecast after so many settled days (usage, {100 * confidence:g} % interval)"
        records = [record for trial in trials for record in _records(names, trial, days)]
        click.echo(rendered(records, columns, form, title=title, right=("came", *days, "held")))
        if form == Format.TABLE and trials:
            columns = [*names, "currency", "forecaster", "median error", "error by money", "held"]
            summary = [_summary(names, trial) for trial in trials]
            click.echo("\n" + rendered(summary, columns, form, right=("median error", "error by money", "held")))
    if not trials and not estate.empty:
        hint = "a whole UTC month that has settled, with enough history before; cloudspend collect --start DAY"
        click.echo(f"no month end can be forecast again. hint: {hint}", err=True)


def _trials(some: Together, model: str, first: date, last: date, confidence: float) -> Iterator[_Trial]:
    from exporter.analysis.forecasts.replay import alike, last_month, replay, whole_months

    months = [month for month in whole_months(some.days) if first <= month.first and month.next().first <= last + DAY]
    names = [model, *(["linear"] if model != "linear" else [])]
    replays = [replay(some.history, some.days, months, model=name, level=confidence) for name in names]
    replays.append(last_month(some.history, some.days, months))
    for name, each in zip([*names, LAST_MONTH], alike(replays), strict=True):
        for row, group in enumerate(some.groups):
            yield _Trial(group, name, each, row)


def _labels(names: Sequence[str], trial: _Trial) -> dict[str, str]:
    return dict(zip((*names, "currency"), trial.group, strict=True))


def _document(names: Sequence[str], trial: _Trial, confidence: float) -> dict[str, object]:
    """A forecaster for programs; amounts are floats in `currency`, errors are shares of what came."""
    return {
        **_labels(names, trial),
        "forecaster": trial.forecaster,
        "confidence": confidence,
        "median_error": _rounded(trial.error),
        "error_by_money": _rounded(trial.by_money),
        "coverage": _rounded(trial.coverage),
        "months": [
            {
                "month": str(month),
                "came": round(came, 6),
                "errors": {str(day): _rounded(error) for day, error in zip(trial.replay.at, errors, strict=True)},
                "held": {
                    str(day): None if each is None else bool(each)
                    for day, each in zip(trial.replay.at, held, strict=True)
                },
            }
            for month, came, errors, held in trial.months
        ],
    }


def _records(names: Sequence[str], trial: _Trial, days: Sequence[str]) -> Iterator[Record]:
    for month, came, errors, held in trial.months:
        known = [each for each in held if each is not None]
        yield {
            **_labels(names, trial),
            "month": str(month),
            "came": f"{came:.2f}",
            "forecaster": trial.forecaster,
            **{day: _per_cent(error) for day, error in zip(days, errors, strict=True)},
            "held": f"{sum(map(int, known))} of {len(known)}" if known else None,
        }


def _summary(names: Sequence[str], trial: _Trial) -> Record:
    return {
        **_labels(names, trial),
        "forecaster": trial.forecaster,
        "median error": _per_cent(trial.error),
        "error by money": _per_cent(trial.by_money),
        "held": None if trial.coverage is None else f"{100 * trial.coverage:.0f} %",
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _per_cent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
