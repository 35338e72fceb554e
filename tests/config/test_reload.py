"""A reload puts the whole file in force, or changes nothing and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.config import Config, load, read
from exporter.config.budget_files import folder_of
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


class Folder:
    """A configuration whose budgets lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "c.yml"
        self.home = folder / "budgets.d"
        self.home.mkdir()
        self.file.write_text(f"{GOOD}budgets: ./budgets.d\n")
        self.write("web", 100)
        self.running = Running(self.read(), names, Ticking(), self.read, lambda: folder_of(self.file, {}))

    def read(self) -> Config:
        return read(self.file, STUBS, {})

    def write(self, name: str, amount: object) -> None:
        (self.home / f"{name}.yml").write_text(f"name: {name}\namount: {amount}\n")

    def looks(self, count: int = 3) -> list[bool]:
        return [self.running.budgets_changed() for _ in range(count)]

    @property
    def amounts(self) -> dict[str, int]:
        return {budget.name: int(budget.amount) for budget in self.running.config.budgets}


@pytest.fixture
def budgets(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_files_of_budgets_that_have_not_changed_ask_for_no_reload(budgets: Folder) -> None:
    assert budgets.looks() == [False, False, False]


def test_changed_new_and_removed_files_of_budgets_are_taken_up(budgets: Folder) -> None:
    for change, amounts in (
        (lambda: budgets.write("web", 2000), {"web": 2000}),
        (lambda: budgets.write("shop", 5), {"shop": 5, "web": 2000}),
        (lambda: (budgets.home / "web.yml").unlink(), {"shop": 5}),
    ):
        change()
        assert budgets.looks(2) == [False, True]  # the first look waits for whoever may still be writing
        asyncio.run(budgets.running.reload())
        assert budgets.amounts == amounts
        assert budgets.looks() == [False, False, False]


def test_a_bad_file_of_budgets_changes_nothing_and_is_told_once(
    budgets: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    budgets.write("web", "ten")
    assert budgets.looks(2) == [False, True]
    [said] = refused(budgets.running)
    assert "web.yml: line 2: amount: 'ten' is not an amount" in said
    assert budgets.looks() == [False, False, False]
    assert budgets.amounts == {"web": 100}
    assert len(caplog.records) == 1
    budgets.write("web", 20)
    assert budgets.looks(2) == [False, True]
    asyncio.run(budgets.running.reload())
    assert (budgets.amounts, budgets.running.last.successful) == ({"web": 20}, True)


def test_another_folder_is_watched_once_the_file_names_it(budgets: Folder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    budgets.file.write_text(f"{GOOD}budgets: ./other\n")
    assert budgets.looks() == [False, False, False]  # the file itself is read when somebody asks
    asyncio.run(budgets.running.reload())
    assert budgets.amounts == {}
    budgets.home = tmp_path / "other"
    budgets.write("web", 7)
    assert budgets.looks(2) == [False, True]
