"""`cloudspend alerts`: what is firing, as Alertmanager has it, or as the exporter itself sees it."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from exporter import log
from exporter.cli.output import Format, rendered
from exporter.cli.push import DURATION, password_of
from exporter.cli.settings import configuration, readable
from exporter.config.schema import Config
from exporter.costs.money import RATIO, text
from exporter.errors import CloudspendError, StoreError
from exporter.polling.sources import Paths
from exporter.store.state import State

_RANKS = ("critical", "page", "error", "high", "warning", "medium", "low", "info", "none")
"""The worst first. Budgets and rules say warning where findings say medium."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is firing."""

    severity: str
    kind: str
    """alert (of Alertmanager), anomaly, budget, source or judgement."""
    name: str
    since: str
    """ISO 8601: an instant in UTC, or a UTC day; empty where nobody knows."""
    sentence: str
    labels: Mapping[str, str]

    @property
    def order(self) -> tuple[int, str, str]:
        """The worst first."""
        rank = _RANKS.index(self.severity) if self.severity in _RANKS else _RANKS.index("warning")
        return rank, self.kind, self.name


COLUMNS = tuple(field.name for field in fields(Alert) if field.name != "labels")


@click.command()
@configuration
@click.option("--alertmanager", metavar="URL", help="Ask this Alertmanager (API version 2).")
@click.option(
    "--matcher",
    multiple=True,
    metavar="MATCHER",
    help="With --alertmanager: only alerts that fit, such as severity=critical; may be repeated."
    '  [default: alertname=~"Cloudspend.*"]',
)
@click.option("--url", metavar="URL", help="Ask this running exporter.")
@click.option("--user", help="User of either, for basic auth.")
@click.option(
    "--password-file", type=click.Path(path_type=Path, dir_okay=False), help="A file that holds the password."
)
@click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False), help="Authorities to trust, as PEM.")
@click.option("--timeout", type=DURATION, default="10s", show_default=True, help="How long to wait for an answer.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where something fires, and with 2 where nobody can say.")
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def alerts(
    file: Path | None,
    alertmanager: str | None,
    matcher: tuple[str, ...],
    url: str | None,
    user: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    timeout: timedelta,
    form: str,
    *,
    exit_code: bool,
    demo: bool,
) -> None:
    """Show what is firing, the worst first.

    Without --alertmanager it is what the exporter itself knows: anomalies that are open, budgets past a threshold or
    expected to pass one, sources whose last poll failed. Without --url that comes from the store. Alertmanager's
    silenced and inhibited alerts are left out.

    \b
    cloudspend alerts
    cloudspend alerts --url http://exporter:9753 --format json
    cloudspend alerts --alertmanager http://alertmanager:9093 --matcher severity=critical --exit-code
    """
    from exporter.checks.asking import Access, ask_alertmanager, ask_exporter
    from exporter.checks.nagios import Unanswerable

    if alertmanager and url:
        raise click.UsageError("one of --alertmanager and --url, please")
    if matcher and not alertmanager:
        raise click.UsageError("--matcher goes with --alertmanager")
    if bool(user) != bool(password_file):
        raise click.UsageError("--user and --password-file go together")
    access = Access(
        timeout.total_seconds(), user, password_of(password_file) or None, str(ca_file) if ca_file else None
    )
    try:
        if alertmanager:
            from exporter.checks.alerts import OURS, query

            found = list(fired(ask_alertmanager(alertmanager.rstrip("/"), query(matcher or (OURS,)), access)))
        elif url:
            found = list(seen(ask_exporter(url.rstrip("/"), access)))
        else:
            found = list(seen(_stored(readable(file, demo=demo))))
    except (Unanswerable, StoreError) as error:
        if not exit_code:
            raise CloudspendError(str(error)) from None
        click.echo(f"error: {log.masked(str(error))}", err=True)
        sys.exit(2)
    found.sort(key=lambda alert: alert.order)
    _show(found, Format(form))
    if found and exit_code:
        sys.exit(1)


def fired(answer: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    """The alerts of an Alertmanager's answer (https://github.com/prometheus/alertmanager, api/v2/openapi.yaml)."""
    for alert in answer:
        labels, said = alert["labels"], alert.get("annotations", {})
        sentence = said.get("summary") or said.get("description") or ""
        since = datetime.fromisoformat(alert["startsAt"]).isoformat(timespec="seconds")
        severity = labels.get("severity", "warning").lower()
        yield Alert(severity, "alert", labels.get("alertname", ""), since, sentence, labels)


def seen(document: Mapping[str, Any]) -> Iterator[Alert]:
    """What check.json says that somebody should look at."""
    for finding in document.get("findings", ()):
        if not finding["ended"]:
            labels = {
                name: finding[name] for name in ("source", "provider", "account", "service", "region", "currency")
            }
            yield Alert(
                finding["severity"],
                "anomaly",
                finding["fingerprint"],
                finding["first_day"],
                finding["sentence"],
                labels,
            )
    for budget in document.get("budgets", ()):
        yield from _budget(budget)
    for name, source in document["served"]["sources"].items():
        if source["failed"]:
            said = ": ".join(filter(None, [source["failed"], source["message"]]))
            sentence = f"{said}. hint: {source['hint']}" if source["hint"] else said
            labels = {"source": name, "reason": source["failed"]}
            yield Alert("warning", "source", name, source.get("since") or "", sentence, labels)
    for name in document.get("failed", ()):
        yield Alert("warning", "judgement", name, "", f"{name}: the last judgement failed; the log says why", {})


def _budget(budget: Mapping[str, Any]) -> Iterator[Alert]:
    """The highest threshold that is reached, else the highest that is expected to be."""
    ordered = sorted(budget["thresholds"], key=lambda threshold: Decimal(threshold["ratio"]))
    reached = [threshold for threshold in ordered if threshold["reached"]]
    projected = [threshold for threshold in ordered if threshold["projected"]]
    if not reached and not projected:
        return
    highest = (reached or projected)[-1]
    spent = f"{_cents(budget['spent'])} of {_cents(budget['limit'])} {budget['currency']}"
    share = _percent(Decimal(highest["ratio"]))
    if reached:
        moving = "" if highest["reached_settled"] else ", with days that still move"
        sentence = f"{spent} spent: past {share}{moving}."
    else:
        sentence = f"{spent} spent, {_cents(budget['forecast'])} expected by the end: past {share}."
    labels = {"budget": budget["name"], "currency": budget["currency"], "threshold": share, "status": budget["status"]}
    yield Alert(highest["severity"], "budget", budget["name"], budget["first"], sentence, labels)


def _percent(ratio: Decimal) -> str:
    return f"{text(RATIO.multiply(ratio, Decimal(100)))}%"


def _cents(amount: str) -> str:
    return f"{Decimal(amount):.2f}"


def _stored(config: Config) -> dict[str, Any]:
    """What a running exporter would say. Unanswerable where the store has no bill, or one that is too old."""
    from exporter.checks.asking import read_snapshot
    from exporter.checks.nagios import Unanswerable

    paths = Paths(config.store.path)
    document = read_snapshot(str(paths.snapshots))
    if expired := _expired(document["served"]):
        raise Unanswerable(f"the last bill is too old since {expired}. hint: run 'cloudspend collect'")
    states = _states(paths, {source.name for source in config.sources})
    return {**document, "served": {**document["served"], "sources": states}}


def _expired(served: Mapping[str, Any]) -> str | None:
    """Since when the bill would lie."""
    expires: str | None = served["expires_at"]
    late = expires is not None and datetime.fromisoformat(served["now"]) >= datetime.fromisoformat(expires)
    return expires if late else None


def _states(paths: Paths, names: Collection[str]) -> dict[str, Any]:
    """How the last poll of each source ended, which only the state file knows."""
    with State(paths.state) as state:
        return {
            name: {
                "failed": remembered.failed_reason,
                "message": remembered.failed_message,
                "hint": remembered.failed_hint,
                "since": remembered.last_attempt and remembered.last_attempt.isoformat(timespec="seconds"),
            }
            for name, remembered in state.sources().items()
            if name in names
        }


def _show(found: Sequence[Alert], form: Format) -> None:
    if form is Format.JSON:
        click.echo(json.dumps([asdict(alert) for alert in found], indent=2, ensure_ascii=False))
        return
    records = [{column: getattr(alert, column) for column in COLUMNS} for alert in found]
    if found or form is Format.CSV:
        if form is Format.TABLE:  # a fingerprint says nothing to people; the sentence does
            records = [{**record, "name": ""} if record["kind"] == "anomaly" else record for record in records]
        click.echo(rendered(records, COLUMNS, form))
    if not found:
        click.echo("nothing is firing", err=True)
