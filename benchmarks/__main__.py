"""The command line of the benchmarks: `python -m benchmarks [NAME …] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.outcome import Line, Outcome, table
from benchmarks.scale import Scale
from benchmarks.subjects import SUBJECTS

_PACKAGES = ("duckdb", "prometheus_client", "uvicorn")


def main() -> int:
    """Measure, print, and end with 0: a target that is not reached is a finding, not a mistake."""
    options = _options()
    if not sys.platform.startswith("linux"):
        print("the benchmarks read CPU and memory from /proc, which only Linux has", file=sys.stderr)
        return 2
    # Ended from outside, it still ends what it started and leaves no files behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    outcomes: list[Outcome] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="cloudspend-bench-") as folder:
        scale = Scale.quick(Path(folder)) if options.quick else Scale(Path(folder))
        for name in options.names or SUBJECTS:
            print(f"{name} …", file=sys.stderr, flush=True)
            found = list(SUBJECTS[name](scale))
            outcomes += found
            print(f"\n{name}\n\n{table(found)}\n", flush=True)
    print(_verdict(outcomes, time.perf_counter() - began, quick=options.quick))
    if options.json:
        options.json.write_text(json.dumps(_document(outcomes, quick=options.quick), indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these subjects: {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="smaller data; the targets are meant for the full size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE too")
    options = parser.parse_args()
    strange = [name for name in options.names if name not in SUBJECTS]
    if strange:
        parser.error(f"no subject {strange[0]!r}; there are {', '.join(SUBJECTS)}")
    return options


def _verdict(outcomes: Sequence[Outcome], seconds: float, *, quick: bool) -> str:
    lines = [outcome for outcome in outcomes if isinstance(outcome, Line) and outcome.reached is not None]
    missed = [line for line in lines if not line.reached]
    said = [f"{len(lines) - len(missed)} of {len(lines)} targets reached in {seconds:.0f} s"]
    for line in missed:
        said.append(f"  not reached: {line.what}, against {line.peer or 'its limit'}")
        said += [f"    tried: {line.tried}"] if line.tried else []
    said += ["--quick: the data is smaller than what the targets are meant for"] if quick else []
    return "\n".join(said)


def _document(outcomes: Sequence[Outcome], *, quick: bool) -> dict[str, object]:
    return {
        "quick": quick,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "outcomes": [outcome.record() for outcome in outcomes],
    }


if __name__ == "__main__":
    sys.exit(main())
