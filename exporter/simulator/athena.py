"""Athena on loopback: one table, queries that run for a while, rows by the page. Beside it the sts of `Aws`.

Requests and replies are checked against botocore's model; signatures as everywhere in `Aws`. What a query reads is paid
for when it succeeds or is cancelled; one token is one query, however often it is sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from exporter.simulator.athena_lines import CUR2, Layout
from exporter.simulator.athena_table import ExportTable, QueryFailed, Result
from exporter.simulator.aws import signatures, wire
from exporter.simulator.aws.cloud import Aws
from exporter.simulator.ledger import Ledger
from exporter.simulator.server import Fault, Reply, Request

TABLE = "billing.export"
REGION = "eu-central-1"
RESULTS = "s3://made-up-results/athena/"
PREFIX = "AmazonAthena."
_REQUIRED = {
    "StartQueryExecution": "QueryExecutionId",
    "GetQueryExecution": "QueryExecution",
    "GetQueryResults": "ResultSet",
    "GetTableMetadata": "TableMetadata",
}
MOST_ROWS = 1000


@dataclass(slots=True)
class Query:
    """One query that was taken on."""

    id: str
    request: Mapping[str, Any]
    begun: datetime
    looks: int = 0
    """How often it still answers RUNNING."""
    result: Result = field(default_factory=lambda: Result((), [], 0))
    state: str = "SUCCEEDED"
    reason: str = ""
    error: Mapping[str, Any] | None = None

    @property
    def paid(self) -> int:
        """Bytes read and charged for."""
        return 0 if self.state == "FAILED" else self.result.scanned


class AthenaCloud(Aws):
    """AWS with an export's table in Athena."""

    name: ClassVar[str] = "athena"

    def __init__(
        self, ledger: Ledger, *, rows: int = MOST_ROWS, layout: Layout = CUR2, scale: int = 1, **more: Any
    ) -> None:
        super().__init__(ledger, **more)
        self.table = ExportTable(ledger, TABLE, layout, scale)
        self.columns: dict[str, str] = dict(layout.columns)
        """As the table is described; what is taken out is not told."""
        self.rows = rows
        """Rows on a page, its header counted."""
        self.queries: dict[str, Query] = {}
        self.running = 0
        """How often the next queries answer RUNNING when they are looked at."""
        self.endings: list[tuple[str, str, Mapping[str, Any] | None]] = []
        """State, reason and AthenaError that the next queries end with, in place of their result."""
        self._ids = itertools.count(1)

    def options(self) -> dict[str, Any]:
        """Options of a source that reads the table."""
        given = super().options()
        kept = ("endpoint_url", "sts_endpoint_url", "access_key_id", "secret_access_key")
        own = {"table": TABLE, "region": REGION, "output_location": RESULTS}
        return {**{name: given[name] for name in kept}, **own}

    def operation(self, request: Request) -> tuple[str, str]:
        """See `CloudServer.operation`."""
        target = request.headers.get("x-amz-target", "")
        if not target.startswith(PREFIX):
            return super().operation(request)
        key = self.identity.keys.get(signatures.key_id(request))
        return target.removeprefix(PREFIX), key.account if key else ""

    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:
        """See `CloudServer.refusal`."""
        if operation not in _REQUIRED:
            return super().refusal(fault, request, operation)
        words = {
            "throttle": ("TooManyRequestsException", "Rate exceeded", 400),
            "denied": ("AccessDeniedException", f"User is not authorized to perform: athena:{operation}", 400),
            "expired": ("ExpiredTokenException", "The security token included in the request is expired", 400),
        }
        error = ("InternalServerException", "Something went wrong", fault.status)
        code, message, status = words.get(fault.kind, error)
        return wire.refusal("athena", fault.code or code, message, status, fault.headers)

    def hollow(self, operation: str) -> Reply:
        """See `CloudServer.hollow`."""
        return Reply.json({"NotHere": ""}) if operation in _REQUIRED else super().hollow(operation)

    def _answered(self, request: Request, operation: str, *, lose: bool = False) -> tuple[Reply, Mapping[str, Any]]:
        if operation not in _REQUIRED:
            return super()._answered(request, operation, lose=lose)
        signatures.signer(request, "athena", self.identity.keys, (REGION,))
        asked = _checked(request, operation)
        answers = {
            "GetTableMetadata": self._described,
            "StartQueryExecution": self._started,
            "GetQueryExecution": self._looked,
        }
        document = self._read(asked, lose=lose) if operation == "GetQueryResults" else answers[operation](asked)
        detail = {"query": asked.get("QueryExecutionId", ""), "page": asked.get("NextToken", "")}
        return wire.reply("athena", operation, document), detail

    def _described(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if f"{asked['DatabaseName']}.{asked['TableName']}" != TABLE:
            message = "Unable to retrieve metadata: EntityNotFoundException: Entity Not Found"
            raise wire.refused("athena", "MetadataException", message)
        columns = [{"Name": name, "Type": type_} for name, type_ in self.columns.items()]
        keys = [{"Name": name, "Type": "string"} for name in self.table.layout.partitions]
        return {"TableMetadata": {"Name": asked["TableName"], "Columns": columns, "PartitionKeys": keys}}

    def _started(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if "ResultConfiguration" not in asked:
            message = "No output location provided. An output location is required either through the Workgroup"
            raise wire.refused("athena", "InvalidRequestException", f"{message} result configuration setting.")
        with self._lock:
            for query in self.queries.values():
                if query.request["ClientRequestToken"] == asked["ClientRequestToken"]:
                    if query.request != asked:
                        raise wire.refused("athena", "InvalidRequestException", "Idempotent parameters do not match")
                    return {"QueryExecutionId": query.id}
            query = Query(f"made-up-query-{next(self._ids)}", dict(asked), datetime.now(UTC), self.running)
            self.queries[query.id] = query
        try:
            query.result = self.table.query(asked["QueryString"], self.now)
        except QueryFailed as error:
            query.state, query.reason, query.error = "FAILED", str(error), {"ErrorCategory": 2, "Retryable": False}
        if self.endings:
            query.state, query.reason, query.error = self.endings.pop(0)
        return {"QueryExecutionId": query.id}

    def _looked(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        query = self._query(asked)
        running = query.looks > 0
        query.looks -= running
        status: dict[str, Any] = {"State": "RUNNING" if running else query.state}
        if query.reason and not running:
            status |= {"StateChangeReason": query.reason} | ({"AthenaError": query.error} if query.error else {})
        # botocore's model says what Statistics may hold; a running query tells what it has read so far.
        statistics = {"DataScannedInBytes": 0 if running else query.result.scanned}
        told = {"QueryExecutionId": query.id, "Query": query.request["QueryString"], "Status": status}
        return {"QueryExecution": {**told, "Statistics": statistics, "WorkGroup": query.request.get("WorkGroup", "")}}

    def _read(self, asked: Mapping[str, Any], *, lose: bool) -> dict[str, Any]:
        query = self._query(asked)
        if query.state != "SUCCEEDED":
            message = f"Query did not finish successfully. Final query state: {query.state}"
            raise wire.refused("athena", "InvalidRequestException", message)
        size = min(asked.get("MaxResults", MOST_ROWS), self.rows)
        rows: list[tuple[str | None, ...]] = [query.result.columns, *query.result.rows]
        first = int(asked.get("NextToken", 0)) + (size if lose else 0)
        page = [
            {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows[first:][:size]
        ]
        more = {"NextToken": str(first + size)} if first + size < len(rows) else {}
        return {"ResultSet": {"Rows": page}, "UpdateCount": 0, **more}

    def _query(self, asked: Mapping[str, Any]) -> Query:
        query = self.queries.get(asked["QueryExecutionId"])
        if query is None:
            message = f"QueryExecution {asked['QueryExecutionId']} was not found"
            raise wire.refused("athena", "InvalidRequestException", message)
        return query


def _checked(request: Request, operation: str) -> dict[str, Any]:
    """What a request asks for. Patterns of this service's model are Java's and not looked at."""
    from botocore.validate import ParamValidator

    asked: dict[str, Any] = request.json()
    shape = wire.model("athena").operation_model(operation).input_shape
    report = ParamValidator().validate(asked, shape)
    unknown = asked.keys() - shape.members.keys()
    if report.has_errors() or unknown:
        raise wire.refused("athena", "InvalidRequestException", report.generate_report() or f"unknown {unknown}")
    return asked
