"""Where the files of a bill lie: what is there, told by name, size and mark, before anything of it is read."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exporter.errors import BadData, NotReady
from exporter.providers.focus_files import SUFFIXES

MISSING_HINT = "check `path`, and that the export has been delivered"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, not read yet."""

    name: str
    """Its path, or its address in object storage."""
    size: int
    mark: str
    """Another one once the content is another: time of change and inode, or the ETag."""
    modified: float
    """When it was written last, in seconds since 1970."""

    @property
    def is_bill(self) -> bool:
        """Whether it is a bill by its name."""
        return self.name.endswith(SUFFIXES)

    @property
    def is_manifest(self) -> bool:
        """Whether it says which files are a bill: `manifest.json` (Azure), `…-Manifest.json` (AWS)."""
        return self.name.rpartition("/")[2].lower().endswith("manifest.json")


class Place(Protocol):
    """A folder, glob, file or prefix."""

    @property
    def credentials(self) -> str:
        """Where the credentials come from."""
        ...

    @property
    def calls(self) -> tuple[str, ...]:
        """What is asked of it, in the vendor's words."""
        ...

    def entries(self) -> list[Entry]:
        """Bills and manifests, by name. NotReady where there is nothing, AccessDenied, Unavailable."""
        ...

    def local(self, entry: Entry) -> Path:
        """The file on this machine, fetched if need be. NotReady where it has changed since it was listed."""
        ...

    def sample(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those that are worth a look before a bill is made of them all. Raises where they may not be read."""
        ...


class Folder:
    """A file, a folder with all its folders, or a glob on this machine."""

    credentials = "none: files on this machine"
    calls = ("read",)

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def entries(self) -> list[Entry]:
        """Bills and manifests of a folder; of a glob everything that it matches."""
        place = Path(self.pattern)
        if place.is_dir():
            found = [entry for entry in _entries(place.rglob("*")) if entry.is_bill or entry.is_manifest]
            what = f"no {', '.join(SUFFIXES)} file below {self.pattern}"
        else:
            found = _entries(map(Path, glob.glob(self.pattern, recursive=True)))
            what = f"no file {self.pattern}"
        if not found:
            raise NotReady(what, hint=MISSING_HINT)
        return found

    def local(self, entry: Entry) -> Path:
        """The file itself."""
        return Path(entry.name)

    def sample(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """All: copies do not tell by their times which is the newest."""
        return entries


def fingerprint(entries: Iterable[Entry]) -> str:
    """One short text for a set of files: the same again means that nothing has to be read again."""
    told = "\n".join(f"{entry.name}\0{entry.size}\0{entry.mark}" for entry in sorted(entries, key=lambda e: e.name))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def refuse_strangers(entries: Iterable[Entry]) -> None:
    """BadData where a glob or an address means a file that is no bill by its name."""
    strange = next((entry.name for entry in entries if not entry.is_bill and not entry.is_manifest), None)
    if strange:
        raise BadData(f"{strange}: not a bill by its name", hint=f"files end in {', '.join(SUFFIXES)}")


_RUN = re.compile(r"^(?P<period>.*/(?:\d{8}-\d{8}|billing_period=[^/]+))/(?P<run>[^/]+)/[^/]+$", re.IGNORECASE)


def refuse_runs(entries: Iterable[Entry]) -> None:
    """BadData where two runs of one export lie side by side, and no manifest says which of them counts.

    AWS (create new files) and Azure write each run into a folder of its own below that of the billing period.
    """
    runs: dict[str, str] = {}
    for entry in entries:
        if found := _RUN.match(entry.name):
            run = runs.setdefault(found["period"], found["run"])
            if run != found["run"]:
                raise BadData(
                    f"{found['period']}: {run} and {found['run']} are two runs of one export",
                    hint="copy the export with its manifests, which say what counts, or let it overwrite its files",
                )


def _entries(paths: Iterable[Path]) -> list[Entry]:
    found = []
    for path in sorted(paths):
        if path.is_file():
            stat = path.stat()
            mark = f"{stat.st_mtime_ns}-{stat.st_ino}"
            found.append(Entry(str(path), stat.st_size, mark, stat.st_mtime))
    return found
