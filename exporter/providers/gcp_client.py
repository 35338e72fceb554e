"""BigQuery as a source asks it: every call with a time limit, tried a few times, metered each time, never paid twice.

The client's own retries are off: they go on for ten minutes (a dead token endpoint among them) and are not metered, and
by default a call may hang for ever. Paid for is the query job alone; describing a table, a dry run, asking for a job
and reading its rows cost nothing (https://cloud.google.com/bigquery/pricing#free).

An answer is not paid for twice even where the process dies in between: the job's id is drawn and kept before the job
is sent, so that the next try is told `duplicate` and takes the job that is there already; then the job's address is
kept, then each page of its rows, which BigQuery holds ready for 24 hours.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from exporter.costs.money import MONEY, RATIO
from exporter.errors import BadData, Throttled, Unavailable
from exporter.providers import NO_UNITS, Meter, rest
from exporter.providers.gcp_errors import DESCRIBE, JOB, READ, Failure, failed, translated
from exporter.providers.gcp_sql import Export, Statement

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.bigquery import Client, QueryJob

Answer = TypeVar("Answer")
Row = Mapping[str, str | None]

RUNS_AT_MOST = 300.0
"""Seconds that a query may run before BigQuery ends it."""
PAGE_ROWS = 20_000

_ONCE: Any = None
"""The client tries once; `BigQuery` counts the tries."""

SCOPE = "https://www.googleapis.com/auth/bigquery"
MEBIBYTE = 2**20
LEAST = 10 * MEBIBYTE
"""Bytes billed at least, for the one table that a statement names; more is rounded up to whole mebibytes."""


def price(size: int, per_tebibyte: Decimal) -> tuple[Decimal, int]:
    """US dollars and bytes that a scan of so many bytes is billed at."""
    billed = max(-(-size // MEBIBYTE) * MEBIBYTE, LEAST)
    return RATIO.divide(MONEY.multiply(Decimal(billed), per_tebibyte), Decimal(2**40)), billed


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may cost, in bytes and dollars, and how many seconds a call may go without a byte."""

    most_bytes: int
    per_tebibyte: Decimal
    seconds: float
    location: str | None = None
    """Where queries run; where the table is unless set."""


class BigQuery:
    """A connection for one poll; close it by leaving it."""

    def __init__(self, connect: Callable[[], tuple[Client, Credentials]], meter: Meter, limits: Limits) -> None:
        self._connect = connect
        self._meter = meter
        self._limits = limits
        self._made: tuple[Client, Credentials] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._made:
            self._made[0].close()

    @property
    def identity(self) -> str:
        """Who the credentials are."""
        credentials = self._connected()[1]
        return str(getattr(credentials, "service_account_email", "") or type(credentials).__name__)

    @property
    def project(self) -> str:
        """The project that pays."""
        return str(self._connected()[0].project)

    def describe(self, table: str) -> Export:
        """A table's columns and partitions."""

        def ask(client: Client) -> Mapping[str, Any]:
            return client.get_table(table, retry=_ONCE, timeout=self._limits.seconds).to_api_repr()

        return Export.described(table, self._call("tables.get", f"describing {table}", ask, DESCRIBE))

    def rows(self, statement: Statement, export: Export) -> Iterator[Row]:
        """The answer to a statement over one table, row by row: column → text."""
        table = export.name
        question = {
            "statement": statement.sql,
            "parameters": [[p.name, p.type, str(p.value)] for p in statement.parameters],
        }
        drawn: list[str] = []

        def draw() -> bytes:
            drawn.append(_drawn())
            return drawn[0].encode()

        identity = self._meter.page({**question, "keep": "job id"}, draw).decode()
        kept = self._meter.page(
            {**question, "keep": "job"}, lambda: self._run(statement, export, identity, fresh=bool(drawn))
        )
        with rest.reading(f"the kept job of {table}"):
            job = json.loads(kept)
            destination = job["table"]
        for page in rest.pages(lambda token: self._page(destination, statement, token, table), "", _next_page):
            yield from _rows(page, statement, table)

    def _run(self, statement: Statement, export: Export, identity: str, *, fresh: bool) -> bytes:
        """Run a statement to its end; where its rows then lie. The last call bears the price: answers are paid for.

        `fresh` says that the job's id was drawn just now, so that no earlier try has sent it.
        """
        doing, place = f"querying {export.name}", self._limits.location or export.location
        pricing = f"pricing a query of {export.name}"
        size = self._call("jobs.dryRun", pricing, lambda client: self._priced(client, statement, place))
        charge, billed = price(size, self._limits.per_tebibyte)
        if billed > self._limits.most_bytes:
            said = f"{doing} would read {size} bytes, more than `max_bytes` ({self._limits.most_bytes})"
            raise Throttled(said, hint="raise `max_bytes`; the look at all of a long history happens once")
        cost = {"charge": charge, "units": {"bytes": Decimal(billed)}}
        for attempt in range(1, rest.PATIENCE.tries + 1):
            job = self._submitted(statement, identity, place, doing, cost)
            if job.error_result is None:
                rows = job.destination
                if rows is None:
                    raise BadData(f"{doing}: the job does not say where its rows are")
                return json.dumps({"job": job.job_id, "table": rows.to_api_repr()}).encode()
            trouble = failed(job.error_result, doing)
            # A job that failed at an earlier poll says nothing about now: what stopped it may be over.
            self._rest(attempt, trouble if fresh else trouble._replace(passing=True))
            identity, fresh = _drawn(), True  # the id that was kept belongs to a job that failed, which costs nothing
        raise Unavailable(f"{doing}: the job failed again and again")

    def _submitted(
        self, statement: Statement, identity: str, place: str | None, doing: str, cost: Mapping[str, Any]
    ) -> QueryJob:
        """The job at its end, sent now or found where an earlier try has sent it."""

        def send(client: Client) -> QueryJob | None:
            from google.api_core.exceptions import Conflict

            with suppress(Conflict):
                return self._sent(client, statement, identity, place)
            return None

        def find(client: Client) -> QueryJob:
            return self._found(client, identity, place)

        job = self._call("jobs.insert", doing, send, **cost) or self._call("jobs.get", doing, find, **cost)
        waited, wait = 0.0, 0.5
        while job.state != "DONE":
            if waited > RUNS_AT_MOST:
                raise Unavailable(f"{doing}: the job {identity} does not end")
            rest.PATIENCE.sleep(wait)
            waited, wait = waited + wait, min(wait * 2, 10.0)
            job = self._call("jobs.get", doing, find, **cost)
        return job

    def _priced(self, client: Client, statement: Statement, place: str | None) -> int:
        """The bytes that a statement would read."""
        asked, seconds = _configured(statement, dry_run=True), self._limits.seconds
        job = client.query(
            statement.sql, job_config=asked, location=place, retry=_ONCE, job_retry=None, timeout=seconds
        )
        size = job.total_bytes_processed
        if size is None:
            raise BadData("the answer to a dry run does not say how many bytes the query would read")
        return int(size)

    def _sent(self, client: Client, statement: Statement, identity: str, place: str | None) -> QueryJob:
        ends = int(RUNS_AT_MOST * 1000)
        asked = _configured(statement, maximum_bytes_billed=self._limits.most_bytes, job_timeout_ms=ends)
        sql, seconds = statement.sql, self._limits.seconds
        return _told(
            client.query(
                sql, job_config=asked, job_id=identity, location=place, retry=_ONCE, job_retry=None, timeout=seconds
            )
        )

    def _found(self, client: Client, identity: str, place: str | None) -> QueryJob:
        return _told(client.get_job(identity, location=place, retry=_ONCE, timeout=self._limits.seconds))

    def _page(self, destination: Mapping[str, str], statement: Statement, token: str, table: str) -> Mapping[str, Any]:
        """A page of a job's rows as the API gives it, checked to be one."""
        from google.cloud.bigquery import SchemaField, TableReference

        doing = f"reading the rows of {table}"
        columns = [SchemaField(name, "STRING") for name in statement.columns]

        def ask(client: Client) -> Mapping[str, Any]:
            found = client.list_rows(
                TableReference.from_api_repr(dict(destination)),
                selected_fields=columns,
                page_size=PAGE_ROWS,
                page_token=token or None,
                retry=_ONCE,
                timeout=self._limits.seconds,
            )
            page: Mapping[str, Any] = next(found.pages).raw_page
            if "totalRows" not in page:  # `rows` may be missing: a last page may be empty
                raise BadData(f"{doing}: the answer is no page of rows")
            return page

        request = {"rows": dict(destination), "page": token}
        body = self._meter.page(request, lambda: json.dumps(self._call("tabledata.list", doing, ask, READ)).encode())
        found: Mapping[str, Any] = json.loads(body)
        return found

    def _call(
        self,
        operation: str,
        doing: str,
        ask: Callable[[Client], Answer],
        permission: str = f"{JOB} and {READ}",
        *,
        charge: Decimal = Decimal(0),
        units: Mapping[str, Decimal] = NO_UNITS,
    ) -> Answer:
        """One call, asked again while the failure may pass and patience lasts; each try is metered."""
        attempt = 1
        while True:
            self._meter.request(operation, charge, units=units)
            try:
                return ask(self._connected()[0])
            except Exception as error:
                trouble = translated(error, doing, permission)
                if trouble is None:
                    raise
            # Out here, where no traceback drags the client's error along: it may quote what it sent.
            self._rest(attempt, trouble)
            attempt += 1

    def _rest(self, attempt: int, trouble: Failure) -> None:
        """Wait until the next try, or raise where there is none."""
        wait = rest.PATIENCE.wait(attempt, trouble.error) if trouble.passing else None
        if wait is None:
            raise trouble.error
        rest.PATIENCE.sleep(wait)

    def _connected(self) -> tuple[Client, Credentials]:
        if self._made is None:
            self._made = self._connect()
        return self._made


def _drawn() -> str:
    return f"cloudspend_{uuid.uuid4().hex}"


def _configured(statement: Statement, **settings: Any) -> Any:
    from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

    parameters = [ScalarQueryParameter(*parameter) for parameter in statement.parameters]
    return QueryJobConfig(query_parameters=parameters, use_query_cache=False, **settings)


def _told(job: Any) -> QueryJob:
    """The job, where the answer says how it stands."""
    if job.state is None:
        raise BadData("the answer about a job does not say how it stands")
    found: QueryJob = job
    return found


def _next_page(page: Mapping[str, Any]) -> str | None:
    token: str | None = page.get("pageToken")
    return token


def _rows(page: Mapping[str, Any], statement: Statement, table: str) -> Iterator[Row]:
    with rest.reading(f"the rows of {table}"):
        for row in page.get("rows", ()):
            cells = [cell["v"] for cell in row["f"]]
            yield dict(zip(statement.columns, cells, strict=True))
