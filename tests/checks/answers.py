"""What an exporter answers at noon on 15 March 2024, made by hand, and a server that says it."""

from __future__ import annotations

import copy
import json
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from exporter.checks.picture import Picture

NOW = "2024-03-15T12:00:00+00:00"
SETTLED = "2024-03-14T00:00:00+00:00"

DOCUMENT: dict[str, Any] = {
    "served": {
        "now": NOW,
        "made": "2024-03-15T11:00:00+00:00",
        "next_change_at": "2024-03-16T00:00:00+00:00",
        "expires_at": "2024-03-16T23:00:00+00:00",
        "sources": {
            "shop": {"label": "aws", "failed": None, "message": None, "hint": None, "waiting": None},
            "lab": {"label": "azure", "failed": None, "message": None, "hint": None, "waiting": None},
        },
    },
    "schema": 2,
    "now": "2024-03-15T11:00:00+00:00",
    "sources": {
        "shop": {
            "provider": "aws_cost_explorer",
            "newest": "2024-03-15T10:00:00+00:00",
            "settled": SETTLED,
            "ended": False,
            "failed": None,
        },
        "lab": {
            "provider": "azure",
            "newest": "2024-03-15T06:00:00+00:00",
            "settled": SETTLED,
            "ended": False,
            "failed": None,
        },
    },
    "totals": {
        "month_to_date": [
            ["aws", "111122223333", "Amazon Simple Storage Service", "USD", "412.5"],
            ["aws", "111122223333", "Amazon EC2", "USD", "1000.25"],
            ["aws", "444455556666", "Amazon EC2", "USD", "200"],
            ["azure", "shop", "Virtual Machines", "EUR", "50.000000000000000000000001"],
        ],
        "previous_month": [["aws", "111122223333", "AWS Glue", "USD", "3"]],
        "latest_day": [
            ["aws", "111122223333", "Amazon EC2", "USD", "90"],
            ["aws", "444455556666", "Amazon EC2", "USD", "10.5"],
            ["azure", "shop", "Virtual Machines", "EUR", "4"],
        ],
    },
    "days": {
        "aws": {
            "USD": [
                ["2024-02-29", "100"],
                ["2024-03-12", "101"],
                ["2024-03-13", "123.45"],
                ["2024-03-14", "80"],
                ["2024-03-15", "7"],
            ]
        },
        "azure": {"EUR": [["2024-03-13", "4"], ["2024-03-14", "1"]]},
    },
    "moving": {
        "2024-03-14": [
            ["aws", "111122223333", "Amazon EC2", "USD", "70"],
            ["aws", "444455556666", "Amazon EC2", "USD", "10"],
            ["azure", "shop", "Virtual Machines", "EUR", "1"],
        ],
        "2024-03-15": [["aws", "444455556666", "Amazon EC2", "USD", "7"]],
    },
    "budgets": [
        {
            "name": "shop",
            "currency": "USD",
            "period": "monthly",
            "period_id": "monthly/2024-03-01",
            "first": "2024-03-01",
            "until": "2024-04-01",
            "limit": "9000",
            "spent": "4100.12",
            "spent_settled": "3900",
            "settled_until": SETTLED,
            "forecast": "8800.1",
            "lower": "8500",
            "upper": "9100",
            "exhausted_on": None,
            "status": "on_track",
            "thresholds": [
                {
                    "ratio": "0.8",
                    "severity": "warning",
                    "reached": False,
                    "reached_settled": False,
                    "projected": True,
                },
                {
                    "ratio": "1",
                    "severity": "critical",
                    "reached": False,
                    "reached_settled": False,
                    "projected": False,
                },
            ],
        }
    ],
    "findings": [],
    "forecasts": [
        {"provider": "aws", "currency": "USD", "month": "2024-03", "total": "8800", "lower": "8500", "upper": "9100"},
        {"provider": "azure", "currency": "EUR", "month": "2024-03", "total": "90", "lower": "80", "upper": "100"},
    ],
    "failed": [],
}

FINDING: dict[str, Any] = {
    "fingerprint": "ab12",
    "source": "shop",
    "provider": "aws",
    "account": "all",
    "service": "Amazon EC2",
    "region": "all",
    "currency": "USD",
    "severity": "high",
    "kind": "step",
    "status": "open",
    "impact": "60.2",
    "settled": True,
    "sentence": "Amazon EC2 costs 40.20 USD a day instead of 10.10",
}


def answer(**changes: Any) -> dict[str, Any]:
    """The document, with parts of it replaced: `part={…}`, or deeper by `part__key=…`."""
    found = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = found
        for word in way:
            place = place[word]
        place[last] = value
    return found


def picture(**changes: Any) -> Picture:
    return Picture(answer(**changes))


class Answering:
    """A server on loopback that gives one answer to everything, and remembers what it was asked."""

    def __init__(
        self, body: Any = None, status: int = 200, *, headers: Mapping[str, str] | None = None, tls: Any = None
    ) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        raw = body if isinstance(body, bytes) else json.dumps(answer() if body is None else body).encode()
        house = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                house.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(status)
                given = {"Content-Length": str(len(raw)), **(headers or {})}
                for name, value in given.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
