"""A module of ours in a process of its own, which tells its peak memory: `python -m benchmarks.alone FILE MODULE …`.

The peak is that of this program since it began (VmHWM). What wait4 says of a child counts the memory of the process
that started it too, as it was when the child was made.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the module, then write the peak in KiB to the file."""
    told, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        Path(told).write_text(found[1] if found else "0")


if __name__ == "__main__":
    main()
