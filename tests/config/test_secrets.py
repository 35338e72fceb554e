"""A configuration with known passwords is searched for them: in what it prints, says, logs and shows."""

import io
import json
import logging
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter import log
from exporter.config import Config, dump, load, masked, read, restore, secrets
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS, AcmeOptions

ENVIRONMENT = {"THREADS": "4", "ACME_TOKEN": "open-sesame"}
SECRETS = ("open-sesame", "tr0ub4dor", "correct-horse", "battery-staple", "file-based-secret")


def found(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def good() -> Config:
    return read(HERE / "good.yml", STUBS, ENVIRONMENT)


def token(text: str, folder: Path) -> str:
    head = "sources:\n  - name: acme\n    provider: acme\n    url: u\n    "
    options = load(head + text, STUBS, folder=folder, environment={}).sources[0].options
    assert isinstance(options, AcmeOptions)
    return options.token.get_secret_value()


def test_the_search_finds_secrets_where_they_are() -> None:
    assert found(dump(good())) == list(SECRETS)


@pytest.mark.parametrize("password", ["s3cr3t", "a@b", "a:b@c"])
def test_a_password_in_an_address_is_masked_whole(password: str) -> None:
    assert secrets.masked(f"https://user:{password}@host/path") == "https://user:<secret>@host/path"


def test_a_configuration_prints_no_secret() -> None:
    config = good()
    assert found(repr(config) + str(config) + f"{config}" + repr(config.sources[1].options)) == []


def test_a_configuration_for_people_says_secret_in_place_of_each() -> None:
    shown = masked(good())
    assert found(json.dumps(shown)) == []
    assert shown["sources"][1]["token"] == "<secret>"
    assert shown["sources"][1]["login"] == {"user": "reader", "password": "<secret>"}
    assert shown["sources"][1]["headers"] == {"X-Key": "<secret>"}
    assert shown["sources"][0]["poll_every"] == "8h"


def test_a_password_within_a_url_is_not_shown() -> None:
    text = "sources:\n  - {name: a, provider: acme, token: x, url: 'https://me:mypass@acme.example/x'}\n"
    config = load(text, STUBS, folder=HERE, environment={})
    assert masked(config)["sources"][0]["url"] == "https://me:<secret>@acme.example/x"


def test_a_secret_that_stands_elsewhere_too_is_not_shown_there() -> None:
    text = "sources:\n  - {name: a, provider: acme, token: open-sesame, url: 'https://acme.example?key=open-sesame'}\n"
    config = load(text, STUBS, folder=HERE, environment={})
    assert masked(config)["sources"][0]["url"] == "https://acme.example?key=<secret>"


def test_a_secret_that_is_no_text_is_one_all_the_same(log_secrets: set[str]) -> None:
    text = "sources:\n  - {name: a, provider: acme, url: u, token: t, pin: %s}\n"
    config = load(text % 471147, STUBS, folder=HERE, environment={})
    assert log_secrets == {"471147"}
    assert masked(config)["sources"][0]["pin"] == "<secret>"
    assert restore(dump(config), STUBS) == config
    with pytest.raises(ConfigError) as caught:
        load(text % "open-sesame", STUBS, folder=HERE, environment={})
    assert str(caught.value) == "configuration: line 2: sources[0].pin: the value is not a whole number"


def test_a_long_value_is_not_shown_by_its_beginning() -> None:
    long = "open-sesame-" * 20
    text = "sources:\n  - {name: a, provider: acme, url: u, token: t, retries: '${LONG}'}\n"
    with pytest.raises(ConfigError) as caught:
        load(text, STUBS, folder=HERE, environment={"LONG": long})
    assert str(caught.value) == "configuration: line 2: sources[0].retries: '${LONG}' is not a whole number"


def test_what_pydantic_itself_says_shows_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"sources": [], "store": {"threads": "open-sesame"}})
    assert found(str(caught.value)) == []


def test_a_field_that_is_called_like_the_file_of_a_secret_is_that_field() -> None:
    text = "sources:\n  - {name: a, provider: acme, url: u, token: t, key_file: nowhere}\n"
    options = load(text, STUBS, folder=HERE, environment={}).sources[0].options
    assert isinstance(options, AcmeOptions)
    assert (options.key, options.key_file) == (None, HERE / "nowhere")


def test_the_log_masks_every_secret_of_a_configuration_from_then_on() -> None:
    good()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.Logfmt())
    logger = logging.Logger("test")  # noqa: LOG001  one of its own, so that no other handler hears it
    logger.addHandler(handler)
    logger.error("asked with %s", " and ".join(SECRETS))
    assert found(stream.getvalue()) == []
    assert stream.getvalue().count("<secret>") == len(SECRETS)


def test_the_worker_masks_the_secrets_that_it_is_handed(log_secrets: set[str]) -> None:
    handed = dump(good())
    log_secrets.clear()
    restore(handed, STUBS)
    assert log_secrets == set(SECRETS)


def test_a_refused_configuration_keeps_its_secrets_out_of_the_log_too(log_secrets: set[str]) -> None:
    text = "sources:\n  - {name: a, provider: acme, url: u, token: open-sesame, retries: many}\n"
    with pytest.raises(ConfigError):
        load(text, STUBS, folder=HERE, environment={})
    assert log_secrets == {"open-sesame"}


@pytest.mark.parametrize(
    "line",
    [
        "token: open-sesame\n    tokn: tr0ub4dor",
        "token: [open-sesame]",
        "token: {open-sesame: tr0ub4dor}",
        "token: *open-sesame",
        "token: !open-sesame",
        "token: !<open-sesame>",
        "token: &open-sesame",
        "token: %open-sesame",
        "token: open-sesame: tr0ub4dor",
        'token: "open-sesame',
        'token: "\\open-sesame"',
        "token: {open-sesame",
        "token: ${open-sesame",
        "token: open-sesame\n    token: tr0ub4dor",
        "token: |open-sesame",
        "token: open-sesame-expired",
        "token: open-sesame\n    retries: open-sesame",
        "token: open-sesame\n    login: {password: [correct-horse]}",
        "token: open-sesame\n    headers: [battery-staple]",
        "token: x\n    retries: ${ACME_TOKEN}",
        "token: x\n    poll_every: ${ACME_TOKEN}",
        "token: x\n    region: ${ACME_TOKEN}",
        "token: x\n    since: ${ACME_TOKEN}",
        "token: x\n    verify: ${ACME_TOKEN}\n    share: ${ACME_TOKEN}",
    ],
)
def test_no_mistake_makes_a_message_show_a_secret(line: str) -> None:
    text = f"sources:\n  - name: acme\n    provider: acme\n    url: u\n    {line}\n    mode: none\n"
    with pytest.raises(ConfigError) as caught:
        load(text, STUBS, folder=HERE, environment=ENVIRONMENT)
    assert found(str(caught.value) + repr(caught.value) + repr(caught.value.problems)) == []


def test_a_key_that_reads_its_value_from_a_file_strips_one_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b" two words\r\nand a line\r\n")
    assert token("token_file: token", tmp_path) == " two words\r\nand a line"
    assert token(f"token_file: {tmp_path}/token", Path("/")) == " two words\r\nand a line"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"\n", "{file} is empty"), (b"", "{file} is empty"), (b"\xff", "{file} is not UTF-8 text")],
)
def test_a_file_without_a_secret_is_a_problem(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        token("token_file: token", tmp_path)
    said = sentence.replace("{file}", str(tmp_path / "token"))
    assert [str(problem) for problem in caught.value.problems] == [f"line 5: sources[0].token_file: {said}"]


def test_the_path_of_a_secret_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("open-sesame")
    text = "sources:\n  - {name: a, provider: acme, url: u, token_file: '${FOLDER}/token'}\n"
    config = load(text, STUBS, folder=HERE, environment={"FOLDER": str(tmp_path)})
    assert masked(config)["sources"][0]["token"] == "<secret>"
