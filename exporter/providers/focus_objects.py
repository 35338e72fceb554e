"""Bills in object storage: `s3://`, `gs://`, `az://` and `abfss://`, behind obstore, the only library that knows them.

obstore (the `objects` extra) is one compiled package without cloud SDKs and without dependencies of weight. Credentials
come from where each vendor's own tools take them: environment, web identity, container and instance metadata; for AWS
profiles boto3 (the `aws` extra) is asked. Objects are streamed to a private folder, once per version.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exporter.errors import AccessDenied, NotReady, SourceError, Throttled, Unavailable
from exporter.providers.focus_files import SUFFIXES
from exporter.providers.focus_places import MISSING_HINT, Entry

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az", "abfss")
_CHUNK = 8 << 20
_CLIENT = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(minutes=20)}
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(minutes=1)}
_LIST, _GET = "list", "get"
_PERMISSIONS = {
    ("s3", _LIST): "s3:ListBucket on arn:aws:s3:::{bucket}",
    ("s3", _GET): "s3:GetObject on arn:aws:s3:::{bucket}/{key}",
    ("gs", _LIST): "storage.objects.list on {bucket} (role Storage Object Viewer)",
    ("gs", _GET): "storage.objects.get on {bucket} (role Storage Object Viewer)",
    ("az", _LIST): "Storage Blob Data Reader on the container {bucket}",
    ("az", _GET): "Storage Blob Data Reader on the container {bucket}",
}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run with a role, or set `anonymous: true`",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, run with a service account, or set `anonymous: true`",
    "az": "set AZURE_STORAGE_ACCOUNT_KEY, run with a managed identity, or set `anonymous: true`",
}
_FOUND = {
    "s3": (
        *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ),
    "gs": (
        *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"),
        "GOOGLE_APPLICATION_CREDENTIALS",
    ),
    "az": (
        *("AZURE_STORAGE_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_CLIENT_SECRET"),
        *("AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    ),
}
"""Variables of the environment that obstore takes credentials from, in its order."""
_LAST = {
    "s3": "the role of this machine",
    "gs": "the default credentials of gcloud, or the service account of this machine",
    "az": "the managed identity of this machine",
}
_CALLS = {
    "s3": ("s3:ListBucket", "s3:GetObject"),
    "gs": ("storage.objects.list", "storage.objects.get"),
    "az": ("List Blobs", "Get Blob"),
}
_SAMPLE = 64 << 20
"""Bytes of the largest object that is fetched to see how it looks."""
_ASKED_FOR_CREDENTIALS = r"169\.254\.169\.254|metadata\.google\.internal|metadata/identity|instance credentials"
"""What a failure to get credentials speaks of: the last place where each cloud's chain looks for them."""


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket (S3, GCS) or container (Azure), and what is meant in it."""

    scheme: str
    bucket: str
    key: str
    """A prefix, an object or a glob; without a slash at either end."""
    account: str | None = None
    """The Azure storage account, where the address names it."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `s3://bucket/prefix`, `abfss://container@account.dfs.core.windows.net/prefix` … ValueError otherwise."""
        parts = urlsplit(url, allow_fragments=False)
        if parts.scheme not in SCHEMES:
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ValueError(f"{parts.scheme}:// is no address of a bill. hint: {known}, or a path on this machine")
        container, _, host = parts.netloc.rpartition("@")
        if parts.scheme == "abfss" and not container:
            raise ValueError("an abfss address is abfss://container@account.dfs.core.windows.net/folder")
        if not parts.netloc or parts.password or (container and parts.scheme != "abfss"):
            raise ValueError(
                f"{parts.scheme}:// needs a bucket behind it and nothing else: credentials come from outside"
            )
        # urlsplit takes `?` for a query; here it is a glob's.
        key = parts.path + (f"?{parts.query}" if parts.query else "")
        scheme = "az" if parts.scheme == "abfss" else parts.scheme
        return cls(scheme, container or parts.netloc, key.strip("/"), host.split(".")[0] if container else None)

    @property
    def folder(self) -> str:
        """The part of the key before the first wildcard, up to its last slash."""
        wild = re.search(r"[*?]", self.key)
        return self.key[: wild.start()].rpartition("/")[0] if wild else self.key

    def matches(self, path: str) -> bool:
        """Whether an object below `folder` is meant: all are, or those that a glob matches."""
        if not re.search(r"[*?]", self.key):
            return True
        parts = re.split(r"(\*\*/|\*\*|\*|\?)", self.key)
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        return re.fullmatch("".join(wild.get(part, re.escape(part)) for part in parts), path) is not None


@dataclass(frozen=True, slots=True)
class Reach:
    """How to get there, where the environment does not say it all."""

    endpoint: str | None = None
    region: str | None = None
    account: str | None = None
    anonymous: bool = False


def installed() -> bool:
    """Whether the `objects` extra is there."""
    return importlib.util.find_spec("obstore") is not None


class Objects:
    """A prefix, object or glob in object storage. Downloads live as long as this does."""

    def __init__(self, url: str, reach: Reach, count: Callable[[str], None]) -> None:
        self.url = url
        self.address = Address.parse(url)
        self.reach = reach
        self.count = count
        self.calls = _CALLS[self.address.scheme]
        self._store: ObjectStore | None = None
        self._kept: dict[tuple[str, str], Path] = {}
        self._folder: Path | None = None

    def entries(self) -> list[Entry]:
        """Bills and manifests of a prefix; of a glob or an object just that."""
        import obstore

        key = self.address.key
        with self._translated(_LIST):
            store = self._connected()
            self.count(_LIST)
            if key.endswith(SUFFIXES) and self.address.folder == key:
                found: list[Any] = [obstore.head(store, key)]
            else:
                prefix = f"{self.address.folder}/" if self.address.folder else None
                found = [meta for page in obstore.list(store, prefix=prefix) for meta in page]
        entries = [self._entry(meta) for meta in found if self.address.matches(meta["path"])]
        entries = [entry for entry in entries if entry.is_bill or entry.is_manifest]
        if not entries:
            raise NotReady(f"no {', '.join(SUFFIXES)} object at {self.url}", hint=MISSING_HINT)
        return sorted(entries, key=lambda entry: entry.name)

    def local(self, entry: Entry) -> Path:
        """A private copy of the very version that was listed."""
        import obstore

        if kept := self._kept.get((entry.name, entry.mark)):
            return kept
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="cloudspend-"))  # mode 0700
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        key = entry.name.removeprefix(self._root())
        suffix = next((suffix for suffix in SUFFIXES if key.endswith(suffix)), ".json")
        path = self._folder / f"{len(self._kept)}{suffix}"
        with self._translated(_GET, entry.name):
            self.count(_GET)
            options: Any = {"if_match": entry.mark} if entry.mark.startswith('"') else {}
            with path.open("wb") as file:
                for chunk in obstore.get(self._connected(), key, options=options).stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
        if path.stat().st_size != entry.size:
            raise NotReady(f"{entry.name}: changed while it was read", hint="the next poll reads the new one")
        self._kept[entry.name, entry.mark] = path
        return path

    def sample(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The newest one. Of one that is large only its first byte is fetched, for the permission, and it is left."""
        newest = max(entries, key=lambda entry: (entry.modified, entry.name), default=None)
        if newest is None or newest.size <= _SAMPLE:
            return [newest] if newest else []
        import obstore

        with self._translated(_GET, newest.name):
            self.count(_GET)
            obstore.get_range(self._connected(), newest.name.removeprefix(self._root()), start=0, length=1)
        return []

    @property
    def credentials(self) -> str:
        """Where they come from, as far as the environment tells."""
        if self.reach.anonymous:
            return "none (`anonymous`)"
        scheme = self.address.scheme
        if scheme == "s3" and (profile := os.environ.get("AWS_PROFILE")):
            return f"profile {profile}"
        return next((name for name in _FOUND[scheme] if os.environ.get(name)), _LAST[scheme])

    def _root(self) -> str:
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://{rest.split('/', 1)[0]}/"

    def _entry(self, meta: Any) -> Entry:
        modified = meta["last_modified"].timestamp()
        return Entry(f"{self._root()}{meta['path']}", meta["size"], meta["e_tag"] or str(modified), modified)

    def _connected(self) -> ObjectStore:
        if self._store is None:
            self._store = _connect(self.address, self.reach)
        return self._store

    @contextmanager
    def _translated(self, doing: str, what: str = "") -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except Exception as error:  # obstore raises many kinds, some of them built in
            raise _translated(error, self.address, doing, what or self.url) from error


def _connect(address: Address, reach: Reach) -> ObjectStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    endpoint = reach.endpoint
    options: Any = {**_CLIENT, "allow_http": True} if endpoint and endpoint.startswith("http://") else dict(_CLIENT)
    shared: dict[str, Any] = {"client_options": options, "retry_config": _RETRY}
    open_ = {"skip_signature": True} if reach.anonymous else {}
    config: Any
    if address.scheme == "gs":
        config = {**open_, **_given(base_url=endpoint)}
        return GCSStore(address.bucket, config=config, **shared)
    if address.scheme == "az":
        config = {**open_, **_given(endpoint=endpoint, account_name=address.account or reach.account)}
        return AzureStore(address.bucket, config=config, **shared)
    if os.environ.get("AWS_PROFILE") and not reach.anonymous:
        from obstore.auth.boto3 import Boto3CredentialProvider

        shared["credential_provider"] = Boto3CredentialProvider()
    config = {**open_, **_given(endpoint=endpoint, region=reach.region)}
    return S3Store(address.bucket, config=config, **shared)


def _given(**settings: str | None) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}


def _translated(error: Exception, address: Address, doing: str, what: str) -> SourceError:
    """What obstore said, in our words. Its own text may quote a signed address, so what stands behind `?` goes."""
    from obstore import exceptions

    told = str(error).partition("Debug source")[0]
    text = re.sub(r"\?[^\s\"')]*", "?…", " ".join(told.split()))[:300]
    status = found[1] if (found := re.search(r"status code: (\d{3})", text)) else ""
    if isinstance(error, FileNotFoundError) or status == "404":
        return NotReady(f"{what}: is not there", hint=MISSING_HINT)
    if isinstance(error, exceptions.PreconditionError):
        return NotReady(f"{what}: changed while it was read", hint="the next poll reads the new one")
    if re.search(_ASKED_FOR_CREDENTIALS, text):
        return AccessDenied(f"no credentials to {doing} {what}", hint=_CREDENTIALS[address.scheme])
    denied = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
    if denied or status in ("401", "403"):
        need = _PERMISSIONS[address.scheme, doing].format(bucket=address.bucket, key=f"{address.folder}/*".lstrip("/"))
        return AccessDenied(f"access denied: {doing} {what}", hint=f"the credentials need {need}")
    if isinstance(error, ImportError):
        return AccessDenied(
            "AWS_PROFILE is set, and boto3 to read it is not installed", hint="pip install 'cloudspend[aws]'"
        )
    if status in ("429", "503"):
        return Throttled(f"asked for fewer requests: {doing} {what}")
    hint = "set `region` to that of the bucket" if "redirect" in text.lower() else None
    return Unavailable(f"{doing} {what}: {text}", hint=hint)
