#!/usr/bin/env python3
"""Start, stop and follow the demo: cloudspend on port 9753, and Prometheus and Alertmanager where they are installed.

Prometheus starts with a year of history: every settled day of the store. Everything lies in .demo/: data, logs, one pid
file per process. `make demo`, `make demo-stop`, `make demo-logs`; DEMO_FOLDER and DEMO_ADDRESS move it elsewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path(os.environ.get("DEMO_FOLDER", ROOT / ".demo"))
EXPORTER = os.environ.get("DEMO_ADDRESS", "127.0.0.1:9753")
SOURCES = 2
"""So many has `cloudspend serve --demo`."""


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
    print(f"cloudspend    http://{EXPORTER}/")
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
        write_history()
        address = f"127.0.0.1:{free_port()}"
        flags = [f"--storage.tsdb.path={DEMO / 'prometheus'}", "--storage.tsdb.retention.time=430d"]
        config = f"--config.file={local_prometheus(manager)}"
        command = [prometheus, config, f"--web.listen-address={address}", *flags]
        if launch("prometheus", command, f"http://{address}/-/ready"):
            print(f"Prometheus    http://{address}/graph?g0.expr=provider:cloudspend_month_to_date_cost:sum")
    for name, path in (("Prometheus", prometheus), ("Alertmanager", alertmanager)):
        if not path:
            print(f"{name} is not installed here; scripts/install-neighbours installs it")
    print("make demo-logs follows the log, make demo-stop ends it all")
    return 0


def write_history() -> None:
    """Put a year into Prometheus' folder before it starts: the settled days, and the last hour of scrapes."""
    promtool = found("promtool")
    if not promtool:
        print("promtool is not installed here, so Prometheus starts without history", file=sys.stderr)
        return
    wait_for(lambda: up(scrape()) == SOURCES, 60)
    year, hour, blocks = DEMO / "history.om", DEMO / "hour.om", str(DEMO / "prometheus")
    create = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=8760h", "openmetrics"]
    commands = [
        [sys.executable, "-m", "exporter", "history", "--demo", "--output", str(year)],
        [*create, str(year), blocks],
    ]
    if not (DEMO / "prometheus" / "wal").exists():  # else it has scrapes of its own, and would drop them
        hour.write_text(as_if_scraped(scrape(), int(time.time()) - 5))
        commands.append([*create, str(hour), blocks])
    with (DEMO / "history.log").open("wb") as log:
        for command in commands:
            if subprocess.run(command, cwd=DEMO, stdout=log, stderr=log, check=False).returncode:
                print(f"Prometheus starts without history: {DEMO / 'history.log'} says why", file=sys.stderr)
                return
    year.unlink()
    hour.unlink(missing_ok=True)


def as_if_scraped(said: str, until: int) -> str:
    """What the exporter says now, as of every minute of the hour before `until`, so that graphs begin at once."""
    samples = []
    for line in said.splitlines():
        if line.startswith("cloudspend_"):
            series, _, value = line.rpartition(" ")
            name, brace, labels = series.partition("{")
            labelled = f'{name}{{job="cloudspend",instance="{EXPORTER}"{"," + labels if brace else "}"}'
            samples += [f"{labelled} {value} {at}" for at in range(until - 3600, until + 1, 60)]
    return "\n".join([*samples, "# EOF", ""])


def scrape() -> str:
    with urlopen(f"http://{EXPORTER}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def up(said: str) -> int:
    """How many sources have been polled."""
    return sum(1 for line in said.splitlines() if line.startswith("cloudspend_up{") and line.endswith(" 1"))


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
    """The shipped prometheus.yml with the host names of this machine, and scraping often: nobody waits for a demo."""
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"}
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
    if wait_for(lambda: process.poll() is not None or answers(ready), 60) and process.poll() is None:
        return True
    print(f"{name} did not come up:", file=sys.stderr)
    print((DEMO / f"{name}.log").read_text(errors="replace")[-2000:], file=sys.stderr)
    return False


def wait_for(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it holds in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
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
