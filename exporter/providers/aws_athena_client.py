"""Athena as a source asks it: one query, run and paid for once, its rows read page by page.

Paid for is what a query that succeeds or is cancelled has read; one that fails costs nothing, nor does looking
(https://aws.amazon.com/athena/pricing/). The meter wants a price before it lets a call through, and what a query reads
is known only behind it: so the query is sent and watched at the least price, and looked at once more at its real one.

A query is not run again even where the process dies in between: its token is drawn and kept before it is sent, so that
Athena answers the next try with the query that is there; then the query's id is kept, then each page of rows.
(https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html, ClientRequestToken)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from exporter.costs.money import MONEY, RATIO
from exporter.errors import AccessDenied, BadData, NotReady, Throttled, Unavailable
from exporter.log import masked
from exporter.providers import Meter, rest
from exporter.providers.aws_athena_sql import Statement, Table
from exporter.providers.aws_errors import Failure
from exporter.providers.aws_session import AwsSession

START, LOOK = "athena:StartQueryExecution", "athena:GetQueryExecution"
ROWS, DESCRIBE = "athena:GetQueryResults", "athena:GetTableMetadata"

RUNS_AT_MOST = 600.0
"""Seconds that a query is watched; the next poll finds it again."""
PAGE_ROWS = 1000
"""The most that Athena gives."""
MEGABYTE = 2**20
LEAST = 10 * MEGABYTE
"""Bytes billed at least; more is rounded up to whole megabytes."""

_DENIED = ("access denied", "accessdenied", "not authorized", "insufficient permission", "permission denied")
_ABSENT = ("table_not_found", "schema_not_found", "entitynotfound", "does not exist")
_EXCERPT = 300


def price(size: int, per_terabyte: Decimal) -> tuple[Decimal, int]:
    """US dollars and bytes that a scan of so many bytes is billed at."""
    billed = max(-(-size // MEGABYTE) * MEGABYTE, LEAST)
    return RATIO.divide(MONEY.multiply(Decimal(billed), per_terabyte), Decimal(2**40)), billed


@dataclass(frozen=True, slots=True)
class Place:
    """Where queries run and leave their results."""

    catalog: str
    workgroup: str
    output: str | None
    """s3://…; None where the workgroup says it."""
    per_terabyte: Decimal
    endpoint: str | None = None


class Athena:
    """A connection for one poll, over a session of somebody else's."""

    def __init__(self, aws: AwsSession, meter: Meter, place: Place) -> None:
        self._aws = aws
        self._meter = meter
        self._place = place

    def describe(self, table: str, kind: str) -> Table:
        """A table's columns and partitions."""
        database, _, name = table.partition(".")
        place = self._place
        request = {"CatalogName": place.catalog, "DatabaseName": database, "TableName": name}
        try:
            answer = self._call(DESCRIBE, {**request, "WorkGroup": place.workgroup}, "TableMetadata")
        except BadData as error:
            if "MetadataException" not in error.message:
                raise
            hint = "check `table`, `catalog` and `region`; a crawler makes the table a day after the export began"
            raise NotReady(f"{table} is not there: {error.message}", hint=hint) from None
        with rest.reading(f"the description of {table}"):
            return Table.described(table, answer["TableMetadata"], kind)

    def rows(self, statement: Statement, table: str) -> Iterator[dict[str, str | None]]:
        """The answer to a statement over one table, row by row: column → text."""
        place = self._place
        question = {"statement": statement.sql, "catalog": place.catalog, "workgroup": place.workgroup}
        drawn: list[str] = []

        def draw() -> bytes:
            drawn.append(_drawn())
            return drawn[0].encode()

        token = self._meter.page({**question, "keep": "token"}, draw).decode()
        kept = self._meter.page(
            {**question, "keep": "query"}, lambda: self._run(statement, table, token, fresh=bool(drawn))
        )
        with rest.reading(f"the kept query of {table}"):
            ended = json.loads(kept)
            query, state, reason = ended["query"], ended["state"], ended["reason"]
        if state != "SUCCEEDED":
            hint = "somebody stopped it, or it passed the workgroup's limit of bytes: raise that"
            raise Unavailable(f"querying {table}: the query was cancelled: {reason}", hint=hint)
        first = True
        for page in rest.pages(lambda after: self._page(query, after), "", lambda page: page.get("NextToken")):
            with rest.reading(f"the rows of {table}"):
                found = [_cells(row) for row in page["ResultSet"]["Rows"]]
                if first and (not found or tuple(found.pop(0)) != statement.columns):
                    raise BadData(f"the answer about {table} does not begin with the names of its columns")
                first = False
                yield from (dict(zip(statement.columns, cells, strict=True)) for cells in found)

    def _run(self, statement: Statement, table: str, token: str, *, fresh: bool) -> bytes:
        """Run a statement to its end. The last call bears the price."""
        doing = f"querying {table}"
        for attempt in range(1, rest.PATIENCE.tries + 1):
            query = self._started(statement, table, token)
            ended = self._ended(query, doing)
            with rest.reading(f"how {doing} went"):
                status = ended["Status"]
                state, reason = str(status["State"]), _short(str(status.get("StateChangeReason", "")))
                size = int(ended["Statistics"]["DataScannedInBytes"]) if state != "FAILED" else 0
            if state != "FAILED":
                self._look(query, *price(size, self._place.per_terabyte))
                return json.dumps({"query": query, "state": state, "reason": reason}).encode()
            trouble = _failed(status, reason, doing)
            # A query that failed at an earlier poll says nothing about now: what it lacked may be there.
            wait = rest.PATIENCE.wait(attempt, trouble.error) if trouble.passing or not fresh else None
            if wait is None:
                raise trouble.error
            rest.PATIENCE.sleep(wait)
            token, fresh = _drawn(), True
        raise Unavailable(f"{doing}: the query failed again and again")

    def _started(self, statement: Statement, table: str, token: str) -> str:
        place = self._place
        request: dict[str, Any] = {
            "QueryString": statement.sql,
            "ClientRequestToken": token,
            "QueryExecutionContext": {"Catalog": place.catalog, "Database": table.partition(".")[0]},
            "WorkGroup": place.workgroup,
        }
        if place.output:
            request["ResultConfiguration"] = {"OutputLocation": place.output}
        charge, billed = price(0, place.per_terabyte)
        return str(self._call(START, request, "QueryExecutionId", charge, billed)["QueryExecutionId"])

    def _ended(self, query: str, doing: str) -> Mapping[str, Any]:
        """The query at its end."""
        waited, wait = 0.0, 0.5
        while True:
            found = self._look(query, *price(0, self._place.per_terabyte))
            with rest.reading(f"how {doing} goes"):
                if found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                    return found
            if waited > RUNS_AT_MOST:
                raise Unavailable(f"{doing}: the query {query} does not end", hint="the next poll looks at it again")
            rest.PATIENCE.sleep(wait)
            waited, wait = waited + wait, min(wait * 2, 10.0)

    def _look(self, query: str, charge: Decimal, billed: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._call(LOOK, {"QueryExecutionId": query}, "QueryExecution", charge, billed)[
            "QueryExecution"
        ]
        return found

    def _page(self, query: str, after: str) -> dict[str, Any]:
        request = {"QueryExecutionId": query, "MaxResults": PAGE_ROWS, **({"NextToken": after} if after else {})}

        def fetch() -> bytes:
            answer = self._call(ROWS, request, "ResultSet")
            with rest.reading(f"the answer of {ROWS}"):
                rows = [{"Data": row["Data"]} for row in answer["ResultSet"]["Rows"]]
            return json.dumps({"ResultSet": {"Rows": rows}, "NextToken": answer.get("NextToken")}).encode()

        return dict(json.loads(self._meter.page({"operation": ROWS, **request}, fetch)))

    def _call(
        self, operation: str, request: Mapping[str, Any], needs: str, charge: Decimal = Decimal(0), billed: int = 0
    ) -> dict[str, Any]:
        units = {"bytes": Decimal(billed)} if billed else {}
        name, where = operation.partition(":")[2], self._place.endpoint
        return self._aws.call("athena", name, request, needs=(needs,), charge=charge, units=units, endpoint=where)


def _failed(status: Mapping[str, Any], reason: str, doing: str) -> Failure:
    """Why a query that was taken on did not end well."""
    told, words = status.get("AthenaError") or {}, reason.lower()
    said = f"{doing}: the query failed: {reason}"
    if any(word in words for word in _DENIED):
        hint = (
            "the credentials need the table, the export's bucket and the results' bucket (`test-access --print-policy`)"
        )
        return Failure(AccessDenied(said, hint=hint))
    if any(word in words for word in _ABSENT):
        return Failure(NotReady(said, hint="check `table`, `catalog` and `region`"))
    if "throttl" in words or "slow down" in words or "too many" in words:
        return Failure(Throttled(said, hint="poll less often (`poll_every`)"), passing=True)
    if told.get("Retryable") or told.get("ErrorCategory") == 1 or "exhausted resources" in words:
        return Failure(Unavailable(said), passing=True)
    return Failure(BadData(said, hint="is the table an AWS export, whose columns are those of its files?"))


def _drawn() -> str:
    return f"cloudspend-{uuid.uuid4().hex}"


def _cells(row: Mapping[str, Any]) -> list[str | None]:
    return [cell.get("VarCharValue") for cell in row["Data"]]


def _short(words: str) -> str:
    return " ".join(masked(words).split())[:_EXCERPT]
