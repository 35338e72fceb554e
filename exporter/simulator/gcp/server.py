"""Google Cloud's side of a billing export: BigQuery's REST API v2 and the token endpoint.

Routes: jobs.insert, jobs.get, jobs.getQueryResults, tables.get, tables.list, datasets.get, tabledata.list, token.
A query runs when it is inserted and says RUNNING as often as it is told to; its rows lie in a table of its own and
are read page by page, for nothing.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from exporter.clock import Clock
from exporter.simulator.gcp import export
from exporter.simulator.gcp.tokens import Tokens, Unauthorised
from exporter.simulator.gcp.warehouse import Result, Stored, Trouble, Warehouse, cell
from exporter.simulator.ledger import Ledger
from exporter.simulator.server import CloudServer, Fault, Refused, Reply, Request

ACCOUNT = "01ABCD-234567-89EF01"
PROJECT = "acme-billing"
LOCATION = "EU"

_API = "/bigquery/v2/projects/"
_SCRATCH = "_simulated_results"
_WORDS = {"throttle": (403, "rateLimitExceeded"), "denied": (403, "accessDenied"), "expired": (401, "authError")}


@dataclass(slots=True)
class Job:
    """One query that was paid for, or that failed."""

    id: str
    result: Result
    trouble: Trouble | None = None
    running: int = 0
    """How often it still says that it runs."""
    statement: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class GoogleCloud(CloudServer):
    """One billing account's exports in BigQuery: a standard, a detailed and a FOCUS table over one ledger."""

    name: ClassVar[str] = "gcp"

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock | None = None,
        *,
        account: str = ACCOUNT,
        page_rows: int = 10_000,
        running: int = 0,
        scale: int = 1,
        needs_filter: bool = True,
        location: str = LOCATION,
    ) -> None:
        super().__init__(clock)
        self.ledger = ledger
        self.page_rows = page_rows
        self.location = location
        self.running = running
        """How often a new job says RUNNING before it is done."""
        self.jobs: dict[str, Job] = {}
        self.tokens = Tokens(f"cost-reader@{PROJECT}.iam.gserviceaccount.com")
        self.warehouse = Warehouse(scale)
        self.standard, self.detailed, self.focus = self.add(account, ledger, needs_filter=needs_filter)

    def add(self, account: str, ledger: Ledger, *, needs_filter: bool = True) -> tuple[str, str, str]:
        """The exports of one more billing account: its standard, detailed and FOCUS tables."""
        number = account.replace("-", "_")
        names = (
            f"{PROJECT}.billing.gcp_billing_export_v1_{number}",
            f"{PROJECT}.billing.gcp_billing_export_resource_v1_{number}",
            f"{PROJECT}.gcp_billing_immutable_{number}_eu.gcp_billing_export_focus_{number}",
        )
        for name, fields in zip(names, (export.STANDARD, export.DETAILED, export.FOCUS), strict=True):
            rows = functools.partial(_rows, ledger, account, fields)
            self.warehouse.create(name, fields, rows, needs_filter=needs_filter)
        return names

    def key_file(self) -> str:
        """A key file of the service account; its `token_uri` leads here."""
        return self.tokens.key_file(PROJECT, f"{self.url}/token")

    @property
    def bytes_billed(self) -> int:
        """What all queries so far were billed for."""
        return sum(job.result.billed for job in self.jobs.values() if job.trouble is None)

    def operation(self, request: Request) -> tuple[str, str]:
        """The method as the API names it, `jobs.dryRun` for a dry run; the account is the project that pays."""
        if request.path == "/token":
            return "token", ""
        if request.path.endswith(":generateAccessToken"):
            return "generateAccessToken", ""
        project, _, path = request.path.removeprefix(_API).partition("/")
        if (request.method, path) == ("POST", "jobs"):
            dry = request.json().get("configuration", {}).get("dryRun")
            return "jobs.dryRun" if dry else "jobs.insert", project
        shapes = {
            r"jobs/[^/]+": "jobs.get",
            r"queries/[^/]+": "jobs.getQueryResults",
            r"datasets/[^/]+": "datasets.get",
            r"datasets/[^/]+/tables": "tables.list",
            r"datasets/[^/]+/tables/[^/]+": "tables.get",
            r"datasets/[^/]+/tables/[^/]+/data": "tabledata.list",
        }
        return next((name for shape, name in shapes.items() if re.fullmatch(shape, path)), path), project

    def answer(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """See CloudServer."""
        if operation == "token":
            return self._token(request), {}
        if not self.tokens.good(request.headers.get("authorization", "")):
            raise Refused(_refusal(401, "authError", "Request had invalid authentication credentials."))
        try:
            return self._told(request, operation)
        except Trouble as trouble:
            raise Refused(_refusal(trouble.status, trouble.reason, trouble.message)) from None

    def refusal(self, fault: Fault, request: Request, operation: str) -> Reply:
        """See CloudServer. An `error` with status 200 is a job that is taken on and fails, for the reason `code`."""
        if fault.kind == "error" and fault.status == 200:
            trouble = Trouble(200, fault.code or "backendError", "The job failed for a reason of its own.")
            return Reply.json(self._submit(request, trouble)[0])
        status, reason = _WORDS.get(fault.kind, (fault.status, "backendError"))
        if operation == "token":
            return Reply.json({"error": fault.code or "invalid_grant", "error_description": "simulated"}, status)
        return _refusal(status, fault.code or reason, f"The simulator was told to say {fault.kind}.", fault.headers)

    def hollow(self, operation: str) -> Reply:
        """See CloudServer."""
        return Reply.json({} if operation == "token" else {"kind": f"bigquery#{operation}", "etag": "simulated"})

    def without_a_page(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        """The next page in place of the one that was asked for; an end without rows where there is none."""
        if operation != "tabledata.list":
            raise NotImplementedError(f"{operation} has no pages to lose")
        job = self._job(request.path.split("/")[-2])
        return Reply.json(self._page(job, request, skipped=1)), {}

    def _token(self, request: Request) -> Reply:
        try:
            return Reply.json(self.tokens.grant(request.body))
        except Unauthorised as refused:
            return Reply.json({"error": "invalid_grant", "error_description": str(refused)}, 400)

    def _told(self, request: Request, operation: str) -> tuple[Reply, Mapping[str, Any]]:
        parts = request.path.removeprefix(_API).split("/")
        if operation in ("jobs.insert", "jobs.dryRun"):
            document, details = self._submit(request)
            return Reply.json(document), details
        if operation == "generateAccessToken":
            return Reply.json(self.tokens.act_as(request.path)), {"as": request.path.rpartition("/")[2]}
        if operation == "jobs.get":
            self._here(request.query.get("location"))
            job = self._job(parts[-1])
            job.running -= job.running > 0
            return Reply.json(self._described(job)), {"job": job.id}
        if operation == "jobs.getQueryResults":
            return Reply.json(self._results(self._job(parts[-1]), request)), {}
        if operation == "tabledata.list":
            job = self._job(parts[-2])
            return Reply.json(self._page(job, request)), {"job": job.id, "page": request.query.get("pageToken", "")}
        return self._metadata(parts, operation), {}

    def _submit(self, request: Request, trouble: Trouble | None = None) -> tuple[dict[str, Any], Mapping[str, Any]]:
        body = request.json()
        reference, configuration = body["jobReference"], body["configuration"]
        query, dry = configuration["query"], bool(configuration.get("dryRun"))
        identity = reference["jobId"]
        if "location" in reference:
            self._here(reference["location"])
        if identity in self.jobs:
            raise Trouble(409, "duplicate", f"Already Exists: Job {PROJECT}:{self.location}.{identity}")
        most = int(query["maximumBytesBilled"]) if "maximumBytesBilled" in query else None
        result = Result()
        try:
            if trouble is None:
                parameters = {each["name"]: _value(each) for each in query.get("queryParameters", [])}
                result = self.warehouse.query(query["query"], parameters, self.now, most, dry=dry)
        except Trouble as found:
            if dry or found.reason == "invalidQuery":
                raise
            trouble = found
        statement = hashlib.blake2b(query["query"].encode(), digest_size=8).hexdigest()
        details = {"job": identity, "billed": result.billed, "processed": result.processed, "statement": statement}
        job = Job(identity, result, trouble, 0 if dry else self.running, statement, details)
        if not dry:
            self.jobs[identity] = job
        return self._described(job), details

    def _here(self, location: str | None) -> None:
        """A job is looked for where the caller says it is; in the two multi-regions also where he says nothing."""
        if (location or self.location) != self.location or (location is None and self.location not in ("EU", "US")):
            raise Trouble(404, "notFound", f"Not found: it was not found in location {location or 'US'}")

    def _job(self, identity: str) -> Job:
        if identity not in self.jobs:
            raise Trouble(404, "notFound", f"Not found: Job {PROJECT}:{self.location}.{identity}")
        return self.jobs[identity]

    def _described(self, job: Job) -> dict[str, Any]:
        status: dict[str, Any] = {"state": "RUNNING" if job.running else "DONE"}
        if job.trouble and not job.running:
            error = {"reason": job.trouble.reason, "message": job.trouble.message}
            status |= {"errorResult": error, "errors": [error]}
        destination = {"projectId": PROJECT, "datasetId": _SCRATCH, "tableId": job.id}
        processed = str(job.result.processed)
        statistics = {"totalBytesProcessed": processed, "totalBytesBilled": str(job.result.billed)}
        return {
            "kind": "bigquery#job",
            "id": f"{PROJECT}:{self.location}.{job.id}",
            "jobReference": {"projectId": PROJECT, "jobId": job.id, "location": self.location},
            "configuration": {"jobType": "QUERY", "query": {"destinationTable": destination}},
            "status": status,
            "statistics": {"totalBytesProcessed": processed, "query": {**statistics, "statementType": "SELECT"}},
        }

    def _page(self, job: Job, request: Request, skipped: int = 0) -> dict[str, Any]:
        """A page of an answer. Without rows it has no `rows` at all."""
        columns, rows = job.result.columns, job.result.rows
        size = min(int(request.query.get("maxResults") or self.page_rows), self.page_rows)
        first = int(request.query.get("pageToken") or 0) + skipped * size
        page: dict[str, Any] = {"kind": "bigquery#tableDataList", "totalRows": str(len(rows))}
        if cells := rows[first : first + size]:
            page["rows"] = [{"f": [cell(*pair) for pair in zip(row, columns, strict=True)]} for row in cells]
        if first + size < len(rows):
            page["pageToken"] = str(first + size)
        return page

    def _results(self, job: Job, request: Request) -> dict[str, Any]:
        if job.trouble:
            raise job.trouble
        reference = {"projectId": PROJECT, "jobId": job.id, "location": self.location}
        found: dict[str, Any] = {"jobReference": reference, "jobComplete": not job.running}
        if job.running:
            job.running -= 1
            return found
        found["schema"] = {"fields": job.result.columns}
        if request.query.get("maxResults") == "0":  # the client asks so whether it is done; rows would end its reading
            return found | {"totalRows": str(len(job.result.rows))}
        return found | self._page(job, request)

    def _metadata(self, parts: list[str], operation: str) -> Reply:
        project, dataset = parts[0], parts[2] if len(parts) > 2 else ""
        here = [name for name in self.warehouse.tables if name.startswith(f"{project}.{dataset}.")]
        if not here:
            raise Trouble(404, "notFound", f"Not found: Dataset {project}:{dataset}")
        if operation == "datasets.get":
            reference = {"projectId": project, "datasetId": dataset}
            return Reply.json({"kind": "bigquery#dataset", "datasetReference": reference, "location": self.location})
        if operation == "tables.list":
            listed = [{"tableReference": _reference(name), "type": "TABLE"} for name in here]
            return Reply.json({"kind": "bigquery#tableList", "tables": listed, "totalItems": len(listed)})
        name = f"{project}.{dataset}.{parts[-1]}"
        if name not in self.warehouse.tables:
            raise Trouble(404, "notFound", f"Not found: Table {project}:{dataset}.{parts[-1]}")
        table = self.warehouse.tables[name]
        partitioning = {"type": "DAY", "requirePartitionFilter": table.needs_filter}
        return Reply.json(
            {
                "kind": "bigquery#table",
                "tableReference": _reference(name),
                "type": "VIEW" if table.view else "TABLE",
                "schema": {"fields": table.fields},
                "location": self.location,
            }
            | ({} if table.view else {"timePartitioning": partitioning})
        )


def _rows(ledger: Ledger, account: str, fields: list[export.Field]) -> Iterator[Stored]:
    for line in export.lines(ledger):
        row = export.exported(line, account, ledger.accounts)
        shown = export.as_focus(row) if fields is export.FOCUS else row
        yield Stored(shown, line.partition, line.shown_from, line.charge.shown_until)


def _reference(name: str) -> dict[str, str]:
    return dict(zip(("projectId", "datasetId", "tableId"), name.split("."), strict=True))


def _refusal(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    error = {"message": message, "domain": "global", "reason": reason}
    return Reply.json({"error": {"code": status, "message": message, "errors": [error]}}, status, headers)


def _value(parameter: Mapping[str, Any]) -> object:
    """A query parameter as DuckDB takes it."""
    kind, value = parameter["parameterType"]["type"], parameter["parameterValue"].get("value")
    if value is None or kind == "STRING":
        return value
    if kind == "TIMESTAMP":
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if kind == "INT64":
        return int(value)
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return Decimal(value)
    raise Trouble(400, "invalidQuery", f"parameters of type {kind} are not known here")
