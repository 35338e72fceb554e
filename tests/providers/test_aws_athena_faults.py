"""What goes wrong between us and Athena: the right reason, a bounded number of calls, and no query paid for twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill
from exporter.errors import AccessDenied, BadData, NotReady, SourceError, Throttled, Unavailable
from exporter.periods import ALWAYS, Window
from exporter.polling.sources import Source
from exporter.providers.aws_athena import SPEC
from exporter.providers.aws_athena_client import LEAST, LOOK, price
from exporter.simulator.athena import AthenaCloud
from exporter.simulator.aws import Key
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault, Kind
from exporter.store.state import Failure, Success
from exporter.testing import CountingMeter
from tests.polling.house import HOUR, House
from tests.providers.aws import alone
from tests.providers.gcp_cloud import KeepingMeter

NOW = datetime(2024, 3, 20, 12, tzinfo=UTC)
MARCH = Ask(Window.of_days(date(2024, 3, 1), date(2024, 4, 1)))
START, SHOW, READ, TABLE = "StartQueryExecution", "GetQueryExecution", "GetQueryResults", "GetTableMetadata"
TRIES = 4
SECRET = "made-up-secret-of-athena"


def usage(day: int, cost: str = "1.5", **other: Any) -> Charge:
    told: dict[str, Any] = {"account": "444455556666", "service": "Amazon Made Up", "region": "eu-west-1"}
    start = datetime(2024, 3, day, 3, tzinfo=UTC)
    return Charge(start=start, billed=Decimal(cost), currency="USD", kind="Usage", **told | other)


BILL = Ledger([usage(day) for day in range(1, 11)], {})
WHOLE = Decimal(15)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return alone(monkeypatch, NOW)


@pytest.fixture(scope="module")
def serving() -> Iterator[AthenaCloud]:
    keys = {"AKIASIMULATED": Key(SECRET, "111122223333")}
    with AthenaCloud(BILL, clock=Clock(frozen=NOW), rows=5, keys=keys) as aws:
        yield aws


@pytest.fixture
def aws(serving: AthenaCloud, waits: list[float]) -> AthenaCloud:
    serving.reset()
    serving.queries.clear()
    serving.endings.clear()
    serving.running = 0
    return serving


def fetch(aws: AthenaCloud, meter: CountingMeter | None = None, **more: object) -> Bill:
    given = SPEC.options.model_validate({**aws.options(), **more})
    return SPEC.connect(given, meter or CountingMeter()).fetch(MARCH)


def priced(meter: KeepingMeter) -> tuple[str, Decimal, Mapping[str, Decimal]]:
    """The last request that had a price: inside of a page, the one that is paid."""
    return [each for each in meter.charges if each[1]][-1]


FAULTS: list[tuple[Kind, type[SourceError], int]] = [
    ("throttle", Throttled, TRIES),
    ("error", Unavailable, TRIES),
    ("hang", Unavailable, TRIES),
    ("reset", Unavailable, TRIES),
    ("cut", BadData, 1),
    ("html", BadData, 1),
    ("hollow", BadData, 1),
    ("denied", AccessDenied, 1),
    ("expired", AccessDenied, 1),
]


@pytest.mark.parametrize("operation", [TABLE, START, SHOW, READ])
@pytest.mark.parametrize(("kind", "reason", "tries"), FAULTS)
def test_each_fault_has_its_reason_after_a_bounded_number_of_tries(
    aws: AthenaCloud, waits: list[float], operation: str, kind: Kind, reason: type[SourceError], tries: int
) -> None:
    aws.inject(Fault(kind, operation, times=None, seconds=2))
    meter = CountingMeter()
    with pytest.raises(reason) as caught:
        fetch(aws, meter, timeout="1s")
    assert type(caught.value) is reason
    assert len(aws.asked(operation)) == tries
    assert waits == [1, 2, 4][: tries - 1]
    assert len(meter.operations) == len(aws.calls)
    assert f"athena:{operation}" in caught.value.message
    assert SECRET not in f"{caught.value!r} {caught.value}"
    assert len(aws.queries) <= 1


@pytest.mark.parametrize("operation", [TABLE, START, SHOW, READ])
@pytest.mark.parametrize("kind", ["throttle", "error", "reset"])
def test_what_passes_is_waited_for(aws: AthenaCloud, waits: list[float], operation: str, kind: Kind) -> None:
    aws.inject(Fault(kind, operation, times=2))
    assert fetch(aws).costs.sum() == WHOLE
    assert waits == [1, 2]
    assert len(aws.queries) == 1


def test_a_table_that_is_not_there_is_not_ready(aws: AthenaCloud) -> None:
    with pytest.raises(NotReady, match=r"billing\.nothing is not there") as caught:
        fetch(aws, table="billing.nothing")
    assert "`region`" in (caught.value.hint or "")


def test_a_workgroup_without_a_place_for_results_says_so(aws: AthenaCloud) -> None:
    with pytest.raises(BadData, match="No output location provided"):
        fetch(aws, output_location=None)


# Queries that take long, or end badly


def test_a_query_that_runs_is_waited_for(aws: AthenaCloud, waits: list[float]) -> None:
    aws.running = 4
    assert fetch(aws).costs.sum() == WHOLE
    assert waits == [0.5, 1, 2, 4]


def test_a_query_that_does_not_end_is_found_again_at_the_next_poll(aws: AthenaCloud, waits: list[float]) -> None:
    aws.running = 100
    meter = KeepingMeter()
    with pytest.raises(Unavailable, match="does not end"):
        fetch(aws, meter)
    assert 600 < sum(waits) < 700
    assert fetch(aws, meter).costs.sum() == WHOLE
    assert len(aws.queries) == 1


ENDINGS: list[tuple[str, Mapping[str, Any], type[SourceError], int]] = [
    ("Access denied when writing output to url: s3://made-up-results", {"ErrorCategory": 2}, AccessDenied, 1),
    ("Insufficient permissions to execute the query. glue:GetPartitions", {"ErrorCategory": 2}, AccessDenied, 1),
    ("TABLE_NOT_FOUND: Table 'billing.export' does not exist", {"ErrorCategory": 2}, NotReady, 1),
    ("Query exhausted resources at this scale factor", {"ErrorCategory": 2}, Unavailable, TRIES),
    ("GENERIC_INTERNAL_ERROR: 0", {"ErrorCategory": 1}, Unavailable, TRIES),
    ("Amazon S3 says: Please reduce your request rate. Slow Down", {"ErrorCategory": 3}, Throttled, TRIES),
    ("Something of the moment", {"ErrorCategory": 3, "Retryable": True}, Unavailable, TRIES),
    ("HIVE_BAD_DATA: Malformed Parquet file", {"ErrorCategory": 2}, BadData, 1),
]


@pytest.mark.parametrize(("words", "told", "reason", "tries"), ENDINGS)
def test_a_query_that_fails_has_its_reason_and_costs_nothing(
    aws: AthenaCloud, words: str, told: Mapping[str, Any], reason: type[SourceError], tries: int
) -> None:
    aws.endings = [("FAILED", words, told)] * TRIES
    with pytest.raises(reason, match="the query failed") as caught:
        fetch(aws)
    assert type(caught.value) is reason
    assert words[:40] in caught.value.message
    assert len(aws.queries) == tries
    assert sum(query.paid for query in aws.queries.values()) == 0


def test_a_query_that_fails_for_a_passing_reason_is_sent_again(aws: AthenaCloud) -> None:
    aws.endings = [("FAILED", "GENERIC_INTERNAL_ERROR", {"ErrorCategory": 1})]
    assert fetch(aws).costs.sum() == WHOLE
    assert len(aws.queries) == 2


def test_a_query_that_failed_at_an_earlier_poll_is_not_held_against_this_one(aws: AthenaCloud) -> None:
    """Its token is kept and names it still; what it lacked has been granted since."""
    aws.endings = [("FAILED", "Access denied when writing output to url", {"ErrorCategory": 2})]
    meter = KeepingMeter()
    with pytest.raises(AccessDenied):
        fetch(aws, meter)
    assert fetch(aws, meter).costs.sum() == WHOLE
    assert len(aws.queries) == 2


def test_a_query_that_is_cancelled_is_paid_for_once(aws: AthenaCloud) -> None:
    """By somebody, or by the workgroup's limit of bytes: AWS charges for what it has read, so it is not sent again."""
    aws.endings = [("CANCELLED", "Bytes scanned limit was exceeded", None)]
    meter = KeepingMeter()
    for _ in range(3):
        with pytest.raises(Unavailable, match="Bytes scanned limit was exceeded") as caught:
            fetch(aws, meter)
    assert "workgroup" in (caught.value.hint or "")
    assert len(aws.queries) == 1
    assert priced(meter)[0] == LOOK


# What is paid


def test_a_start_whose_answer_is_lost_runs_once(aws: AthenaCloud) -> None:
    """`cut`: the query is taken on, and the answer about it does not arrive."""
    aws.inject(Fault("cut", START))
    meter = KeepingMeter()
    with pytest.raises(BadData):
        fetch(aws, meter)
    assert fetch(aws, meter).costs.sum() == WHOLE
    assert len(aws.asked(START)) == 2
    assert len(aws.queries) == 1


@pytest.mark.parametrize("after", [0, 1, 2])
def test_after_a_crash_between_pages_only_what_is_missing_is_asked_for(aws: AthenaCloud, after: int) -> None:
    meter = KeepingMeter()
    aws.inject(Fault("denied", READ, after=after))
    with pytest.raises(AccessDenied):
        fetch(aws, meter)
    pages = len(aws.asked(READ)) - 1
    assert fetch(aws, meter).costs.sum() == WHOLE
    good = [call for call in aws.asked(READ) if not call.fault]
    assert len(good) > pages == after
    assert len({call.detail["page"] for call in good}) == len(good)
    assert len(aws.queries) == 1
    assert len([each for each in meter.charges if each[0] == LOOK]) == 2


def test_the_price_is_that_of_the_bytes_read_and_ten_megabytes_at_least() -> None:
    assert price(0, Decimal(5)) == (Decimal(LEAST * 5) / 2**40, LEAST)
    assert price(LEAST + 1, Decimal(5))[1] == 11 * 2**20
    assert price(2**40, Decimal(5)) == (Decimal(5), 2**40)


def test_what_is_planned_is_what_is_asked_for(aws: AthenaCloud) -> None:
    meter = KeepingMeter()
    fetch(aws, meter)
    options = SPEC.options.model_validate(aws.options())
    assert {call.operation for call in SPEC.calls(options, MARCH)} == set(meter.operations)
    [paid] = [call for call in SPEC.calls(options, MARCH) if call.charge]
    assert (paid.operation, paid.charge, paid.units) == priced(meter)


@pytest.fixture
def house(waits: list[float], tmp_path: Path) -> Iterator[tuple[House, AthenaCloud]]:
    """Whole polls with the real ledger, over an estate whose scans are large."""
    with AthenaCloud(BILL, clock=Clock(frozen=NOW), rows=5, scale=10**6) as aws:
        house = House(tmp_path / "house", now=NOW)
        given: Any = SPEC.options.model_validate(aws.options())
        house.sources["athena"] = Source("athena", SPEC, given, 8 * HOUR, 48 * HOUR, 36 * HOUR, (), cache=4 * HOUR)
        yield house, aws


def spent(house: House) -> dict[str, Decimal]:
    with house.state() as state:
        return {
            each.label: each.value for each in state.counters() if each.name.endswith(("charges_total", "units_total"))
        }


def test_a_crash_loop_pays_for_one_query(house: tuple[House, AthenaCloud]) -> None:
    home, aws = house
    aws.inject(Fault("denied", READ, after=2, times=50))
    for _ in range(50):
        assert isinstance(home.poll("athena"), Failure)
    assert isinstance(home.poll("athena"), Success)
    assert home.lake.read(ALWAYS).sum() == WHOLE
    [query] = aws.queries.values()
    assert query.paid > LEAST
    charge, billed = price(query.paid, Decimal(5))
    assert spent(home) == {"USD": charge, "bytes": billed}


def test_the_ledger_says_what_aws_bills(house: tuple[House, AthenaCloud]) -> None:
    home, aws = house
    aws.endings = [("FAILED", "GENERIC_INTERNAL_ERROR", {"ErrorCategory": 1})]
    for _ in range(3):
        success = home.poll("athena")
        assert isinstance(success, Success)
        assert success.unattributed == {"USD": 0}
        home.now += 8 * HOUR
    assert len(aws.queries) == 4
    bills = [price(query.paid, Decimal(5)) for query in aws.queries.values() if query.paid]
    assert spent(home) == {"USD": sum(charge for charge, _ in bills), "bytes": sum(size for _, size in bills)}
