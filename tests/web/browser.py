"""Headless Chromium over its pipe: one process, many pages, no driver to install.

Messages of its DevTools protocol are JSON ended by a NUL byte: ours go to its descriptor 3, its own come from 4
(`--remote-debugging-pipe`).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.neighbours import require

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-pipe",
)


class Browser:
    """A running Chromium."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        """All that it told unasked."""

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. RuntimeError where it refuses."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        os.write(self._to, json.dumps(said | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self._number:
                if "error" in heard:
                    raise RuntimeError(f"{method}: {heard['error']}")
                answer: dict[str, Any] = heard["result"]
                return answer
            self.events.append(heard)

    def wait(self, method: str, session: str) -> None:
        """Until this event of this page was told."""
        while not any(each.get("method") == method and each.get("sessionId") == session for each in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not (part := os.read(self._back, 1 << 20)):
                raise RuntimeError("the browser has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(message)
        return heard

    @contextmanager
    def page(self, url: str, width: int, height: int, scheme: str) -> Iterator[Page]:
        """A page of its own in this size and colour scheme, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, width)
        page.call("Page.enable")
        page.call("Log.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired", session)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)


class Page:
    """A loaded page."""

    def __init__(self, browser: Browser, session: str, width: int) -> None:
        self._browser, self._session, self._width = browser, session, width

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask about this page."""
        return self._browser.call(method, self._session, **parameters)

    def value(self, script: str) -> Any:
        """What an expression of JavaScript comes to; it runs beside the page, whose own scripts stay forbidden."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What stands in its console: violated policies, failed requests."""
        return [
            each["params"]["entry"]["text"]
            for each in self._browser.events
            if each.get("method") == "Log.entryAdded" and each.get("sessionId") == self._session
        ]

    def picture(self, path: Path, height: int | None = None) -> None:
        """The page as PNG, however long it is, or its upper `height`."""
        height = height or self.call("Page.getLayoutMetrics")["cssContentSize"]["height"]
        clip = {"x": 0, "y": 0, "width": self._width, "height": height, "scale": 1}
        taken = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium for as long as the block lasts."""
    program = require("chromium", "google-chrome", "chromium-browser")
    folder = tempfile.mkdtemp(prefix="chromium-")
    heard, to = os.pipe()
    back, said = os.pipe()
    # bash puts the descriptors where Chromium looks, whatever their numbers are here; others know one digit only.
    command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    shell = ["bash", "-c", f'exec "$@" 3<&{heard} 4>&{said}', "bash", *command]
    process = subprocess.Popen(
        shell,
        pass_fds=(heard, said),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(heard)
    os.close(said)
    try:
        yield Browser(to, back)
    finally:
        os.close(to)
        os.close(back)
        try:
            process.wait(10)  # it ends with its pipe
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
