"""FOCUS bills in object storage, over real HTTP, against small fakes of S3, GCS and Azure that ignore signatures."""

from __future__ import annotations

import gc
import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from pydantic import ValidationError

from exporter.costs import Ask, Bill
from exporter.errors import AccessDenied, NotReady, Throttled, Unavailable
from exporter.periods import ALWAYS, Grain
from exporter.providers import focus_objects
from exporter.providers.focus import Focus, FocusOptions
from exporter.providers.focus_objects import Address

pytest.importorskip("obstore", reason="needs the package obstore (the extra `objects`)")

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName\n"
SEPTEMBER = "2024-09-01,Usage,2024-09-01,AWS\n"
WRITTEN = datetime(2024, 10, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "c2VjcmV0LWtleS1vZi10aGUtdGVzdA=="


class Counting:
    def __init__(self) -> None:
        self.operations: list[str] = []

    def request(self, operation: str, charge: Decimal = Decimal(0), currency: str = "USD") -> None:
        self.operations.append(operation)


class Cloud(ThreadingHTTPServer):
    """One bucket, `bills`, as S3 and GCS (whose XML API is S3's) and Azure show it. Two keys a page."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuse: dict[str, int] = {}
        """`list` or `get` → HTTP status to answer with."""
        self.authorized: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cloud
    codes: ClassVar[dict[int, str]] = {403: "AccessDenied", 503: "SlowDown", 500: "InternalError", 404: "NoSuchKey"}

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.authorized.append(self.headers.get("Authorization"))
        _, bucket, *key = unquote(parts.path).split("/", 2)
        if bucket == "account":  # Azure's path style: /account/container/key
            bucket, *key = (key[0] if key else "").split("/", 1)
        if "list-type" in query or query.get("comp") == "list":
            self._list(bucket, query, azure="comp" in query)
        else:
            self._get("".join(key))

    def _get(self, key: str) -> None:
        self.server.asked.append(key)
        content = self.server.objects.get(key)
        if status := self.server.refuse.get("get") or (0 if content is not None else 404):
            self._fail(status)
            return
        assert content is not None
        etag = _etag(content)
        if self.headers.get("If-Match", etag) != etag:
            self._fail(412)
            return
        told = {"ETag": etag, "Last-Modified": format_datetime(WRITTEN, usegmt=True)}
        if asked := self.headers.get("Range"):
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            told["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self._answer(206, content[first : last + 1], told)
            return
        self._answer(200, content, told)

    def _list(self, bucket: str, query: dict[str, str], *, azure: bool) -> None:
        if status := self.server.refuse.get("list") or (0 if bucket == "bills" else 404):
            self._fail(status)
            return
        found = sorted(key for key in self.server.objects if key.startswith(query.get("prefix", "")))
        start = int(query.get("marker" if azure else "continuation-token", "0"))
        page, more = found[start : start + 2], start + 2 < len(found)
        body = (_azure_page if azure else _s3_page)(page, self.server.objects, str(start + 2) if more else "")
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _fail(self, status: int) -> None:
        code = self.codes.get(status, "PreconditionFailed")
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _s3_page(keys: list[str], objects: dict[str, bytes], token: str) -> str:
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{WRITTEN:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<ETag>{escape(_etag(objects[key]))}</ETag><Size>{len(objects[key])}</Size></Contents>"
        for key in keys
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = str(bool(token)).lower()
    return (
        f"<ListBucketResult><Name>bills</Name><IsTruncated>{truncated}</IsTruncated>{more}{contents}</ListBucketResult>"
    )


def _azure_page(keys: list[str], objects: dict[str, bytes], token: str) -> str:
    blobs = "".join(
        f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{format_datetime(WRITTEN, usegmt=True)}"
        f"</Last-Modified><Etag>{escape(_etag(objects[key]))}</Etag><Content-Length>{len(objects[key])}</Content-Length>"
        "<Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for key in keys
    )
    return f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name in ("AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    server = Cloud()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def bill(amount: str) -> bytes:
    return (HEADER + f"{amount},USD,{SEPTEMBER}").encode()


def connected(cloud: Cloud, path: str, meter: Counting | None = None, **options: object) -> Focus:
    settings = {"path": path, "endpoint": cloud.url, **options}
    return Focus(FocusOptions.model_validate(settings), meter or Counting())


def fetch(cloud: Cloud, path: str, **options: object) -> Bill:
    return connected(cloud, path, **options).fetch(Ask(ALWAYS))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("s3://bills/exports", {"region": "eu-central-1"}),
        ("s3://bills/exports/", {"anonymous": True}),
        ("gs://bills/exports", {"anonymous": True}),
        ("az://bills/exports", {"anonymous": True, "account": "account"}),
        ("abfss://bills@account.dfs.core.windows.net/exports", {"anonymous": True}),
    ],
)
def test_a_prefix_is_read_whole_over_http_on_every_cloud(path: str, options: dict[str, object], cloud: Cloud) -> None:
    if path.startswith(("az", "abfss")):
        options = {**options, "endpoint": f"{cloud.url}/account"}
    cloud.objects = {
        "exports/a.csv": bill("0.1"),
        "exports/deep/b.csv.gz": gzip.compress(bill("0.02")),
        "exports/c.csv": bill("0.003"),
        "exports/readme.txt": b"not a bill",
        "exports-of-others/d.csv": bill("1000"),
    }
    assert fetch(cloud, path, **options).costs.sum() == Decimal("0.123")
    assert sorted(cloud.asked) == ["exports/a.csv", "exports/c.csv", "exports/deep/b.csv.gz"]


def test_a_glob_and_a_single_object_mean_just_that(cloud: Cloud) -> None:
    cloud.objects = {"x/2024-08.csv": bill("1"), "x/2024-09.csv": bill("2"), "x/deep/2024-09.csv": bill("4")}
    assert fetch(cloud, "s3://bills/x/2024-09.csv").costs.sum() == 2
    assert fetch(cloud, "s3://bills/x/*-09.csv").costs.sum() == 2
    assert fetch(cloud, "s3://bills/x/**/*-09.csv").costs.sum() == 6


def test_requests_are_signed_with_the_credentials_of_the_environment_unless_anonymous(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1")}
    fetch(cloud, "s3://bills")
    assert all(said and said.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") for said in cloud.authorized)
    cloud.authorized.clear()
    fetch(cloud, "s3://bills", anonymous=True)
    assert cloud.authorized == [None, None]


def test_an_unchanged_prefix_is_listed_and_not_downloaded_again(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1"), "b.csv": bill("2")}
    meter = Counting()
    provider = connected(cloud, "s3://bills", meter)
    first = provider.fetch(Ask(ALWAYS))
    assert provider.fetch(Ask(ALWAYS)) is first
    assert meter.operations == ["read", "list", "get", "get", "read", "list"]


def test_only_the_changed_object_is_downloaded_again(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1"), "b.csv": bill("2")}
    provider = connected(cloud, "s3://bills")
    provider.fetch(Ask(ALWAYS))
    provider.fetch(Ask(ALWAYS, Grain.HOUR))
    cloud.asked.clear()
    cloud.objects["b.csv"] = bill("4")
    assert provider.fetch(Ask(ALWAYS)).costs.sum() == 5
    assert cloud.asked == ["b.csv"]


def test_a_manifest_in_the_bucket_says_which_objects_count(cloud: Cloud) -> None:
    data = "focus/data/BILLING_PERIOD=2024-09"
    manifest = f'{{"dataFiles": ["s3://bills/{data}/new.csv"]}}'
    cloud.objects = {
        f"{data}/old.csv": bill("1"),
        f"{data}/new.csv": bill("2"),
        "focus/metadata/BILLING_PERIOD=2024-09/focus-Manifest.json": manifest.encode(),
    }
    assert fetch(cloud, "s3://bills/focus").costs.sum() == 2


@pytest.mark.parametrize(
    ("path", "doing", "need"),
    [
        ("s3://bills/exports", "list", "s3:ListBucket on arn:aws:s3:::bills"),
        ("s3://bills/exports", "get", "s3:GetObject on arn:aws:s3:::bills/exports/*"),
        ("gs://bills/exports", "list", "storage.objects.list on bills (role Storage Object Viewer)"),
        ("gs://bills/exports", "get", "storage.objects.get on bills (role Storage Object Viewer)"),
        ("az://bills/exports", "list", "Storage Blob Data Reader on the container bills"),
    ],
)
def test_a_refusal_names_the_missing_permission(path: str, doing: str, need: str, cloud: Cloud) -> None:
    azure = {"account": "account", "endpoint": f"{cloud.url}/account"} if path.startswith("az") else {}
    cloud.objects = {"exports/a.csv": bill("1")}
    cloud.refuse[doing] = 403
    with pytest.raises(AccessDenied) as caught:
        fetch(cloud, path, **({"anonymous": True} if not path.startswith("s3") else {}), **azure)
    assert caught.value.hint == f"the credentials need {need}"
    assert SECRET not in str(caught.value)


def test_an_empty_prefix_a_missing_object_and_a_missing_bucket_are_not_ready(cloud: Cloud) -> None:
    with pytest.raises(NotReady, match=r"no \.csv, \.csv\.gz, \.parquet object at s3://bills/none"):
        fetch(cloud, "s3://bills/none")
    with pytest.raises(NotReady, match=r"s3://bills/none\.csv: is not there"):
        fetch(cloud, "s3://bills/none.csv")
    with pytest.raises(NotReady, match="s3://others: is not there"):
        fetch(cloud, "s3://others")


def test_an_object_that_changes_between_list_and_download_is_not_ready(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1")}
    provider = connected(cloud, "s3://bills")
    [entry] = provider.place.entries()
    cloud.objects["a.csv"] = bill("2")
    with pytest.raises(NotReady, match=r"s3://bills/a\.csv: changed while it was read"):
        provider.place.local(entry)


def test_an_object_of_another_size_than_was_listed_is_not_ready(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1")}
    provider = connected(cloud, "s3://bills")
    [entry] = provider.place.entries()
    with pytest.raises(NotReady, match="changed while it was read"):
        provider.place.local(replace(entry, size=entry.size + 1))


def test_a_failure_of_the_chain_that_looks_for_credentials_is_told_from_a_refusal() -> None:
    said = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token - status code: 403 Forbidden"
    told = focus_objects._translated(RuntimeError(said), Address("s3", "bills", "x"), "list", "s3://bills/x")
    assert isinstance(told, AccessDenied)
    assert told.message == "no credentials to list s3://bills/x"


def test_a_signed_address_in_an_error_is_not_passed_on() -> None:
    said = "Error performing GET https://a.blob.core.windows.net/c?comp=list&sig=topsecret failed"
    told = focus_objects._translated(RuntimeError(said), Address("az", "c", ""), "list", "az://c")
    assert "topsecret" not in str(told)


def test_a_cloud_that_cannot_be_reached_or_fails_is_unavailable(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.providers.focus_objects._RETRY", {"max_retries": 0})
    cloud.refuse["list"] = 500
    with pytest.raises(Unavailable, match="list s3://bills"):
        fetch(cloud, "s3://bills")
    cloud.refuse["list"] = 503
    with pytest.raises(Throttled, match="fewer requests: list s3://bills"):
        fetch(cloud, "s3://bills")


def test_downloads_are_private_and_leave_with_the_provider(cloud: Cloud) -> None:
    cloud.objects = {"a.csv": bill("1")}
    provider = connected(cloud, "s3://bills")
    answer = provider.fetch(Ask(ALWAYS))
    [entry] = provider.place.entries()
    copy: Path = provider.place.local(entry)
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    del provider
    gc.collect()
    assert not copy.parent.exists()
    assert answer.costs.sum() == 1


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://b", Address("s3", "b", "")),
        ("s3://b/p/q/", Address("s3", "b", "p/q")),
        ("s3://b/p/file?.csv", Address("s3", "b", "p/file?.csv")),
        ("abfss://c@acc.dfs.core.windows.net/x", Address("az", "c", "x", "acc")),
    ],
)
def test_an_address_is_read_as_its_cloud_writes_it(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "ftp://host/x"}, "ftp:// is no address of a bill. hint: s3://, gs://, az://, abfss://"),
        ({"path": "s3://user:word@bucket/x"}, "credentials come from outside"),
        ({"path": "abfss://container/x"}, "abfss://container@account.dfs.core.windows.net/folder"),
        ({"path": "./bills", "region": "eu-west-1"}, "region is for object storage, and path is on this machine"),
    ],
)
def test_what_cannot_be_an_address_is_refused_before_anything_starts(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FocusOptions.model_validate(options)
    assert sentence in str(caught.value.errors()[0]["msg"])


def test_without_the_package_the_configuration_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.providers.focus.installed", lambda: False)
    with pytest.raises(ValidationError, match=r"pip install 'cloudspend\[objects\]'"):
        FocusOptions(path="s3://bucket/x")
