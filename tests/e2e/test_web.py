"""The daemon behind TLS and passwords, to real clients; and what it serves once its data is too old."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from tests.e2e.daemon import PLUGIN, Daemon, Trouble
from tests.neighbours import Server, free_port, prometheus, query, require, until
from tests.web.certificates import Authority

pytestmark = pytest.mark.e2e

COST = "cloudspend_month_to_date_cost"
USER, PASSWORD = "prometheus", "open-sesame"
PAIR = {"cert_file": "server.pem", "key_file": "server.key"}


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def write(path: Path, content: Any) -> Path:
    """Written beside and renamed into place, as Kubernetes and careful people do."""
    draft = path.with_suffix(".draft")
    draft.write_text(yaml.safe_dump(content))
    return draft.rename(path)


class Guarded(Server):
    """`cloudspend serve --web.config.file`. Ready when it listens: it may let nobody in."""

    def __init__(self, folder: Path, web: dict[str, Any]) -> None:
        config = write(folder / "cloudspend.yml", {"store": {"path": "data"}, "sources": [Trouble(folder, "a").config]})
        self.web_config = write(folder / "web.yml", web)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.log = folder / "daemon.log"
        argv = [
            *(sys.executable, "-m", "exporter", "serve", "--config", str(config)),
            *("--web.listen-address", f"127.0.0.1:{self.port}", "--web.config.file", str(self.web_config)),
        ]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env={**os.environ, "PYTHONPATH": str(PLUGIN)}
            )
        try:
            until(lambda: "msg=serving" in self.log.read_text() or self.process.poll() is not None, "it serves")
            assert self.process.poll() is None, self.log_tail()
        except BaseException:
            self.stop()
            raise

    def get(
        self, path: str, context: ssl.SSLContext, user: str | None = USER, password: str = PASSWORD
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        headers = {}
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def shown_certificate(self, authority: Authority) -> bytes:
        pem = ssl.get_server_certificate(("127.0.0.1", self.port), ca_certs=str(authority.file), timeout=30)
        return ssl.PEM_cert_to_DER_cert(pem)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server")
    return made


@pytest.fixture
def guarded(tmp_path: Path, authority: Authority) -> Iterator[Guarded]:
    web = {
        "tls_server_config": PAIR,
        "basic_auth_users": {USER: hashed(PASSWORD)},
        "http_server_config": {"headers": {"X-Frame-Options": "deny"}},
    }
    with Guarded(tmp_path, web) as server:
        yield server


def test_prometheus_scrapes_over_tls_with_a_password(tmp_path: Path, authority: Authority, guarded: Guarded) -> None:
    scrape = {
        "job_name": "cloudspend",
        "scheme": "https",
        "honor_labels": True,
        "tls_config": {"ca_file": str(authority.file)},
        "basic_auth": {"username": USER, "password": PASSWORD},
        "static_configs": [{"targets": [f"127.0.0.1:{guarded.port}"]}],
    }
    wrong = {**scrape, "job_name": "wrong", "basic_auth": {"username": USER, "password": "guess"}}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape, wrong]}
    with prometheus(tmp_path, write(tmp_path / "prometheus.yml", config)) as server:
        until(lambda: bool(query(server, f'{COST}{{job="cloudspend"}}')), "Prometheus has the bill")
        until(lambda: bool(query(server, 'up{job="wrong"}')), "Prometheus has tried the wrong password")
        assert [one["value"][1] for one in query(server, 'up{job="cloudspend"}')] == ["1"]
        assert [one["value"][1] for one in query(server, 'up{job="wrong"}')] == ["0"]
    assert PASSWORD not in guarded.log.read_text()


def test_nobody_comes_in_without_the_password_and_headers_stand_on_every_answer(
    authority: Authority, guarded: Guarded
) -> None:
    context = authority.trusted()
    for path in ("/metrics", "/config", "/-/reload", "/-/healthy"):
        for user, password in ((None, ""), (USER, "guess"), ("nobody", PASSWORD)):
            status, headers, body = guarded.get(path, context, user, password)
            assert (status, headers["www-authenticate"], body) == (401, "Basic", "Unauthorized\n")
            assert headers["x-frame-options"] == "deny"
    status, headers, body = guarded.get("/-/healthy", context)
    assert (status, headers["x-frame-options"], body) == (200, "deny", "healthy\n")


def test_users_and_certificate_are_taken_up_without_a_restart(authority: Authority, guarded: Guarded) -> None:
    context = authority.trusted()
    first = guarded.shown_certificate(authority)
    content = {"tls_server_config": PAIR, "basic_auth_users": {USER: hashed("changed")}}
    write(guarded.web_config, content)
    assert guarded.get("/-/healthy", context)[0] == 401
    assert guarded.get("/-/healthy", context, password="changed")[0] == 200
    authority.issue("server")
    second = guarded.shown_certificate(authority)
    assert second != first
    assert guarded.get("/-/healthy", context, password="changed")[0] == 200


def test_a_certificate_that_became_unusable_refuses_connections_until_it_is_mended(
    tmp_path: Path, authority: Authority, guarded: Guarded
) -> None:
    context = authority.trusted()
    key = (tmp_path / "server.key").read_text()
    authority.issue("stranger")
    (tmp_path / "stranger.key").rename(tmp_path / "server.key")
    with pytest.raises((ssl.SSLError, ConnectionError)):  # told at once, and not left waiting
        guarded.get("/-/healthy", context)
    assert "the certificate and the key do not belong together" in guarded.log.read_text()
    (tmp_path / "server.key").write_text(key)
    assert guarded.get("/-/healthy", context)[0] == 200


def test_plain_http_gets_nowhere_on_a_port_with_tls(guarded: Guarded) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=30)
    connection.request("GET", "/metrics")
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()


def test_only_clients_with_a_certificate_and_an_allowed_name_come_in(tmp_path: Path, authority: Authority) -> None:
    allowed = authority.issue("allowed", "prometheus.example")
    other = authority.issue("other", "grafana.example")
    strangers = Authority(tmp_path, "strangers")
    stranger = strangers.issue("stranger", "prometheus.example")
    web = {
        "tls_server_config": {
            **PAIR,
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": "ca.pem",
            "client_allowed_sans": ["prometheus.example"],
        }
    }
    with Guarded(tmp_path, web) as server:
        assert server.get("/-/healthy", authority.trusted(allowed), None)[0] == 200
        for refused in (None, other, stranger):
            with pytest.raises((OSError, http.client.HTTPException)):
                server.get("/-/healthy", authority.trusted(refused), None)
        assert server.get("/-/healthy", authority.trusted(allowed), None)[0] == 200


def test_a_client_that_speaks_too_old_a_tls_is_refused(tmp_path: Path, authority: Authority) -> None:
    with Guarded(tmp_path, {"tls_server_config": {**PAIR, "min_version": "TLS13"}}) as server:
        context = authority.trusted()
        assert server.get("/-/healthy", context, None)[0] == 200
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            server.get("/-/healthy", context, None)


def test_a_reload_goes_on_behind_the_guard(authority: Authority, guarded: Guarded) -> None:
    guarded.process.send_signal(signal.SIGHUP)
    until(lambda: "configuration reloaded" in guarded.log.read_text(), "the signal is answered")
    assert guarded.get("/-/healthy", authority.trusted())[0] == 200


def test_a_bad_web_configuration_ends_the_start_with_its_sentences(tmp_path: Path) -> None:
    write(tmp_path / "cloudspend.yml", {"sources": [Trouble(tmp_path, "a").config]})
    web = write(tmp_path / "web.yml", {"basic_auth_users": {"a": "clear text"}, "tls_server": {}})
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "serve", "--web.config.file", str(web), "--web.listen-address", ":0"],
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"{web}: line 1: basic_auth_users: what stands for 'a' is not a bcrypt hash. hint: htpasswd" in done.stderr
    assert f"{web}: line 3: tls_server: unknown key. hint: did you mean tls_server_config?" in done.stderr
    assert "clear text" not in done.stderr


def test_what_the_guard_takes_promtool_takes(guarded: Guarded) -> None:
    subprocess.run([require("promtool"), "check", "web-config", str(guarded.web_config)], check=True)


def test_data_past_its_expiry_is_not_served_while_a_poll_hangs(tmp_path: Path) -> None:
    source = Trouble(tmp_path, "a")
    config = write(tmp_path / "cloudspend.yml", {"store": {"path": "data"}, "sources": [source.config]})
    with Daemon(config, ready="/-/ready") as daemon:
        daemon.wait_for("cloudspend_up", 1, source="a")
    source.set("hang")
    # max_age is 36 hours, and an hour of grace
    for hours, shown, requests in ((30, True, 2), (38, False, 3)):
        then = datetime.now(UTC) + timedelta(hours=hours)
        with Daemon(config, CLOUDSPEND_NOW=then.isoformat()) as daemon:
            daemon.wait_for("cloudspend_source_api_requests_total", requests, source="a")  # now it hangs
            assert bool(daemon.values(COST)) is shown
            assert daemon.value("cloudspend_up", source="a") == int(shown)  # the first one that hung was mourned
            assert (daemon.value("cloudspend_source_last_success_timestamp_seconds", source="a") or 0) > 0
            [worker] = daemon.worker_pids()
            os.kill(worker, signal.SIGKILL)
            daemon.wait_for("cloudspend_source_failed", 1, source="a", reason="worker_died")
