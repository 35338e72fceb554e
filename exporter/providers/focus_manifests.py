"""Which files of an export count: those that the newest complete manifest of each billing period names.

AWS Data Exports write `<export>/metadata/BILLING_PERIOD=2024-09/…-Manifest.json` after all files of
`<export>/data/BILLING_PERIOD=2024-09/` are there; its `dataFiles` are their addresses (AWS, "Understanding export
delivery"). Azure writes `<export>/20240901-20240930/<run>/manifest.json` beside each run's files; its
`blobs[].blobName` are their names in the container, and a newer run tells the whole period anew. AWS' legacy reports
are like Azure's, with `reportKeys`. Below such an `<export>` only named files count; files elsewhere count as ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from exporter.errors import BadData, NotReady
from exporter.periods import DAY, Month, Window
from exporter.providers.focus_places import Entry

FOCUS, CUR = "FocusCost", "CUR"
"""Kinds of exports: FOCUS by Azure's word for it, and AWS' legacy Cost and Usage Report."""

_AWS = re.compile(r"^(?P<root>.*)/metadata/(?P<run>billing_period=(?P<month>\d{4}-\d{2})/.*)$", re.IGNORECASE)
_CUR = re.compile(r"^(?P<root>.+)/(?P<from>\d{8})-(?P<to>\d{8})/(?P<run>[^/]+/)?[^/]+$")
_AZURE = re.compile(r"^(?P<root>.+?)/(?P<from>\d{8})-(?P<to>\d{8})/(?P<run>.*)$")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one manifest says."""

    name: str
    root: str
    """The folder of its export, in which only named files count."""
    window: Window
    """The days that its files tell, all of them."""
    age: tuple[str, float]
    """Sorts by when the run was made."""
    files: tuple[tuple[str, int | None], ...]
    """Its files as it names them, and their size where it says so."""
    kind: str = ""
    """What the export holds, where the manifest says so: FocusCost, ActualCost, …"""


@dataclass(frozen=True, slots=True)
class Choice:
    """What counts."""

    entries: tuple[Entry, ...]
    windows: tuple[Window, ...] = ()
    """What manifests say to be complete, even where there is no charge."""
    passed_over: tuple[str, ...] = ()
    """Sentences about what does not count."""


def choose(entries: Sequence[Entry], read: Callable[[Entry], bytes], kinds: Collection[str] = (FOCUS,)) -> Choice:
    """The files that count among `entries`; `read` gets a manifest, `kinds` are what an export may hold.

    NotReady where a manifest names a file that is not there and no older run tells its period, BadData where two runs
    overlap and neither tells all that the other does.
    """
    bills = {entry.name: entry for entry in entries if entry.is_bill}
    manifests = [found for entry in entries if entry.is_manifest and (found := parse(entry.name, read(entry), entry))]
    taken: dict[str, Entry] = {}
    windows: list[Window] = []
    said: list[str] = []
    for root in sorted({manifest.root for manifest in manifests}):
        runs = [manifest for manifest in manifests if manifest.root == root]
        strange = {manifest.kind for manifest in runs if not _is_one_of(kinds, manifest)}
        wanted = "FOCUS" if FOCUS in kinds else " or ".join(kinds)
        said += [f"{root}: an export of {kind}, which is not {wanted}" for kind in sorted(strange)]
        for manifest, files in _newest([manifest for manifest in runs if _is_one_of(kinds, manifest)], bills, said):
            windows.append(manifest.window)
            taken |= {entry.name: entry for entry in files}
    governed = tuple(f"{manifest.root}/" for manifest in manifests)
    free = [entry for name, entry in bills.items() if not name.startswith(governed)] if governed else bills.values()
    left = sum(1 for name in bills if name.startswith(governed) and name not in taken) if governed else 0
    if left:
        said.append(f"files that no manifest names, or only that of an older run: {left}")
    chosen = taken | {entry.name: entry for entry in free}
    return Choice(tuple(chosen[name] for name in sorted(chosen)), tuple(windows), tuple(said))


def parse(name: str, content: bytes, entry: Entry) -> Manifest | None:
    """What a manifest says; None for a file of that name that is something else. NotReady for half a one."""
    try:
        said = json.loads(content)
    except ValueError as error:
        raise NotReady(
            f"{name}: not JSON: {error}", hint="the manifest is still being written, or was cut off"
        ) from error
    if not isinstance(said, dict):
        return None
    if (aws := _AWS.match(name)) and isinstance(said.get("dataFiles"), list):
        # A run's own folder starts with its time; the manifest outside of such folders is written last.
        folder = aws["run"].split("/")[1] if aws["run"].count("/") > 1 else ""
        files = tuple((str(file), None) for file in said["dataFiles"])
        window = Month.parse(aws["month"]).window()
        return Manifest(name, aws["root"], window, (folder[:16], entry.modified), files)
    if (cur := _CUR.match(name)) and isinstance(said.get("reportKeys"), list):
        return _cur(cur, said, entry)
    if isinstance(said.get("blobs"), list):
        return _azure(name, said, entry)
    return None


def _cur(found: re.Match[str], said: Mapping[str, Any], entry: Entry) -> Manifest:
    """AWS' legacy report: `<report>/20240901-20241001/<report>-Manifest.json`, written last, names the newest run.

    Where runs are kept, each has a copy in the folder of its assembly id, which does not tell its time.
    """
    try:
        window = Window.of_days(*(datetime.strptime(found[edge], "%Y%m%d").date() for edge in ("from", "to")))  # noqa: DTZ007
    except ValueError as error:
        raise BadData(f"{entry.name}: stands in a folder that is no billing period: {error}") from error
    files = tuple((str(key), None) for key in said["reportKeys"])
    return Manifest(entry.name, found["root"], window, ("0" if found["run"] else "1", entry.modified), files, CUR)


def _azure(name: str, said: Mapping[str, Any], entry: Entry) -> Manifest:
    run, export = said.get("runInfo") or {}, said.get("exportConfig") or {}
    found = _AZURE.match(name)
    root = found["root"] if found else name.rpartition("/")[0]
    try:
        first = date.fromisoformat(str(run.get("startDate") or (found and found["from"]))[:10])
        last = date.fromisoformat(str(run.get("endDate") or (found and found["to"]) or first)[:10])
        files = tuple((str(blob["blobName"]), blob.get("byteCount")) for blob in said["blobs"])
        month = Month.of(first)
        # Month to date tells the month so far; its charges of later days are not lost but not made yet.
        whole = first == month.first and last < month.next().first
        window = month.window() if whole else Window.of_days(first, last + DAY)
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(
            f"{name}: cannot be understood: {error}", hint="an Azure export manifest has blobs and runInfo"
        ) from error
    kind = str(export.get("type") or "")
    return Manifest(name, root, window, (str(run.get("submittedTime") or ""), entry.modified), files, kind)


def _is_one_of(kinds: Collection[str], manifest: Manifest) -> bool:
    return manifest.kind.lower() in ("", *(kind.lower() for kind in kinds))


def _newest(
    manifests: Sequence[Manifest], bills: Mapping[str, Entry], said: list[str]
) -> list[tuple[Manifest, list[Entry]]]:
    """For each period of one export the newest run whose files are all there."""
    taken: list[tuple[Manifest, list[Entry]]] = []
    waiting: list[tuple[Manifest, str]] = []
    # AWS names a run's folder by its time. Where some runs have no such folder, only the files' own times compare.
    stamped = all(manifest.age[0] for manifest in manifests)
    for manifest in sorted(manifests, key=lambda each: each.age if stamped else ("", each.age[1]), reverse=True):
        if any(newer.window.covers(manifest.window) for newer, _ in taken):
            continue
        rival = next((newer for newer, _ in taken if newer.window.meet(manifest.window)), None)
        if rival:
            raise BadData(
                f"{manifest.name} tells {manifest.window} and {rival.name} tells {rival.window}:"
                " they overlap, and would be added up",
                hint="keep one export of whole months in the folder",
            )
        files, missing = _files(manifest, bills)
        if missing:
            waiting.append((manifest, missing))
        else:
            taken.append((manifest, files))
    for manifest, missing in waiting:
        if not any(older.window.covers(manifest.window) for older, _ in taken):
            raise NotReady(f"{manifest.name}: {missing}", hint="the export, or the copy of it, has not ended yet")
        said.append(f"{manifest.name}: {missing}; the run before it counts")
    return taken


def _files(manifest: Manifest, bills: Mapping[str, Entry]) -> tuple[list[Entry], str]:
    """The files of a manifest, and what is missing of them."""
    files = []
    for named, size in manifest.files:
        entry = _found(named, manifest, bills)
        if entry is None:
            return [], f"names {named}, which is not there"
        if size is not None and entry.size != size:
            return [], f"says that {named} has {size} bytes, and it has {entry.size}"
        files.append(entry)
    return files, ""


def _found(named: str, manifest: Manifest, bills: Mapping[str, Entry]) -> Entry | None:
    """The file behind a name from the cloud. A copy lies at another root, so the end of its path must do."""
    parts = named.split("://", 1)[-1].split("/")
    tails = (f"{manifest.root}/{'/'.join(parts[i:])}" for i in range(len(parts)))
    beside = f"{manifest.name.rpartition('/')[0]}/{parts[-1]}"
    return next((bills[path] for path in (*tails, beside) if path in bills), None)
