"""A real Icinga 2 in the foreground: its objects from our files, its states by its API."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import trustme

from tests.neighbours import Server, free_port, require, until

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "icinga2"
USER, PASSWORD = "cloudspend", "open-sesame"

_BASE = """
include <itl>
include "{shipped}"
object Endpoint "localhost" {{ }}
object Zone "localhost" {{ endpoints = [ "localhost" ] }}
object CheckerComponent "checker" {{ }}
object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {port} }}
object ApiUser "{user}" {{ password = "{password}"; permissions = [ "*" ] }}
"""


class Icinga(Server):
    """Icinga 2 with the shipped check command, its API on a free port, and these `objects` in its own language.

    `user` and `password` are those of an API user that may do everything; `authority` is the PEM file that its
    certificate is to be checked with.
    """

    def __init__(self, folder: Path, objects: str) -> None:
        port = free_port()
        house = folder / "icinga"
        self.user, self.password = USER, PASSWORD
        self.authority = _certificates(house / "lib" / "certs")
        self._context = ssl.create_default_context(cafile=self.authority)
        for name in ("lib/api", "log", "cache", "run", "spool/tmp", "spool/perfdata"):
            (house / name).mkdir(parents=True, exist_ok=True)
        config = house / "icinga2.conf"
        base = _BASE.format(shipped=SHIPPED / "cloudspend.conf", port=port, user=USER, password=PASSWORD)
        config.write_text(base + objects)
        owner = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        constants = {
            "RunAsUser": owner,
            "RunAsGroup": group,
            "DataDir": house / "lib",
            "LogDir": house / "log",
            "CacheDir": house / "cache",
            "InitRunDir": house / "run",
            "SpoolDir": house / "spool",
            "ConfigDir": house,
            "PluginDir": plugin().parent,
            "NodeName": "localhost",
            "ZoneName": "localhost",
        }
        url = f"https://127.0.0.1:{port}"
        self._port = port
        super().__init__(
            [
                require("icinga2"),
                "daemon",
                "-c",
                config,
                *(f"-D{name}={value}" for name, value in constants.items()),
            ],
            url=url,
            ready=lambda: self._listens(url),
            log=house / "log" / "said.log",
            # Its wrapper gives up the privileges of root for those of this user.
            env={**os.environ, "ICINGA2_USER": owner, "ICINGA2_GROUP": group},
        )

    def service(self, name: str) -> dict[str, Any]:
        """The attributes of `host!service`: `state`, `last_check_result` …"""
        return cast("dict[str, Any]", self.ask(f"/v1/objects/services/{name}")["results"][0]["attrs"])

    def checked(self, name: str) -> dict[str, Any]:
        """What its next check of `host!service` finds, made at once: `last_check_result`."""
        before = (self.service(name)["last_check_result"] or {}).get("execution_end", 0)
        self.ask("/v1/actions/reschedule-check", {"type": "Service", "service": name, "force": True})
        found: dict[str, Any] = {}

        def checked() -> bool:
            found.update(self.service(name)["last_check_result"] or {})
            return bool(found.get("execution_end", 0) > before)

        until(checked, f"{name} is checked")
        return found

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What its API answers: to GET, or to POST of a body. HTTPError where it refuses."""
        return _asked(f"{self.url}{path}", self._context, body)

    def _listens(self, url: str) -> bool:
        try:
            _asked(f"{url}/v1/status/IcingaApplication", self._context)
        except HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
        return True


def plugin() -> Path:
    """The installed check plugin, `check_cloudspend`."""
    found = Path(sys.executable).with_name("check_cloudspend")
    assert found.exists(), "install the project again: pip install --editable ."
    return found


def shipped_services(url: str) -> str:
    """services.conf as it is shipped, over another address."""
    text, number = re.subn(r'"http://exporter\.[^"]*"', f'"{url}"', (SHIPPED / "services.conf").read_text())
    assert number == 1
    return text


def _asked(url: str, context: ssl.SSLContext, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = Request(
        url,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Basic {credentials}", "Accept": "application/json"},
    )
    with urlopen(request, context=context, timeout=10) as response:
        return cast("dict[str, Any]", json.load(response))


def _certificates(folder: Path) -> Path:
    """The certificate that Icinga's API shows, under the names that it looks for; that of its authority is returned."""
    folder.mkdir(parents=True)
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1", common_name="localhost")
    own.private_key_pem.write_to_path(folder / "localhost.key")
    for blob in own.cert_chain_pems:
        blob.write_to_path(folder / "localhost.crt", append=True)
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return folder / "ca.crt"
