"""A simulated day, hour by hour, over the end of a month: the exporter tells by itself, and nothing but what jumps.

Cost Explorer is the simulated one, asked over HTTP by the vendor's client; the bot is a double that checks signature
and card.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.costs.money import add
from exporter.notify.postman import deliver_once
from exporter.periods import HOUR
from exporter.simulator.aws.estate import DATA, EC2, WEB
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault
from exporter.testing.doubles import FeishuDouble, WebhookDouble
from tests.acceptance.world import ASKED, World, opened

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
BEGIN, END = MIDNIGHT - 22 * HOUR, MIDNIGHT + 9 * HOUR
DEAR, JUMP, DENIED = MIDNIGHT - 22 * HOUR, MIDNIGHT - 21 * HOUR, MIDNIGHT - 20 * HOUR
CREDITED = MIDNIGHT + 4 * HOUR
# A day after the jump nothing stands in the way any more of what a new month could do to the rule.
TELLING = [BEGIN, JUMP, DENIED, *(MIDNIGHT + number * HOUR for number in (-2, -1, 0, 1, 3, 4, 5, 8))]
EVERY = [BEGIN + number * HOUR for number in range((END - BEGIN) // HOUR)]
LAMBDA, NAT = "AWS Lambda", "EC2 - Other"


def charge(at: datetime, service: str, region: str, amount: Decimal, kind: str = "Usage") -> Charge:
    return Charge(
        start=at,
        account=DATA if service == NAT else WEB,
        service=service,
        region=region,
        billed=round(amount, 2),
        currency="USD",
        kind=kind,
        details={"usage_type": "NoUsageType"},
    )


def month_before(ledger: Ledger, instant: datetime) -> Decimal:
    """What usage has cost in the month before an instant."""
    month = instant.replace(day=1, hour=0)
    usage = (each for each in ledger.shown(instant) if each.kind == "Usage" and month <= each.start < instant)
    return add(*(each.billed for each in usage))


def live(world: World, hours: Collection[datetime]) -> None:
    """Ask and tell five minutes into each of these hours; nobody does anything in the others."""
    for hour in hours:
        world.move(hour + timedelta(minutes=5))
        if hour == DENIED:
            world.inject("aws", Fault("denied", ASKED["aws"], times=None))
        assert world.poll() == {"aws": "access_denied" if hour == DENIED else ""}
        world.heal()
        patience = timedelta(minutes=1)
        waiting = deliver_once(world.config, world.paths.state, world.paths.snapshots, world.clock, patience)
        assert waiting == {}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "hours", [pytest.param(TELLING, id="with-gaps"), pytest.param(EVERY, id="every-hour", marks=pytest.mark.matrix)]
)
def test_an_hour_of_six_percent_is_told_with_what_moved_and_neither_month_end_nor_credit_nor_gap_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: Collection[datetime]
) -> None:
    with FeishuDouble("s1gn-secret") as bot, WebhookDouble() as everything:
        channels = [
            {"name": "bot", "type": "feishu", "url": bot.url, "secret": "s1gn-secret", "kinds": ["hourly_jump"]},
            {"name": "everything", "type": "webhook", "url": everything.url},
        ]
        top = {"notify": {"direct": True, "channels": channels}}
        with opened(tmp_path, monkeypatch, BEGIN, END, ("aws",), 2, top, hours=True) as world:
            ledger = world.clouds["aws"].ledger
            ledger.charges.append(charge(DEAR, EC2, "us-east-1", month_before(ledger, DEAR) * Decimal("0.03")))
            month = month_before(ledger, JUMP)
            ledger.charges += [
                charge(JUMP, LAMBDA, "eu-west-1", month * Decimal("0.04")),
                charge(JUMP, NAT, "us-east-1", month * Decimal("0.02")),
                charge(CREDITED, EC2, "us-east-1", month / -2, "Credit"),
            ]
            live(world, hours)
    [card] = [request.json["card"] for request in bot.taken]
    assert card["header"]["title"]["content"] == "[MEDIUM] aws (aws) made a jump of 6.1% within an hour"
    sentence, _, _, moved, _ = (element.get("text", {}).get("content", "") for element in card["elements"])
    assert "in the hour from 03:00 UTC on 31 May 2024" in sentence
    assert [line.partition(": +")[0] for line in moved.splitlines()][:2] == [LAMBDA, NAT]
    # Whatever else was said in that day and a half, at any severity, is about the day of the jump.
    others = [request.json for request in everything.taken if request.json["kind"] != "hourly_jump"]
    assert {(each["kind"], dict(each["facts"])["began"]) for each in others} <= {("anomaly", "2024-05-31")}
    assert len(everything.taken) == len(others) + 1
