#!/usr/bin/env python3
"""Take the picture of the README anew: the page of the running demo in both colour schemes, into docs/pictures.

make demo picture

Needs Chromium; scripts/install-neighbours installs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.demo import EXPORTER, answers  # noqa: E402
from tests.web.browser import browser  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1180, 1180
LARGEST = 250_000
"""Bytes: whoever reads the README loads one of them."""


def main() -> int:
    if not answers(f"http://{EXPORTER}/-/ready"):
        print("the demo does not run: make demo", file=sys.stderr)
        return 1
    with browser() as chromium:
        for scheme in ("light", "dark"):
            path = FOLDER / f"landing-{scheme}.png"
            with chromium.page(f"http://{EXPORTER}/", WIDTH, HEIGHT, scheme) as page:
                page.picture(path, HEIGHT)
            size = path.stat().st_size
            print(f"{path.relative_to(ROOT)}  {size:,} bytes")
            if size > LARGEST:
                print(f"more than {LARGEST:,} bytes", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
