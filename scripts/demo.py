#!/usr/bin/env python3
"""Start, stop and follow the demo: cloudspend on port 9753, and Prometheus and Alertmanager where they are installed.

Everything lies in .demo/: data, logs, one pid file per process. `make demo`, `make demo-stop`, `make demo-logs`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / ".demo"
EXPORTER = "127.0.0.1:9753"


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    words = {"start": start, "stop": stop, "logs": logs}
    if word not in words:
        print("usage: scripts/demo.py start|stop|logs", file=sys.stderr)
        return 2
    return words[word]()


def start() -> int:
    DEMO.mkdir(exist_ok=True)
    if any(running(name) for name in pids()):
        print(f"the demo runs already: http://{EXPORTER}/ (make demo-stop ends it)")
        return 0
    command = [sys.executable, "-m", "exporter", "serve", "--demo", "--web.listen-address", EXPORTER]
    if not launch("cloudspend", command, f"http://{EXPORTER}/-/ready"):
        return 1
    print(f"cloudspend    http://{EXPORTER}/metrics")
    prometheus, alertmanager = found("prometheus"), found("prometheus-alertmanager", "alertmanager")
    manager = None
    if alertmanager:
        manager = f"127.0.0.1:{free_port()}"
        flags = ["--cluster.listen-address=", f"--storage.path={DEMO / 'alertmanager'}"]
        config = f"--config.file={ROOT / 'alertmanager' / 'alertmanager.yml'}"
        command = [alertmanager, config, f"--web.listen-address={manager}", *flags]
        if launch("alertmanager", command, f"http://{manager}/-/ready"):
            print(f"Alertmanager  http://{manager}/")
    if prometheus:
        address = f"127.0.0.1:{free_port()}"
        flags = [f"--storage.tsdb.path={DEMO / 'prometheus'}", "--storage.tsdb.retention.time=400d"]
        config = f"--config.file={local_prometheus(manager)}"
        command = [prometheus, config, f"--web.listen-address={address}", *flags]
        if launch("prometheus", command, f"http://{address}/-/ready"):
            print(f"Prometheus    http://{address}/graph?g0.expr=provider:cloudspend_month_to_date_cost:sum")
    for name, path in (("Prometheus", prometheus), ("Alertmanager", alertmanager)):
        if not path:
            print(f"{name} is not installed here; scripts/install-neighbours installs it")
    print("make demo-logs follows the log, make demo-stop ends it all")
    return 0


def stop() -> int:
    for name in pids():
        pid = running(name)
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 15
            while running(name) and time.monotonic() < deadline:
                time.sleep(0.1)
            print(f"{name} {'has not ended yet' if running(name) else 'ended'}")
        pid_file(name).unlink(missing_ok=True)
    return 0


def logs() -> int:
    if not (DEMO / "cloudspend.log").exists():
        print("nothing to follow; make demo starts it", file=sys.stderr)
        return 1
    os.execvp("tail", ["tail", "-n", "50", "-F", str(DEMO / "cloudspend.log")])


def local_prometheus(alertmanager: str | None) -> Path:
    """The shipped prometheus.yml with the host names of this machine; all else is as shipped."""
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    config["rule_files"] = [str(ROOT / path) for path in config["rule_files"]]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "cloudspend"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [EXPORTER]}]
    targets = [alertmanager] if alertmanager else []
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": targets}]}]
    path = DEMO / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def launch(name: str, command: list[str], ready: str) -> bool:
    """Start a process of the demo; whether it answers 200 at `ready`."""
    with (DEMO / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=DEMO, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    # The command line beside the number: a pid may belong to somebody else by the time of `stop`.
    pid_file(name).write_text(f"{process.pid}\n{command[0]}")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(ready, timeout=5) as answer:
                if answer.status == 200:
                    return True
        except (URLError, OSError):
            pass
        time.sleep(0.1)
    print(f"{name} did not come up:", file=sys.stderr)
    print((DEMO / f"{name}.log").read_text(errors="replace")[-2000:], file=sys.stderr)
    return False


def pids() -> list[str]:
    return sorted(path.stem for path in DEMO.glob("*.pid"))


def pid_file(name: str) -> Path:
    return DEMO / f"{name}.pid"


def running(name: str) -> int | None:
    """The pid of one of our processes, or None when it has ended."""
    try:
        number, program = pid_file(name).read_text().splitlines()
        return int(number) if program in command_line(number) else None
    except (OSError, ValueError):
        return None


def command_line(pid: str) -> str:
    """How a process was started; empty where there is none of that number."""
    if Path("/proc/self/cmdline").exists():
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return subprocess.run(["ps", "-o", "args=", "-p", pid], capture_output=True, text=True, check=False).stdout


def found(*names: str) -> str | None:
    return next((path for path in map(shutil.which, names) if path), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


if __name__ == "__main__":
    sys.exit(main())
