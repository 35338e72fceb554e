"""A bill of Cost Explorer from its pages to a snapshot: `python -m benchmarks.cloud_read FOLDER PAGES`.

Prints the seconds as JSON: `keep` (pages written to the state file, as they come in) and `rest` (read back, made a
table, stored, published). AWS's client and the network are not in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.config.load import load
from exporter.periods import DAY, Grain, Month, Window
from exporter.polling import schedule
from exporter.polling.ledger import Ledger
from exporter.polling.poll import poll
from exporter.polling.publish import publish
from exporter.polling.sources import Paths, Registry, resolve
from exporter.polling.worker import collect_seldom
from exporter.providers.aws_cost_explorer import MONTHS_KEPT
from exporter.providers.aws_plan import METRICS, Plan
from exporter.store.lake import Lake
from exporter.store.state import State, Success

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GROUPS = 1000
SERVICES, REGIONS = 200, 10
PAYER = "111122223333"


def main() -> None:
    """See the module."""
    import boto3  # noqa: F401  imported before the clock starts

    collect_seldom()  # as in the worker
    folder, pages = Path(sys.argv[1]), int(sys.argv[2])
    [source] = resolve(_config(folder))
    paths, clock = Paths(folder / "data"), Clock(frozen=NOW)
    paths.root.mkdir(parents=True)
    os.environ["CLOUDSPEND_NOW"] = f"{NOW.isoformat()},frozen"
    since = Month.containing(NOW).back(MONTHS_KEPT - 1).window().start
    asked = Window(since, schedule.window(source, None, NOW).end)
    plan = Plan()
    questions = [(plan.everything(), 1), (plan.usage(())[0], pages - 1)]
    ready: list[tuple[dict[str, Any], bytes]] = []
    for question, count in questions:
        first = question.request(asked, Grain.DAY)
        for number in range(count):
            token = {"NextPageToken": f"page-{number}"} if number else {}
            more = {"NextPageToken": f"page-{number + 1}"} if number + 1 < count else {}
            body = _usage(number) if question.filter else _everything(pages - 1)
            answer = json.dumps({**body, **more}).encode()  # as AWS sends it
            ready.append(({"operation": "ce:GetCostAndUsage", **first, **token}, answer))
    with State(paths.state) as state:
        ledger = Ledger(state, source, clock)
        began = time.perf_counter()
        for request, page in ready:
            ledger.page(request, lambda page=page: page)  # type: ignore[misc]
        kept = time.perf_counter()
        ready.clear()
        outcome = poll(source, Lake(paths.lake), state, clock)
        assert isinstance(outcome, Success), outcome
        assert outcome.rows >= (pages - 1) * GROUPS, outcome.rows
        assert set(outcome.unattributed.values()) == {0}, outcome.unattributed
        publish([source], paths, state, clock)
        done = time.perf_counter()
    print(json.dumps({"keep": kept - began, "rest": done - kept, "rows": outcome.rows}))


def _config(folder: Path) -> Any:
    text = f"""
store: {{path: {folder}/data}}
sources: [{{name: aws, provider: aws_cost_explorer, payer: "{PAYER}", access_key_id: AKIASIMULATED,
  secret_access_key: made-up-secret, endpoint_url: "http://127.0.0.1:9"}}]
"""
    return load(text, Registry(), folder=folder, environment={})


def _usage(number: int) -> dict[str, Any]:
    """Half a day's groups: a day has two pages."""
    day, half = divmod(number, SERVICES * REGIONS // GROUPS)
    groups = [
        {
            "Keys": [f"Amazon Service {i // REGIONS}", f"region-{i % REGIONS}"],
            "Metrics": _metrics(f"{i % 97}.0123456789"),
        }
        for i in range(half * GROUPS, (half + 1) * GROUPS)
    ]
    return {"ResultsByTime": [_bucket(day, groups)], "DimensionValueAttributes": []}


def _everything(pages: int) -> dict[str, Any]:
    """The same money by account and record type: one group a day."""
    from decimal import Decimal

    buckets = []
    per_day = SERVICES * REGIONS // GROUPS
    for day in range(-(-pages // per_day)):
        last = min(per_day, pages - day * per_day) * GROUPS
        total = sum((Decimal(f"{i % 97}.0123456789") for i in range(last)), Decimal(0))
        buckets.append(_bucket(day, [{"Keys": [PAYER, "Usage"], "Metrics": _metrics(str(total))}]))
    return {"ResultsByTime": buckets, "DimensionValueAttributes": []}


def _bucket(day: int, groups: list[dict[str, Any]]) -> dict[str, Any]:
    start = date(2026, 10, 1) + timedelta(days=day)
    period = {"Start": f"{start}", "End": f"{start + DAY}"}
    return {"TimePeriod": period, "Total": {}, "Groups": groups, "Estimated": False}


def _metrics(amount: str) -> dict[str, dict[str, str]]:
    return {name: {"Amount": amount, "Unit": "USD"} for name in METRICS}


if __name__ == "__main__":
    main()
