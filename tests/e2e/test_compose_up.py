"""The Dockerfile built and docker-compose.yml brought up for real, without an engine and without a registry: minutes.

buildah and podman do it, as root. A minimal Debian stands in for python:3.12-slim, and Debian's programs for the images
of Prometheus, Alertmanager and Pushgateway, under the names that the files ask for. No package brings Grafana: it is
left out. `scripts/install-neighbours containers` installs what is needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.e2e.stack import ROOT
from tests.neighbours import require, until

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(1800)]

COMPOSE = Path(sys.executable).parent / "docker-compose"
SERVICES = ("exporter", "prometheus", "alertmanager", "pushgateway", "history")
PROGRAMS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "pushgateway": ("prometheus-pushgateway", "pushgateway"),
}
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Debian's Alertmanager reads its own templates from here; the image has them built in."""
SETTINGS = """\
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
"""runc, as crun refuses mixed cgroups; limits below those of a container that holds the tests; no systemd."""
STAND_IN = """\
FROM docker.io/library/python:3.12-slim
COPY . /stand-in
RUN mv /stand-in/{name} /bin/{name} && mkdir -p /{name} /usr/share/prometheus \\
    && mv /stand-in /usr/share/prometheus/alertmanager && chown 65534:65534 /{name}
USER 65534:65534
WORKDIR /{name}
ENTRYPOINT ["/bin/{name}"]
"""


@dataclass(frozen=True)
class Machine:
    """Container tools with a storage of their own."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str | Path, check: bool = True) -> str:
        """Run a program to its end; its output, or AssertionError with what it said."""
        done = subprocess.run(
            command, env=dict(self.environment), cwd=ROOT, check=False, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def build(self, image: str, folder: Path, *more: str) -> None:
        """Build an image. The docker format keeps health checks."""
        words = ("bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--network", "host")
        self.run("buildah", *words, *more, "--tag", image, folder)

    def compose(self, *words: str) -> str:
        """Ask the Compose CLI."""
        return self.run(COMPOSE, "--project-name", "cloudspend-test", *words)

    def inspect(self, service: str) -> dict[str, Any]:
        """What podman says of the container of a service."""
        found: dict[str, Any] = json.loads(self.run("podman", "inspect", f"cloudspend-test-{service}-1"))[0]
        return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    for program in ("buildah", "podman", "runc", "debootstrap", "wget"):
        require(program)
    if os.geteuid() != 0:
        pytest.skip("needs root: for chroots and networks")
    folder = tmp_path_factory.mktemp("containers")
    (folder / "containers.conf").write_text(SETTINGS)
    storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(storage)
    environment = os.environ | {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
        "DOCKER_HOST": f"unix://{folder}/podman.sock",
    }
    machine = Machine(folder, environment)
    with (folder / "podman.log").open("wb") as log:
        socket = subprocess.Popen(
            ["podman", "system", "service", "--time=0", environment["DOCKER_HOST"]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until((folder / "podman.sock").exists, "podman listens")
        yield machine
    finally:
        socket.terminate()
        socket.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def images(machine: Machine) -> None:
    """All that the compose file names, but for Grafana's."""
    root = Path(os.environ.get("CLOUDSPEND_TEST_ROOT", machine.folder / "root"))
    if not root.exists():
        packages = "--include=python3,python3-pip,python3-venv,ca-certificates,wget"
        machine.run("debootstrap", "--variant=minbase", packages, "bookworm", root, *_mirror())
    python = root / "usr" / "bin" / "python"
    if not python.exists():
        python.symlink_to("python3")
    for managed in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        managed.unlink()
    base = machine.folder / "base.tar"
    machine.run("tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "-cf", base, ".")
    container = machine.run("buildah", "from", "scratch").strip()
    machine.run("buildah", "add", "-q", container, base, "/")
    machine.run("buildah", "commit", "-q", "--rm", container, "docker.io/library/python:3.12-slim")
    base.unlink()
    # pip's settings of this machine, for the build alone.
    settings = [Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt")]
    mounts = [word for path in settings if path.exists() for word in ("-v", f"{path}:{path}:ro")]
    machine.build("docker.io/library/cloudspend:local", ROOT, *mounts)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, programs in PROGRAMS.items():
        context = machine.folder / name
        context.mkdir()
        shutil.copy(require(*programs), context / name)
        for template in TEMPLATES.glob("*.tmpl"):
            shutil.copy(template, context)
        (context / "Dockerfile").write_text(STAND_IN.format(name=name))
        machine.build(f"docker.io/{services[name]['image']}", context)


def _mirror() -> list[str]:
    """The mirror that the system's own sources name."""
    find = "grep -rshoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d | grep -v snapshot"
    found = subprocess.run(["bash", "-c", find], check=False, capture_output=True, text=True).stdout.split()
    return found[:1]


@pytest.fixture(scope="module")
def up(machine: Machine, images: None) -> Iterator[Machine]:
    """The services, up; history has begun, as the two that it waits for are healthy."""
    ended = threading.Event()

    def check() -> None:
        # podman's timers of health checks are systemd's, so each is asked by hand.
        while not ended.wait(2):
            for service in SERVICES[:-1]:
                machine.run("podman", "healthcheck", "run", f"cloudspend-test-{service}-1", check=False)

    nurse = threading.Thread(target=check)
    nurse.start()
    try:
        machine.compose("up", "--detach", "--pull", "never", *SERVICES)
        yield machine
    finally:
        ended.set()
        nurse.join()
        machine.compose("down", "--volumes", "--timeout", "5")


def query(promql: str) -> list[dict[str, Any]]:
    with urlopen(f"http://127.0.0.1:9090/api/v1/query?{urlencode({'query': promql})}", timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def soon(holds: Callable[[], bool], what: str) -> None:
    def quietly() -> bool:
        with contextlib.suppress(OSError):
            return holds()
        return False

    until(quietly, what, timeout=600)  # beside other tests all of this takes minutes


def test_prometheus_finds_the_exporter_by_its_name(up: Machine) -> None:
    soon(lambda: [one["value"][1] for one in query('up{job="cloudspend"}')] == ["1"], "the exporter is scraped")
    soon(lambda: bool(query("cloudspend_month_to_date_cost")), "the bill is there")
    with urlopen("http://127.0.0.1:9753/", timeout=30) as answer:
        assert b"so far" in answer.read()


def test_history_writes_a_year_and_ends(up: Machine) -> None:
    soon(lambda: up.inspect("history")["State"]["Status"] == "exited", "history has ended")
    assert up.inspect("history")["State"]["ExitCode"] == 0
    [days] = query("max(count_over_time(cloudspend_usage_cost[430d]))")
    assert float(days["value"][1]) > 390


@pytest.mark.parametrize("service", SERVICES[:-1])
def test_a_service_is_healthy_careful_and_nobody(up: Machine, service: str) -> None:
    soon(lambda: up.inspect(service)["State"]["Health"]["Status"] == "healthy", f"{service} is healthy")
    said = up.inspect(service)
    assert said["HostConfig"]["ReadonlyRootfs"]
    assert said["EffectiveCaps"] in (None, [])
    assert said["Config"]["User"].split(":")[0].isdecimal()
    assert said["Config"]["User"].split(":")[0] != "0"


def test_sigterm_ends_the_exporter_at_once_and_well_though_it_is_the_first_process(up: Machine) -> None:
    began = time.monotonic()
    up.run("podman", "stop", "--time", "60", "cloudspend-test-exporter-1")
    assert time.monotonic() < began + 50, "it was killed"
    assert up.inspect("exporter")["State"]["ExitCode"] == 0
