"""The real programs beside ours: Prometheus, Alertmanager and their checkers, found, started and stopped.

Every server runs as a child process on a free loopback port, with its data and its log in a folder of the test, and is
ended by its own process id. Nothing waits for a fixed time: each wait has a condition and a deadline.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, cast
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

PACKAGES = {
    # Debian puts `prometheus-` before the name of a program; upstream's archives and images do not.
    "prometheus": "prometheus",
    "promtool": "prometheus",  # from Debian 13 a package of its own, which scripts/install-neighbours knows
    "prometheus-alertmanager": "prometheus-alertmanager",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-pushgateway": "prometheus-pushgateway",
    "pushgateway": "prometheus-pushgateway",
    "victoria-metrics": "victoria-metrics",
    "victoria-metrics-prod": "victoria-metrics",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "node_exporter": "prometheus-node-exporter",
    "icinga2": "icinga2-bin",
    "nagios4": "nagios4-core",
    "chromium": "chromium",
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "wget": "wget",
}
"""Program → the Debian package that brings it."""

PATIENCE = 60.0
"""Seconds after which a wait fails. Servers are ready in a tenth of a second: this is for a machine under load."""


def require(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Where none is: skips the test at home, naming the package; fails it where `CI=true`.
    """
    for name in names:
        # Debian puts icinga2 and nagios4 where a user's own PATH does not look.
        if path := shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
            return path
    missing = f"{' or '.join(names)} not found: install the Debian package {PACKAGES[names[0]]}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def until(holds: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
    """Wait until `holds()`, asking every 50 ms; past `timeout` seconds TimeoutError says `what` did not happen."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(0.05)


class Server:
    """A child process that serves HTTP: running from construction to `stop()`, or to the end of a `with` block.

    Its standard output and error go to the file `log`. Construction returns when `ready` (a URL) answers 200, or is
    true, and raises RuntimeError with the end of the log when the process ends before, or is not ready within `timeout`
    seconds.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        url: str,
        ready: str | Callable[[], bool],
        log: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        self.url = url
        """Root of the server, without a slash at the end."""
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env)
        try:
            holds = ready if callable(ready) else lambda: _answers(ready)
            until(lambda: self._ended() or holds(), f"{argv[0] if callable(ready) else ready} is ready", timeout)
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{argv[0]}: {error}\n{self.log_tail()}") from None
        except BaseException:
            self.stop()
            raise
        if self._ended():
            raise RuntimeError(f"{argv[0]} ended with {self.process.returncode}\n{self.log_tail()}")

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def log_tail(self, characters: int = 3000) -> str:
        """The end of what the server wrote."""
        return self.log.read_text(errors="replace")[-characters:]

    def stop(self, timeout: float = 15.0) -> int:
        """End it by SIGTERM, after `timeout` seconds by SIGKILL. Returns its exit code; harmless when it has ended."""
        if not self._ended():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:
            return cast("int", response.status) == 200
    except HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def prometheus(folder: Path, config_path: Path, *flags: str) -> Server:
    """A real Prometheus over `config_path`, with data and log in `folder`.

    It looks for new targets every 5 s at most, so the first scrape is up to 5 s after the start: start it once and
    change what the target says.
    """
    port = free_port()
    argv = [
        require("prometheus"),
        f"--config.file={config_path}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    url = f"http://127.0.0.1:{port}"
    return Server(argv, url=url, ready=f"{url}/-/ready", log=folder / "prometheus.log")


def alertmanager(folder: Path, config_path: Path) -> Server:
    """A real Alertmanager over `config_path`, with data and log in `folder`."""
    port = free_port()
    argv = [
        require("prometheus-alertmanager", "alertmanager"),
        f"--config.file={config_path}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        # Empty: no gossip. Otherwise it opens a second port, and fails on machines without a private address.
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    return Server(argv, url=url, ready=f"{url}/-/ready", log=folder / "alertmanager.log")


def pushgateway(folder: Path, *flags: str) -> Server:
    """A real Pushgateway, with its log in `folder`. What is pushed to it is gone when it ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [require("prometheus-pushgateway", "pushgateway"), f"--web.listen-address=127.0.0.1:{port}", *flags]
    return Server(argv, url=url, ready=f"{url}/-/ready", log=folder / "pushgateway.log")


def node_exporter(folder: Path, textfiles: Path) -> Server:
    """A real node exporter that exposes the `.prom` files of `textfiles` and next to nothing else."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [
        require("prometheus-node-exporter", "node_exporter"),
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={textfiles}",
    ]
    return Server(argv, url=url, ready=f"{url}/metrics", log=folder / "node-exporter.log")


def victoria_metrics(folder: Path, *flags: str) -> Server:
    """A real VictoriaMetrics that keeps ten years, with data and log in `folder`."""
    port = free_port()
    argv = [
        require("victoria-metrics", "victoria-metrics-prod"),
        f"-storageDataPath={folder / 'victoria-metrics-data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=120",
        "-search.latencyOffset=0s",
        *flags,
    ]
    url = f"http://127.0.0.1:{port}"
    return Server(argv, url=url, ready=f"{url}/health", log=folder / "victoria-metrics.log")


class Sample(TypedDict):
    """One series of an instant query: its labels, `__name__` among them, and (time, value as text)."""

    metric: dict[str, str]
    value: tuple[float, str]


def query(server: Server, promql: str, time: float | None = None) -> list[Sample]:
    """What an instant query answers, at `time` (Unix seconds) or now. A query that is wrong raises ValueError."""
    parameters = {"query": promql} | ({} if time is None else {"time": f"{time:.3f}"})
    try:
        with urlopen(f"{server.url}/api/v1/query?{urlencode(parameters)}", timeout=30) as response:
            answer = json.load(response)
    except HTTPError as error:
        with error:
            raise ValueError(f"{promql}: {error.read().decode()}") from None
    return cast("list[Sample]", answer["data"]["result"])


class Webhook:
    """A receiver on a free loopback port that remembers every JSON body posted to it, and answers 200."""

    def __init__(self) -> None:
        self._bodies: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        hook = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook._remember(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: what arrived is in `bodies`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)
        self._thread.start()

    def _remember(self, body: dict[str, Any]) -> None:
        with self._arrived:
            self._bodies.append(body)
            self._arrived.notify_all()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Everything received so far, oldest first."""
        with self._arrived:
            return list(self._bodies)

    def wait(self, predicate: Callable[[dict[str, Any]], bool], timeout: float = PATIENCE) -> dict[str, Any]:
        """The first body, received already or within `timeout` seconds, for which `predicate` holds."""
        with self._arrived:
            self._arrived.wait_for(lambda: any(map(predicate, self._bodies)), timeout)
            for body in self._bodies:
                if predicate(body):
                    return body
            raise TimeoutError(f"no such body within {timeout:g} s; received: {json.dumps(self._bodies, indent=1)}")

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
