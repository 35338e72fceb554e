"""The server that plays recorded pages: what it answers, and what it says when it cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from exporter.testing import BillingServer, recordings

INDEX = """\
| page | call | what is odd about it |
|---|---|---|
| `whole-1.json` | `GET /v1/costs?month=2024-09&nonce=*` | nothing |
| `whole-2.json` | `POST /v1/query {"type": "ActualCost", "top": 5}` | a question in a body |
| `empty-1.json` | `GET /v1/costs?month=2024-09` | the `nonce` is missing |
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(INDEX)
    for page in ("whole-1.json", "whole-2.json", "empty-1.json"):
        (tmp_path / page).write_text(f'{{"page": "{page}", "amount": 0.10000000000000000000000}}')
    return tmp_path


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BillingServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with BillingServer(folder) as server:
        server.play("whole")
        yield server


def get(server: BillingServer, path: str) -> requests.Response:
    return requests.get(f"{server.url}{path}", timeout=10)


def test_a_page_comes_as_it_was_recorded(server: BillingServer, folder: Path) -> None:
    assert get(server, "/v1/costs?nonce=17&month=2024-09").content == (folder / "whole-1.json").read_bytes()
    assert server.played == ["whole-1.json"]


def test_a_body_answers_whatever_the_order_of_its_keys(server: BillingServer) -> None:
    def ask(question: object) -> requests.Response:
        return requests.post(f"{server.url}/v1/query", json=question, timeout=10)

    assert ask({"top": 5, "type": "ActualCost"}).json()["page"] == "whole-2.json"
    assert ask({"top": 6, "type": "ActualCost"}).status_code == 404
    assert requests.post(f"{server.url}/v1/query", data="no json", timeout=10).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/costs?month=2024-10&nonce=1",
        "/v1/costs?month=2024-09",
        "/v1/costs?month=2024-09&nonce=1&more=1",
        "/v2/costs?month=2024-09&nonce=1",
    ],
)
def test_another_call_gets_a_404_that_says_what_was_asked(server: BillingServer, path: str) -> None:
    answer = get(server, path)
    assert answer.status_code == 404
    assert answer.text == f"no page of 'whole' is recorded for GET {path}"
    assert server.played == []


def test_each_conversation_has_its_own_pages(server: BillingServer) -> None:
    server.play("empty")
    assert get(server, "/v1/costs?month=2024-09").json()["page"] == "empty-1.json"
    assert get(server, "/v1/costs?month=2024-09&nonce=1").status_code == 404


def test_trouble_begins_after_so_many_pages_and_ends_after_so_many_times(server: BillingServer) -> None:
    server.fail(502, after=1, times=2)
    path = "/v1/costs?month=2024-09&nonce=1"
    assert [get(server, path).status_code for _ in range(5)] == [200, 502, 502, 200, 200]
    assert len(server.requests) == 5
    server.throttle(retry_after=3)
    assert get(server, path).headers["Retry-After"] == "3"
    server.play("whole")
    assert get(server, path).status_code == 200
    assert len(server.requests) == 1


def test_a_page_without_a_line_in_the_readme_is_refused(folder: Path) -> None:
    (folder / "whole-3.json").write_text("{}")
    with pytest.raises(ValueError, match=r"README\.md has no line for whole-3\.json"):
        recordings(folder)


def test_a_line_without_its_page_is_refused(folder: Path) -> None:
    (folder / "whole-2.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"whole-2\.json"):
        recordings(folder)
