"""The library: the answers of the commands, as values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from exporter import api
from exporter.config import Config
from exporter.errors import CloudspendError, ConfigError
from exporter.store.state import Failure, Success
from tests.cli.test_commands import cloudspend

NOW = "2024-03-15T12:00:00Z,frozen"
CONFIG = """\
store: {path: ./data}
budgets: [{name: all, amount: 100, currency: USD, period: monthly}]
sources:
  - {name: demo, provider: demo}
  - {name: lost, provider: focus, path: ./nowhere.csv}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "cloudspend.yml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUDSPEND_NOW", NOW)
        run = api.Monitor(folder / "cloudspend.yml", data_dir=folder / "hours").run()
    assert isinstance(run.outcomes["demo"], Success)
    lost = run.outcomes["lost"]
    assert isinstance(lost, Failure)
    assert (lost.reason, run.ok, dict(run.waiting)) == ("not_ready", False, {})
    assert [path.name for path in (folder / "hours").iterdir()] == ["demo_2024-03-15-12.json"]
    return folder


@pytest.fixture
def file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDSPEND_NOW", NOW)
    return folder / "cloudspend.yml"


def told(folder: Path, *words: str) -> Any:
    done = cloudspend(*words, "--format", "json", folder=folder, CLOUDSPEND_NOW=NOW)
    return json.loads(done.stdout)


def test_costs_are_those_of_the_command(file: Path) -> None:
    found = api.costs(file, start=date(2024, 2, 1), end=date(2024, 3, 1), by=["provider", "service"], exclude="credit")
    words = ("--start", "2024-02-01", "--end", "2024-03-01", "--by", "provider,service", "--exclude", "credit")
    assert [
        {**line.labels, "currency": line.currency, "cost": str(line.cost), "rows": line.rows} for line in found
    ] == (told(file.parent, "costs", *words))
    assert len(found) > 10
    one = api.costs(file, days=7, by="provider", provider="aws", cost="billed")
    assert [line.labels["provider"] for line in one] == ["aws"]
    assert isinstance(one[0].cost, Decimal)


@pytest.mark.parametrize(
    "wrong", [{"days": 7, "start": date(2024, 1, 1)}, {"start": date(2024, 5, 1)}, {"by": "weather"}]
)
def test_a_question_that_cannot_be_answered_is_an_error(file: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(CloudspendError):
        api.costs(file, **wrong)


def test_findings_are_those_of_the_command(file: Path) -> None:
    found = api.anomalies(file, days=3)
    assert [finding.fingerprint for finding in found] == [
        each["fingerprint"] for each in told(file.parent, "anomalies", "--days", "3")
    ]
    assert len(found) > 1


def test_forecasts_are_those_of_the_command(file: Path) -> None:
    found = api.forecast(file, by="provider", provider="aws", confidence=0.9)
    [asked] = told(file.parent, "forecast", "--provider", "aws", "--confidence", "0.9")
    [line] = found
    assert line.total == pytest.approx(asked["total"], abs=1e-6)
    assert (line.low, line.high) == (pytest.approx(asked["low"], abs=1e-6), pytest.approx(asked["high"], abs=1e-6))


def test_budgets_stand_as_the_command_says(file: Path) -> None:
    [standing] = api.budgets(file)
    [asked] = told(file.parent, "budgets", "list")
    assert (standing.budget.name, str(standing.status)) == (asked["name"], asked["status"]) == ("all", "over")
    assert standing.spent == Decimal(asked["spent"])


def test_a_configuration_may_be_given_as_one(file: Path) -> None:
    config = api.Monitor(file).config
    assert isinstance(config, Config)
    assert api.costs(config) == api.costs(file)


def test_one_source_may_be_run_and_one_that_is_none_is_told(file: Path) -> None:
    assert list(api.Monitor(file).run("lost").outcomes) == ["lost"]
    with pytest.raises(CloudspendError, match="no source here is meant by 'prod'"):
        api.Monitor(file).run("prod")


def test_a_bad_configuration_is_told_whole(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("sources: [{name: A, provider: nobody}]")
    with pytest.raises(ConfigError) as caught:
        api.Monitor(tmp_path / "bad.yml")
    assert len(caught.value.problems) == 2


@pytest.fixture
def bot() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A Feishu bot that takes everything."""
    bodies: list[dict[str, Any]] = []

    class Bot(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = b'{"code": 0, "msg": "success", "data": {}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bot)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_monitor_with_a_webhook_tells_the_bot_what_is_new_once(
    file: Path, bot: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = bot
    run = api.Monitor(file, webhook_url=url).run("demo")
    assert dict(run.waiting) == {}
    assert any("all" in json.dumps(body) for body in bodies)
    before = len(bodies)
    assert before > 0
    assert api.Monitor(file, webhook_url=url).run("demo").ok
    assert len(bodies) == before
