"""The page at `/` in a real browser, wide and narrow, light and dark: the demo, an empty store, a failing source.

The pictures are kept in `build/pictures`, for looking.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.config.reload import Running
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths, resolve
from exporter.store.state import Failure, State
from exporter.web.app import Web
from exporter.web.board import Board
from tests.e2e.stack import ROOT
from tests.web.asking import Answer, ask
from tests.web.browser import Browser, browser
from tests.web.conftest import configured

pytestmark = pytest.mark.e2e

PICTURES = ROOT / "build" / "pictures" / "landing"
NOW = datetime(2026, 9, 19, 12, tzinfo=UTC)
CONFIG = """\
store: {path: data}
sources:
  - {name: demo, provider: demo, tags: [team, env]}
  - {name: focus-sample, provider: demo_focus}
budgets:
  - {name: everything, amount: 80000, currency: USD}
  - {name: azure, amount: 9000, currency: EUR, provider: azure, owner: platform}
  - {name: web, amount: 300, currency: USD, period: weekly, tags: {team: web}}
"""
STATES = ("demo", "empty", "failing")
WIDTHS = {1280: 900, 390: 844}
CONTRASTS = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = numbers(colour).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("svg")) continue;
    const [dark, bright] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
    found.push([(bright + 0.05) / (dark + 0.05), node.data.trim().slice(0, 40)]);
  }
  return found;
})()
"""
CUT_OFF = """
[...document.querySelectorAll("th, td, p, li, h1, h2, h3, dd, dt, svg, caption")]
  .filter(e => !e.closest(".hidden, .skip, thead") && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.textContent.trim().slice(0, 40))
"""


def landing(folder: Path) -> Answer:
    """What the daemon of this folder answers at `/`."""
    config = configured(CONFIG, folder)
    clock = Clock(frozen=NOW)
    with State(Paths(folder / "data").state) as state:
        board = Board(Running(config, resolve, clock), Outlook(Paths(folder / "data"), state), clock)
        board.refresh()

        async def nothing() -> None:
            """Is not asked for."""

        return ask(Web(board, lambda: "", nothing), "/")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("landing")
    found = {"empty": landing(folder)}
    (folder / "cloudspend.yml").write_text(CONFIG)
    command = [sys.executable, "-m", "exporter", "collect", "--config", "cloudspend.yml"]
    clock = {"CLOUDSPEND_NOW": f"{NOW:%Y-%m-%dT%H:%M:%SZ},frozen"}
    subprocess.run(command, cwd=folder, env=os.environ | clock, check=True, capture_output=True)
    found["demo"] = landing(folder)
    reason = Failure(
        NOW,
        NOW + timedelta(hours=1),
        "access_denied",
        "arn:aws:sts::111122223333:assumed-role/cost-reader/exporter is not authorized to perform ce:GetCostAndUsage",
        "attach the policy printed by 'cloudspend test-access demo --print-policy'",
    )
    with State(Paths(folder / "data").state) as state:
        state.fail("demo", reason)
    found["failing"] = landing(folder)
    return found


@pytest.fixture(scope="module")
def url(pages: dict[str, Answer]) -> Iterator[str]:
    """A server of these pages, with the daemon's headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path[1:])
            self.send_response(200 if page else 404)
            for name, value in (page.headers if page else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body if page else b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("state", STATES)
def test_the_page_is_readable(chromium: Browser, url: str, state: str, width: int, scheme: str) -> None:
    with chromium.page(f"{url}/{state}", width, WIDTHS[width], scheme) as page:
        page.picture(PICTURES / f"{state}-{width}-{scheme}.png")
        assert page.complaints() == []
        assert page.value("document.documentElement.scrollWidth") <= width
        assert page.value(CUT_OFF) == []
        contrasts = page.value(CONTRASTS)
        assert len(contrasts) > 15
        assert [each for each in contrasts if each[0] < 4.5] == []
        ground = page.value("getComputedStyle(document.documentElement).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]


def test_the_keyboard_reaches_every_link_in_turn(chromium: Browser, url: str) -> None:
    with chromium.page(f"{url}/demo", 1280, 900, "light") as page:
        links = page.value("[...document.querySelectorAll('a')].map(e => e.getAttribute('href'))")
        reached = []
        for _ in links:
            for kind in ("rawKeyDown", "keyUp"):
                page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.append(page.value("document.activeElement.getAttribute('href')"))
            assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert reached == links
        assert reached[0] == "#main"


def test_a_screen_reader_hears_headings_tables_and_pictures(chromium: Browser, url: str) -> None:
    for width in WIDTHS:
        with chromium.page(f"{url}/demo", width, WIDTHS[width], "light") as page:
            nodes = page.call("Accessibility.getFullAXTree")["nodes"]
            heard = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
            roles = [node["role"]["value"] for node in nodes if "role" in node]
            assert ("table", "Where the bill comes from, and how fresh it is") in heard
            assert ("table", "USD by provider") in heard
            assert ("heading", "Open anomalies") in heard
            assert ("region", "Budgets") in heard
            assert {"banner", "main", "navigation", "contentinfo"} <= set(roles)
            assert roles.count("rowheader") >= 10
            assert any(role in ("image", "img") and name.startswith("aws, USD a day") for role, name in heard)
