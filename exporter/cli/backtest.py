"""`cloudspend backtest`: what a detector would have told, or a forecast have said, of the days that are stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli import backtest_forecasts
from exporter.cli.anomalies import DETECTORS
from exporter.cli.forecast import BY, MODELS, checked
from exporter.cli.labels import labels as read_labels
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import COLLECT, DATE, configuration, one_shot_clock, readable
from exporter.costs import engine
from exporter.periods import DAY, Month, day_of
from exporter.polling.sources import Paths, resolve

# What judges needs numpy, which no other command should wait for.
if TYPE_CHECKING:
    from exporter.analysis.anomalies import Settings
    from exporter.analysis.backtest import Alert, Label, Verdict
    from exporter.polling.estate import Estate, Stored

_LOWEST = 0.5
"""No sensitivity below is tried: half of every threshold is far too little."""
_COLUMNS = (
    "day",
    "severity",
    "kind",
    "source",
    "provider",
    "account",
    "service",
    "region",
    "currency",
    "expected",
    "actual",
    "silent_at",
    "labelled",
    "sentence",
)
_HIDDEN = ("source", "provider", "account", "service", "region")
_AMOUNTS = ("expected", "actual", "silent_at")


@click.command()
@configuration
@click.option("--detector", type=click.Choice(DETECTORS), help="Which detector watches.  [default: anomalies.detector]")
@click.option("--model", type=click.Choice(MODELS), help="Look at a forecast model instead of a detector.")
@click.option(
    "--months", type=click.IntRange(1, 120), help="The last so many UTC months, this one included.  [default: 6]"
)
@click.option("--from", "first", type=DATE, metavar="DAY", help="From this UTC day on.")
@click.option(
    "--to", "last", type=DATE, metavar="DAY", help="To this UTC day, included.  [default: the newest settled]"
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(min=0, min_open=True),
    help="Multiplies every threshold: 0.9 finds more, 1.2 is quieter.  [default: anomalies.sensitivity]",
)
@click.option(
    "--minimum-cost",
    type=click.FloatRange(min=0),
    help="Least excess of a day, in the currency of each bill.  [default: anomalies.minimum_cost]",
)
@click.option(
    "--labels",
    "labelled",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What is known to have happened: CSV or YAML with day (or first, last) and, if need be, provider, account,"
    " service, region.",
)
@click.option(
    "--by", default="provider", show_default=True, help=f"Of a model: group by {', '.join(BY)}; comma separated."
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="Of a model: how often the truth should lie in the interval.",
)
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def backtest(
    file: Path | None,
    detector: str | None,
    model: str | None,
    months: int | None,
    first: datetime | None,
    last: datetime | None,
    sensitivity: float | None,
    minimum_cost: float | None,
    labelled: Path | None,
    by: str,
    confidence: float,
    form: str,
    *,
    demo: bool,
) -> None:
    """Show which alerts would have fired, day by day, had a detector watched the days that are stored.

    Each day is judged from itself and the days before alone, as they are known now. `silent_at` is the sensitivity
    that would have kept an alert from being told; the lowest quiet one, at which none (with labels: none but what is
    labelled) would have fired, is printed below. An alert up to three days after a label is about it.

    With --model, shows how far month ends forecast after 5, 10, 15, 20 and 25 settled days were off, beside a straight
    line and the month before, and how often the truth lay in the interval. Looks at usage charges, as `cloudspend
    anomalies` and `cloudspend forecast` do.

    \b
    cloudspend backtest --months 3 --labels known.csv
    cloudspend backtest --detector zscore --sensitivity 1.5
    cloudspend backtest --model auto --by provider,service --months 12
    """
    if model and (detector or labelled or sensitivity is not None or minimum_cost is not None):
        raise click.UsageError("--model goes without --detector, --labels, --sensitivity and --minimum-cost")
    if months and first:
        raise click.UsageError("--months goes without --from")
    today = day_of(now := one_shot_clock().now())
    until = last.date() if last else today
    since = first.date() if first else Month.of(until).back((months or 6) - 1).first
    if until < since:
        raise click.BadParameter("the end lies before the start", param_hint="--to")
    names = checked(by) if model else ()
    known = read_labels(labelled) if labelled else None

    from exporter.polling.estate import stored
    from exporter.polling.judgement import anomaly_settings

    config = readable(file, demo=demo)
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    sources, paths = resolve(config), Paths(config.store.path)
    if model:
        estate = stored(sources, paths, now, since - DAY * backtest_forecasts.HISTORY)
        backtest_forecasts.show(estate, names, model, since, until, confidence, Format(form))
    else:
        settings = anomaly_settings(config)
        settings = replace(
            settings,
            detector=detector or settings.detector,
            sensitivity=settings.sensitivity if sensitivity is None else sensitivity,
            minimum_cost=settings.minimum_cost if minimum_cost is None else minimum_cost,
        )
        warm_up = DAY * (2 * settings.accepted_after + settings.look_back)
        estate = stored(sources, paths, now, since - warm_up)
        _show(estate, settings, since, until, known, Format(form))
    for name in estate.unsettled:
        click.echo(f"{name}: no day has settled yet, so nothing was judged", err=True)
    if estate.empty:
        hint = COLLECT
        click.echo(f"no charges stored for this question. hint: {hint}", err=True)


def _show(
    estate: Estate, settings: Settings, since: date, until: date, labels: Sequence[Label] | None, form: Format
) -> None:
    from exporter.analysis.backtest import judged, series_months

    days = [(max(since, source.series.days[0]), min(until, source.edge.settled)) for source in _judgeable(estate)]
    alerts = [alert for source in _judgeable(estate) for alert in _alerts(source, settings, since, until)]
    alerts.sort(key=lambda alert: (alert.day, -alert.finding.excess))
    inside = [label for label in labels or () if any(a <= label.last and label.first <= b for a, b in days)]
    verdict = judged(alerts, inside)
    months = sum(series_months(settings, source.series, since, until) for source in _judgeable(estate))
    quiet = _quiet(estate, settings, since, until, inside if labels is not None else None, verdict)
    summary: dict[str, object] = {
        "detector": settings.detector,
        "sensitivity": settings.sensitivity,
        "minimum_cost": settings.minimum_cost,
        "from": since.isoformat(),
        "to": max((b for _, b in days), default=until).isoformat(),
        "series_months": round(months, 1),
        "lowest_quiet_sensitivity": quiet,
    }
    if labels is not None:
        summary |= {
            "labels": len(inside),
            "labels_outside": len(labels) - len(inside),
            "precision": _rounded(verdict.precision),
            "recall": _rounded(verdict.recall),
            "false_alarms": len(verdict.false),
            "false_alarms_per_series_month": _rounded(len(verdict.false) / months if months else None),
            "missed": [str(label) for label in verdict.missed],
        }
    known = [None if labels is None else alert in verdict.true for alert in alerts]
    if form == Format.JSON:
        documents = [_document(alert, its, estate) for alert, its in zip(alerts, known, strict=True)]
        click.echo(json.dumps({**summary, "alerts": documents}, indent=2, ensure_ascii=False))
        return
    records = [_record(alert, its, estate) for alert, its in zip(alerts, known, strict=True)]
    columns = [column for column in _COLUMNS if form == Format.CSV or column not in _HIDDEN]
    if labels is None and form == Format.TABLE:
        columns.remove("labelled")
    title = f"alerts of {summary['from']} to {summary['to']} (UTC days, usage charges), {settings.detector} detector"
    click.echo(rendered(records, columns, form, title=title, right=_AMOUNTS))
    if form == Format.TABLE:
        click.echo("\n".join(["", *_said(summary, len(alerts), settings)]))


def _judgeable(estate: Estate) -> list[Stored]:
    return [source for source in estate.sources if source.series.days]


def _alerts(source: Stored, settings: Settings, since: date, until: date) -> list[Alert]:
    from exporter.analysis.backtest import replay

    last = min(until, source.edge.settled)
    looks = replay(settings, source.name, source.series, since, last)
    count = max((last - max(since, source.series.days[0])).days + 1, 0)
    shown = sys.stderr.isatty()
    with click.progressbar(
        looks, length=count, label=source.name, file=sys.stderr, hidden=not shown, show_pos=True
    ) as days:
        return [alert for day in days for alert in day]


def _quiet(
    estate: Estate,
    settings: Settings,
    since: date,
    until: date,
    labels: Sequence[Label] | None,
    verdict: Verdict,
) -> float | None:
    """The lowest quiet sensitivity; with labels none below the one that was asked for is tried."""
    from exporter.analysis.backtest import quiet, quiet_but

    found: list[float | None] = []
    for source in _judgeable(estate):
        last = min(until, source.edge.settled)
        if labels is None:
            lowest = replace(settings, sensitivity=min(_LOWEST, settings.sensitivity))
            found.append(quiet(lowest, source.name, source.series, since, last))
        elif any(alert.finding.scope.source == source.name for alert in verdict.false):
            found.append(quiet_but(settings, source.name, source.series, since, last, labels))
        else:
            found.append(settings.sensitivity)
    known = [each for each in found if each is not None]
    if len(known) < len(found) or not known:
        return None
    # Rounded up: a hair less is not quiet.
    return -int(-max(known) * 10_000 // 1) / 10_000


def _document(alert: Alert, labelled: bool | None, estate: Estate) -> dict[str, object]:  # noqa: FBT001
    """An alert for programs; amounts are floats in `currency`."""
    finding = alert.finding
    return {
        **_record(alert, labelled, estate),
        "expected": round(finding.expected, 6),
        "actual": round(finding.actual, 6),
        "silent_at": round(alert.silent_at, 4),
        "labelled": labelled,
    }


def _record(alert: Alert, labelled: bool | None, estate: Estate) -> Record:  # noqa: FBT001
    """An alert as a line of a table or of CSV: amounts in cents."""
    from exporter.analysis.anomalies import sentence

    finding = alert.finding
    return {
        "day": alert.day.isoformat(),
        "severity": finding.severity.value,
        "kind": finding.kind.value,
        **finding.scope._asdict(),
        "expected": f"{finding.expected:.2f}",
        "actual": f"{finding.actual:.2f}",
        "silent_at": f"{alert.silent_at:.2f}",
        "labelled": None if labelled is None else "yes" if labelled else "no",
        "sentence": sentence(finding, estate.accounts),
    }


def _said(summary: dict[str, object], alerts: int, settings: Settings) -> list[str]:
    """What stands below a table."""
    told = "1 alert" if alerts == 1 else f"{alerts} alerts"
    lines = [f"{told} in {summary['series_months']} series-months at sensitivity {settings.sensitivity:g}"]
    if "labels" in summary:
        worth = f"precision {_share(summary['precision'])}, recall {_share(summary['recall'])}"
        lines += [
            f"{worth} of {summary['labels']} labels within these days",
            f"false alarms: {summary['false_alarms']}, {summary['false_alarms_per_series_month']} per series-month",
            *(f"missed: {label}" for label in _list(summary["missed"])),
        ]
    unless = " but what is labelled" if "labels" in summary else ""
    quiet = summary["lowest_quiet_sensitivity"]
    found = f"{quiet:g}" if isinstance(quiet, float) else "none was found"
    lines.append(f"lowest sensitivity at which nothing{unless} would have fired: {found}")
    return lines


def _list(value: object) -> Sequence[str]:
    assert isinstance(value, list)
    return value


def _share(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "–"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
