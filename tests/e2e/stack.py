"""The shipped Prometheus and Alertmanager files, made fast and local: nothing else of them is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def prometheus_config(folder: Path, exporter: str, alertmanager: str | None = None, *, bridging: bool = True) -> Path:
    """The shipped prometheus.yml and rules, evaluated every second and without waiting, over one exporter.

    Not `bridging`: alerts end at once with what they are about, without the minutes that bridge a restart.
    """
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "cloudspend"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [exporter]}]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]} if alertmanager else {}
    rules = folder / "rules"
    rules.mkdir()
    for shipped in sorted((ROOT / "alertmanager" / "rules").glob("*.yml")):
        (rules / shipped.name).write_text(yaml.safe_dump(_hurried(yaml.safe_load(shipped.read_text()), bridging)))
    config["rule_files"] = [str(rules / "*.yml")]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def alertmanager_config(folder: Path, webhook: str, oncall: str | None = None) -> Path:
    """The shipped alertmanager.yml with its webhooks pointed at `webhook`, or `oncall`'s there, and without waiting."""
    config = yaml.safe_load((ROOT / "alertmanager" / "alertmanager.yml").read_text())
    _without_waiting(config["route"])
    for receiver in config["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = oncall if oncall is not None and receiver["name"] == "oncall" else webhook
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def _hurried(rules: dict[str, Any], bridging: bool) -> dict[str, Any]:
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
            if not bridging:
                rule.pop("keep_firing_for", None)
    return rules


def _without_waiting(route: dict[str, Any]) -> None:
    route["group_wait"], route["group_interval"] = "0s", "1s"
    for inner in route.get("routes", []):
        _without_waiting(inner)
