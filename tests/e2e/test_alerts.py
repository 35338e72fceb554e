"""A source goes down: the alert travels through the real Prometheus and Alertmanager to a webhook, and resolves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.daemon import Daemon, Trouble, make_due
from tests.e2e.stack import alertmanager_config, prometheus_config
from tests.neighbours import Webhook, alertmanager, prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("release")]


def host(url: str) -> str:
    return url.removeprefix("http://")


def says(body: dict[str, Any], status: str, alert: str, source: str) -> bool:
    return any(
        each["status"] == status and each["labels"]["alertname"] == alert and each["labels"].get("source") == source
        for each in body["alerts"]
    )


def test_a_source_that_goes_down_is_told_to_a_webhook_with_its_reason_and_resolves(tmp_path: Path) -> None:
    good, bad = Trouble(tmp_path, "good"), Trouble(tmp_path, "bad", account="444455556666")
    config = tmp_path / "cloudspend.yml"
    config.write_text(yaml.safe_dump({"store": {"path": "data"}, "sources": [good.config, bad.config]}))
    with (
        Webhook() as hook,
        alertmanager(tmp_path, alertmanager_config(tmp_path, hook.url)) as manager,
        Daemon(config, ready="/-/ready") as daemon,
        prometheus(tmp_path, prometheus_config(tmp_path, host(daemon.url), host(manager.url), bridging=False)),
    ):
        daemon.wait_for("cloudspend_up", 1, source="bad")
        bad.set("deny")
        make_due(tmp_path / "data", "bad")
        fired = hook.wait(lambda body: says(body, "firing", "CloudspendSourceDown", "bad"))
        [alert] = [each for each in fired["alerts"] if each["labels"]["alertname"] == "CloudspendSourceDown"]
        assert alert["labels"]["severity"] == "warning"
        assert "access_denied" in alert["annotations"]["description"]
        assert alert["annotations"]["runbook_url"].endswith("#cloudspendsourcedown")
        assert daemon.values("cloudspend_month_to_date_cost", source="bad"), "the last good bill is still served"
        bad.set("ok 1")
        make_due(tmp_path / "data", "bad")
        hook.wait(lambda body: says(body, "resolved", "CloudspendSourceDown", "bad"))
        assert not any(says(body, "firing", "CloudspendSourceDown", "good") for body in hook.bodies)
