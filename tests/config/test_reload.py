"""A reload puts the whole file in force, or changes nothing and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.config import Config, load, read
from exporter.config.reload import Running
from exporter.errors import ConfigError, Problem
from tests.config.conftest import HERE
from tests.config.stubs import STUBS
from tests.config.test_secrets import ENVIRONMENT, SECRETS

START = datetime(2024, 9, 1, tzinfo=UTC)
GOOD = "sources:\n  - {name: history, provider: focus, path: bills}\n"


class Ticking(Clock):
    """A clock that goes on by a second with each look."""

    def now(self) -> datetime:
        looks = self.__dict__["looks"] = self.__dict__.get("looks", -1) + 1
        return START.replace(second=looks)


def names(config: Config) -> list[str]:
    return [source.name for source in config.sources]


class File:
    """A configuration file that is changed between reloads."""

    def __init__(self, folder: Path, text: str = GOOD) -> None:
        self.folder = folder
        self.text = text

    def read(self) -> Config:
        return load(self.text, STUBS, file="c.yml", folder=self.folder, environment={})

    def running(self, resolve: Callable[[Config], list[str]] = names) -> Running[str]:
        return Running(self.read(), resolve, Ticking(), self.read)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def refused(running: Running[str]) -> list[str]:
    before = (running.config, running.sources, running.generation, running.last.succeeded_at)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(running.reload())
    assert (running.config, running.sources, running.generation, running.last.succeeded_at) == before
    assert not running.last.successful
    return [str(problem) for problem in caught.value.problems]


def test_a_good_file_is_put_in_force_whole(file: File) -> None:
    running = file.running()
    file.text = GOOD.replace("history", "other") + "cost: {basis: list}\n"
    asyncio.run(running.reload())
    assert running.sources == ("other",)
    assert running.config.cost.basis == "list"
    assert running.generation == 1
    assert running.last.successful
    assert running.last.succeeded_at > START


def test_a_bad_file_changes_nothing_and_every_problem_is_said_and_logged(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    running = file.running()
    file.text = GOOD.replace("path", "pth") + "cost: {basis: guess}\n"
    said = refused(running)
    assert len(said) == 2
    assert [str(record.fields["problem"]) for record in caplog.records] == said  # type: ignore[attr-defined]
    assert {record.getMessage() for record in caplog.records} == {"configuration not reloaded"}


def test_the_next_good_file_is_taken_up(file: File) -> None:
    running = file.running()
    file.text = "sources: ["
    refused(running)
    file.text = GOOD
    asyncio.run(running.reload())
    assert running.last.successful


def test_the_store_cannot_move_while_it_is_in_use(file: File, tmp_path: Path) -> None:
    running = file.running()
    file.text = GOOD + "store: {path: elsewhere}\n"
    [said] = refused(running)
    assert said == (
        f"store.path: cannot change from {tmp_path}/cloudspend-data to {tmp_path}/elsewhere while cloudspend runs."
        " hint: restart cloudspend, or put the path back"
    )


def test_what_a_provider_cannot_do_is_a_problem_too(file: File) -> None:
    def resolve(config: Config) -> list[str]:
        if config.cost.basis != "billed":
            raise ConfigError((Problem("sources[0].hours", "focus bills by the day"),))
        return names(config)

    running = file.running(resolve)
    file.text = GOOD + "cost: {basis: list}\n"
    assert refused(running) == ["sources[0].hours: focus bills by the day"]


def test_a_reload_that_breaks_in_an_unforeseen_way_changes_nothing_either(file: File) -> None:
    running = file.running()
    running._read = lambda: {}["missing"]
    with pytest.raises(KeyError):
        asyncio.run(running.reload())
    assert not running.last.successful
    assert running.generation == 0


def test_without_a_file_there_is_nothing_to_reload(file: File) -> None:
    running = Running(file.read(), names, Clock())
    [said] = refused(running)
    assert said.startswith("there is no configuration file to read again. hint: --demo has its configuration built in")


def test_two_reloads_at_once_come_one_after_the_other(file: File) -> None:
    running = file.running()

    async def both() -> None:
        await asyncio.gather(running.reload(), running.reload())

    asyncio.run(both())
    assert running.generation == 2


def test_the_running_configuration_as_text_has_no_secret() -> None:
    text = Running(read(HERE / "good.yml", STUBS, ENVIRONMENT), names, Clock()).text()
    assert [secret for secret in SECRETS if secret in text] == []
    assert "token: <secret>" in text
    assert "poll_every: 8h" in text


def test_the_running_configuration_as_text_has_no_password_of_a_url(tmp_path: Path) -> None:
    text = "sources:\n  - {name: a, provider: acme, token: x, url: 'https://me:mypass@acme.example/x'}\n"
    config = load(text, STUBS, folder=tmp_path, environment={})
    assert "https://me:<secret>@acme.example/x" in Running(config, names, Clock()).text()
