"""nginx serving files that were compressed beforehand: what a scrape costs at the least."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import process
from benchmarks.process import Child
from benchmarks.scraper import Scraper, answers

MISSING = "nginx is not installed (Debian package nginx)"

# One process, so that its CPU time is one number; the rest as Debian has it.
_CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    types {{ }}
    default_type "text/plain; version=0.0.4; charset=utf-8";
    gzip_static on;
    keepalive_requests 1000000;
    {places}
    server {{
        listen 127.0.0.1:{port};
        root {folder};
    }}
}}
"""
_PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def found() -> str | None:
    """Where nginx is; None where it is not installed."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


@contextmanager
def serving(program: str, folder: Path, plain: bytes, compressed: bytes) -> Iterator[tuple[Child, int]]:
    """nginx, answering `/metrics` with these bytes, and its port."""
    folder.mkdir()
    (folder / "metrics").write_bytes(plain)
    (folder / "metrics.gz").write_bytes(compressed)
    port = process.free_port()
    places = "\n    ".join(f"{name}_temp_path {folder}/{name};" for name in _PLACES)
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, places=places))
    log = folder / "said"
    with process.running([program, "-p", folder, "-c", config, "-e", folder / "nginx.log"], log) as child:
        process.wait_until(lambda: answers(Scraper(port)), log)
        yield child, port
