"""Alertmanager's webhook: how soon a large group of alerts is on the disk, and what scrapes notice of it."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from typing import Any

from benchmarks.house import NOW, House
from benchmarks.outcome import Figure, Line, Outcome, Target
from benchmarks.scale import Scale
from benchmarks.scraper import Scraper
from benchmarks.timing import milliseconds
from exporter import snapshot

_ALERTS, _FINDINGS = 1000, 200
_LIMIT = 1000  # milliseconds
_SERIES = 10_000
_CHANNEL = 'notify: {{channels: [{{name: hook, type: webhook, url: "http://127.0.0.1:{port}/", timeout: 10m}}]}}\n'


def outcomes(scale: Scale) -> Iterator[Outcome]:
    """Groups of 1,000 alerts about findings, while the one channel never answers: nobody waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # whoever connects is never accepted, and waits
        more = _CHANNEL.format(port=silent.getsockname()[1])
        house = House.built(scale.folder / "receiver", _SERIES, more=more)
        _find(house)
        numbers = itertools.count()
        with house.daemon() as (_, port):
            scraper = Scraper(port)
            rest = [scraper.scrape().milliseconds for _ in range(scale.scrapes)]
            post = _poster(port, numbers)
            post()
            took = [milliseconds(post) for _ in range(scale.rounds)]
            beside = _beside(scraper, post, scale.rounds)
    what = f"a group of {_ALERTS} alerts"
    yield Line(f"{what}: until it is on the disk and answered", Figure.of(took, "ms"), target=Target(value=_LIMIT))
    note = (
        f"p99 {quantiles(rest, n=100)[98]:.1f} ms at rest, {quantiles(beside, n=100)[98]:.1f} ms beside;"
        f" {len(rest)} and {len(beside)} scrapes of {_SERIES // 1000} k series. What they share is one interpreter"
    )
    ours, theirs = Figure.of([median(beside)], "ms"), Figure.of([median(rest)], "ms")
    yield Line("scrape while such groups come one after the other", ours, "at rest", theirs, note=note)


def _find(house: House) -> None:
    """Let the newest snapshot have as many findings as one can have."""
    current = snapshot.load(house.paths.snapshots)
    assert current is not None
    findings = [_finding(number) for number in range(_FINDINGS)]
    check = {**current.check(), "findings": findings}
    snapshot.publish(house.paths.snapshots, current.manifest, bytes(current.plain), check)


def _finding(number: int) -> dict[str, Any]:
    part = {
        "account": "111122223333",
        "service": f"service {number}",
        "region": "eu-west-1",
        "excess": "1",
        "new": False,
    }
    amounts = dict.fromkeys(("expected", "actual", "impact"), "12.5")
    sentence = f"Service {number} cost 12.50 USD, far more than it should."
    return {"fingerprint": f"f{number}", "currency": "USD", "sentence": sentence, "parts": [part] * 5, **amounts}


def _poster(port: int, numbers: Iterator[int]) -> Callable[[], None]:
    """Sends a group that was never sent before."""
    address = "http://127.0.0.1"

    def post() -> None:
        group = next(numbers)
        body = json.dumps(_group(group, address)).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/receiver/alertmanager", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if (answer.status, said) != (200, b"1 message\n"):
            raise RuntimeError(f"the receiver answered {answer.status}: {said.decode()}")

    return post


def _group(number: int, address: str) -> dict[str, Any]:
    labels = {"alertname": "CloudspendAnomaly", "job": "cloudspend", "source": "bill", "severity": "warning"}
    alerts = [
        {
            "status": "firing",
            "labels": {**labels, "fingerprint": f"f{each % _FINDINGS}", "service": f"service {each}"},
            "annotations": {
                "summary": f"Service {each} costs more than it should.",
                "description": f"aws, account 111122223333: 12.50 USD where 2.50 was expected, service {each}. " * 3,
                "runbook_url": f"{address}/runbooks.md#cloudspendanomaly",
            },
            "startsAt": NOW,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": f"{address}/graph?g0.expr=1&g0.tab=1",
            "fingerprint": f"{each:016x}",
        }
        for each in range(_ALERTS)
    ]
    return {
        "version": "4",
        "status": "firing",
        "receiver": "cloudspend",
        "truncatedAlerts": 0,
        "groupKey": f"{{}}:{{group={number}}}",
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": address,
        "alerts": alerts,
    }


def _beside(scraper: Scraper, post: Callable[[], None], groups: int) -> list[float]:
    """Milliseconds of the scrapes made while so many groups come."""
    failed: list[Exception] = []

    def all_of_them() -> None:
        try:
            for _ in range(groups):
                post()
        except Exception as error:  # told by whoever waits for the thread
            failed.append(error)

    sending = threading.Thread(target=all_of_them)
    sending.start()
    found = []
    while sending.is_alive():
        found.append(scraper.scrape().milliseconds)
    sending.join()
    if failed:
        raise failed[0]
    return found
