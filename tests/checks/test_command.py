"""The plugin as a process: whatever happens, one line, and an exit code that says so."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporter import snapshot
from exporter.checks.options import CHECKS, PASSWORD
from exporter.periods import DAY
from exporter.snapshot import Manifest
from tests.checks.answers import Answering, answer
from tests.neighbours import free_port

OK, WARNING, CRITICAL, UNKNOWN = range(4)


def run(*words: str | Path, env: dict[str, str] | None = None, module: str = "exporter.checks") -> tuple[int, str]:
    """Exit code and standard output; standard error stays empty."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_check_prints_one_line_and_its_state_is_the_exit_code() -> None:
    with Answering() as exporter:
        ask = ("threshold", "--provider", "aws", "--url", exporter.url)
        assert run(*ask, "-w", "1000", "-c", "2000") == (
            OK,
            "CLOUDSPEND OK - aws: 123.45 USD on 2024-03-13 | 'aws daily USD'=123.45;1000;2000;0;\n",
        )
        assert run(*ask, "-w", "100", "-c", "2000")[0] == WARNING
        assert run(*ask, "-w", "100", "-c", "@100:200")[0] == CRITICAL
        assert exporter.asked[0][0] == "/api/v1/check"


def test_the_short_spelling_is_a_daily_threshold_by_both_names() -> None:
    words = ("--provider", "aws", "--threshold", "100", "--critical", "2000")
    with Answering() as exporter:
        short = run(*words, "--url", exporter.url)
        assert short[0] == WARNING
        assert run("check", *words, "--url", exporter.url, module="exporter") == short
        assert run("check", "budget", "--url", exporter.url, module="exporter")[0] == OK


def test_a_range_may_begin_with_a_minus() -> None:
    with Answering() as exporter:
        ask = ("threshold", "-p", "aws", "--url", exporter.url)
        assert run(*ask, "-w", "-5:10", "--critical", "-10:200")[1].endswith(
            "'aws daily USD'=123.45;-5:10;-10:200;0;\n"
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no check is named. hint: one of budget, threshold"),
        (["budgets"], "'budgets' is not a check. hint: one of budget, threshold"),
        (["budget", "--nmae", "x"], "unrecognized arguments: --nmae x"),
        (["threshold"], "a threshold check needs a limit"),
        (["threshold", "-w", "many"], "'many' is not a range such as 10"),
        (["threshold", "-w"], "expected one argument"),
        (["threshold", "-w", "1", "--window", "yearly"], "invalid choice: 'yearly'"),
        (["budget", "--timeout", "0"], "'0' is not a number of seconds"),
        (["budget", "--url", "exporter:9753"], "is not an address such as http://exporter:9753"),
        (["budget", "--url", "http://exporter:99999"], "is not an address such as http://exporter:9753"),
        (["budget", "--url", "http://a b"], "is not an address such as http://exporter:9753"),
        (["budget", "--url", "http://me:secret@exporter"], "the address has a user in it"),
        (["budget", "--url", "http://exporter", "--snapshot", "."], "--url and --snapshot exclude each other"),
        (["budget", "--user", "me"], "--user needs a password"),
        (["budget", "--user", "me", "--password-file", "nowhere"], "cannot read --password-file nowhere"),
        (["budget", "--password-file", "x"], "--password-file needs --user"),
        (["budget", "--url", "https://localhost", "--ca-file", "nowhere"], "--ca-file, --cert-file or --key-file"),
        (["budget", "--snapshot", "nowhere"], "there is no snapshot in nowhere"),
    ],
)
def test_a_mistake_on_the_command_line_is_unknown(words: list[str], said: str) -> None:
    code, line = run(*words)
    assert code == UNKNOWN
    assert re.fullmatch(r"CLOUDSPEND UNKNOWN - [^\n]+\n", line)
    assert said in line
    assert "secret" not in line


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["-V"], ["--version"], *([check, "-h"] for check in CHECKS)])
def test_help_and_version_are_no_check_that_is_ok(words: list[str]) -> None:
    code, text = run(*words)
    assert code == UNKNOWN
    assert "check_cloudspend" in text


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        (b"no bill yet\nshop: waiting", {"status": 503}, "the exporter has no bill to show: no bill yet"),
        (b"Unauthorized", {"status": 401}, "wants a user and a password, or others"),
        (b"not found", {"status": 404}, "has no /api/v1/check"),
        (b"broken\n", {"status": 500}, "answers 500: broken"),
        (b"", {"status": 302}, "answers 302"),
        (b"<html>", {}, "something other than JSON"),
        (b"\xff\xfe", {}, "something other than JSON"),
        ([], {}, "something other than a bill"),
        ({}, {}, "publishes no 'served'"),
        ({"served": {}}, {}, "the exporter's answer lacks 'now'"),
        (answer(sources=5), {}, "publishes no 'sources'"),
        (answer(budgets=[5]), {}, "CLOUDSPEND UNKNOWN - TypeError: "),
        (answer(), {"headers": {"Content-Length": "99999"}}, "is cut off"),
        (b"5\r\n{", {"headers": {"Content-Length": "", "Transfer-Encoding": "chunked"}}, "is cut off"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_an_exporter_that_does_not_answer_well_is_unknown(body: Any, options: dict[str, Any], said: str) -> None:
    with Answering(body, **options) as exporter:
        code, text = run("budget", "--url", exporter.url, "--timeout", "5")
    assert code == UNKNOWN
    assert said in text.splitlines()[0]
    assert "Traceback" not in text


def test_no_exporter_is_unknown() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert run("budget", "--url", url) == (UNKNOWN, f"CLOUDSPEND UNKNOWN - cannot reach {url}: Connection refused\n")


@contextmanager
def talking(*pieces: bytes) -> Iterator[str]:
    """A server that says these pieces to whoever connects, and then nothing, without hanging up."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        held.append(connection)
        for piece in pieces:
            connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        thread.join(5)
        for connection in held:
            connection.close()


@pytest.mark.parametrize("pieces", [(), (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",)], ids=["nothing", "half"])
def test_an_exporter_that_falls_silent_is_unknown_in_time(pieces: tuple[bytes, ...]) -> None:
    with talking(*pieces) as url:
        code, line = run("budget", "--url", url, "--timeout", "0.5")
    assert (code, line) == (UNKNOWN, f"CLOUDSPEND UNKNOWN - no answer from {url} within 0.5 s\n")


def test_what_waits_for_something_else_is_ended_in_time_too(tmp_path: Path) -> None:
    pipe = tmp_path / "password"
    os.mkfifo(pipe)  # nobody ever writes into it
    code, line = run("budget", "--user", "me", "--password-file", pipe, "--timeout", "0.5")
    assert (code, line) == (UNKNOWN, "CLOUDSPEND UNKNOWN - no answer within 0.5 s\n")


def test_chunked_answers_are_put_together() -> None:
    body = json.dumps(answer()).encode()
    half = len(body) // 2
    chunks = b"".join(b"%x;note=1\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
    headers = {"Content-Length": "", "Transfer-Encoding": "chunked"}
    with Answering(chunks + b"0\r\n\r\n", headers=headers) as exporter:
        assert run("budget", "--url", f"{exporter.url}/costs/")[0] == OK
        assert exporter.asked[0][0] == "/costs/api/v1/check", "a proxy may serve it below a path"


def test_the_password_goes_by_file_or_environment_and_never_by_argv(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a:b\nmore\n")
    with Answering() as exporter:
        ask = ("budget", "--url", exporter.url, "--user", "me")
        assert run(*ask, "--password-file", tmp_path / "password")[0] == OK
        assert run(*ask, env={PASSWORD: "öl"})[0] == OK
        sent = [base64.b64decode(headers["authorization"].split()[1]).decode() for _, headers in exporter.asked]
    assert sent == ["me:a:b", "me:öl"]


def test_tls_is_verified_against_the_authority_that_is_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Answering(tls=authority.issue_cert("127.0.0.1")) as exporter:
        ask = ("budget", "--url", exporter.url)
        code, line = run(*ask)
        assert code == UNKNOWN
        assert "its certificate is not trusted: unable to get local issuer certificate. hint: --ca-file" in line
        assert run(*ask, "--ca-file", tmp_path / "ca.pem")[0] == OK
        assert run(*ask, "--insecure")[0] == OK
    with Answering(tls=authority.issue_cert("elsewhere.example")) as exporter:
        code, line = run("budget", "--url", exporter.url, "--ca-file", tmp_path / "ca.pem")
        assert code == UNKNOWN
        assert "not trusted: IP address mismatch" in line


def test_names_that_the_locale_cannot_write_do_not_silence_a_check() -> None:
    budgets = answer()["budgets"]
    with Answering(answer(budgets=[budgets[0] | {"name": "bücher-€"}])) as exporter:
        done = run("budget", "--url", exporter.url, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done[0] == OK
    assert r"b\xfccher-\u20ac: 4,100.12 USD" in done[1]


def test_who_does_not_listen_learns_it_from_the_exit_code() -> None:
    with Answering() as exporter:
        command = f"{sys.executable} -m exporter.checks budget --url {exporter.url} >/dev/full"
        assert subprocess.run(command, shell=True, check=False, timeout=60).returncode == UNKNOWN  # noqa: S602


def test_the_published_files_are_read_and_go_stale(tmp_path: Path) -> None:
    document = answer()
    made = datetime.fromisoformat(document["served"].pop("made"))
    document.pop("served")
    manifest = Manifest(made=made, next_change_at=made + DAY, expires_at=made + 2 * DAY)
    snapshot.publish(tmp_path / "snapshots", manifest, b"", document)
    at = {"CLOUDSPEND_NOW": "2024-03-15T12:00:00Z,frozen"}
    for folder in (tmp_path, tmp_path / "snapshots"):
        assert run("budget", "--snapshot", folder, env=at)[0] == OK
    assert run("budget", "--snapshot", tmp_path, "--max-age", "0.5", env=at)[0] == UNKNOWN
    code, line = run("budget", "--snapshot", tmp_path)
    assert code == UNKNOWN
    assert "the data is too old since 2024-03-17 11:00 UTC" in line


def test_starting_imports_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); from exporter.checks import command, options\n"
        "from exporter.checks import alerts, anomaly, budget, freshness, picture, threshold\n"
        "options.parse(['budget'])\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))\n"
        "slow = {'dataclasses', 'http', 'urllib.request', 'email', 'ssl', 'asyncio', 'logging', 'shutil', 'pathlib',\n"
        " 'urllib.parse'}\n"
        "print(sorted(slow & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['exporter']\n[]\n"


def test_the_published_files_are_read_by_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import exporter.checks.asking\n"
        "try: exporter.checks.asking.read_snapshot('nowhere')\n"
        "except Exception: pass\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['exporter']\n"
