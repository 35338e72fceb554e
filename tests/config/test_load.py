"""What a file says reaches the configuration: values, paths, environment, files; and all of its mistakes at once."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from exporter.config import Config, SourceSettings, load, read
from exporter.costs import Cost
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS, AcmeOptions, FilesOptions, Region

ENVIRONMENT = {"THREADS": "4", "ACME_TOKEN": "open-sesame"}
SMALL = "sources:\n  - {name: history, provider: focus, path: bills}\n"


def loaded(text: str, folder: Path = HERE, **environment: str) -> Config:
    return load(text, STUBS, folder=folder, environment=environment)


def refused(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, HERE, **environment)
    return [str(problem) for problem in caught.value.problems]


def acme(lines: str, **environment: str) -> AcmeOptions:
    text = f"sources:\n  - name: acme\n    provider: acme\n    url: u\n    token: open-sesame\n{lines}"
    options = loaded(text, HERE, **environment).sources[0].options
    assert isinstance(options, AcmeOptions)
    return options


def files(path: str, folder: Path = HERE) -> str:
    options = loaded(f"sources:\n  - name: x\n    provider: focus\n    path: {path}\n", folder).sources[0].options
    assert isinstance(options, FilesOptions)
    return options.path


def test_a_file_with_every_key_says_what_it_says() -> None:
    config = read(HERE / "good.yml", STUBS, ENVIRONMENT)
    assert config.store.path == HERE / "data"
    assert (config.store.memory_limit, config.store.threads) == ("512MB", 4)
    assert config.cost.basis is Cost.EFFECTIVE
    assert config.currency is not None
    assert (config.currency.reporting, config.currency.rates_file) == ("CHF", HERE / "rates/good.csv")
    assert (config.worker.timeout, config.worker.memory_limit) == (timedelta(minutes=90), "4GiB")
    history, prod, test = config.sources
    assert config.api_budget is not None
    assert history.api_budget is not None
    assert (config.api_budget.monthly_usd, history.api_budget.monthly_usd) == (Decimal("5.1"), Decimal(2))
    assert (history.name, history.provider, history.tags) == ("history", "focus", ("team", "cost center"))
    assert (history.poll_every, history.settles_after) == (timedelta(hours=8), timedelta(0))
    assert history.max_age == timedelta(days=7)
    assert history.options == FilesOptions(path=str(HERE / "bills/2024-*.csv.gz"))
    acme = prod.options
    assert isinstance(acme, AcmeOptions)
    assert acme.url == "https://acme.example/${literal}"
    assert acme.token.get_secret_value() == "open-sesame"
    assert acme.proxy_password is not None
    assert acme.proxy_password.get_secret_value() == "file-based-secret"
    assert acme.login is not None
    assert acme.login.password.get_secret_value() == "correct-horse"
    assert acme.headers["X-Key"].get_secret_value() == "battery-staple"
    assert (acme.region, acme.retries, acme.verify, acme.share) == (Region.WEST, 5, False, Decimal("0.5"))
    assert (acme.since, acme.accounts) == (date(2024, 9, 1), ("012345678901", "111122223333"))
    assert acme.spool == HERE / "spool"
    assert isinstance(test.options, AcmeOptions)
    assert test.options.token.get_secret_value() == "tr0ub4dor"
    assert (test.name, test.options.region) == ("acme-test", Region.WEST)


def test_what_a_file_leaves_out_has_its_default() -> None:
    config = loaded(SMALL)
    assert config.store.path == HERE / "cloudspend-data"
    assert (config.store.memory_limit, config.store.threads) == ("1GB", 2)
    assert config.cost.basis is Cost.BILLED
    assert config.currency is None
    assert config.api_budget is None
    assert (config.worker.timeout, config.worker.memory_limit) == (timedelta(minutes=30), None)
    (source,) = config.sources
    assert (source.poll_every, source.settles_after, source.max_age) == (None, None, timedelta(hours=36))
    assert source.tags == ()


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = """\
store: {threads: many, pth: x}
cost:
  basis: biled
sources:
  - name: a
    provider: focus
    path: bills
    max_age: 36
  - name: a
    provider: acme
    url: ${NOPE}
    tags: [team, "", team]
    token_file: nowhere
    retries: 10
    retries: 10
  - provider: fokus
    poll_evry: 8h
budgts: []
"""
    assert refused(text) == [
        "line 1: store.threads: 'many' is not a whole number",
        "line 1: store.pth: unknown key. hint: did you mean path?",
        "line 3: cost.basis: 'biled' is not one of billed, effective, list. hint: did you mean billed?",
        "line 8: sources[0].max_age: 36 is not a duration such as 30m, 8h or 2d. hint: a number needs its unit",
        "line 9: sources[1].name: 'a' is the name of sources[0] on line 5 too",
        "line 11: sources[1].url: the environment variable NOPE is not set. hint: set it, or write ${NOPE:-default}",
        "line 12: sources[1].tags[1]: must not be empty",
        "line 12: sources[1].tags[2]: is given above already",
        f"line 13: sources[1].token_file: cannot read {HERE}/nowhere: No such file or directory",
        "line 14: sources[1].retries: must be at most 9, not 10",
        "line 15: sources[1].retries: is given twice, first on line 14. hint: keep one of the two",
        "line 16: sources[2].name: is missing",
        "line 16: sources[2].provider: 'fokus' is not a provider. hint: did you mean focus?",
        "line 17: sources[2].poll_evry: unknown key. hint: did you mean poll_every?",
        "line 18: budgts: unknown key. hint: did you mean budgets?",
    ]


def test_a_key_keeps_its_line_when_a_merge_behind_it_has_the_same_key() -> None:
    text = """\
sources:
  - &first {name: a, provider: acme, url: u, token: t, retries: 1}
  - name: b
    retries: 99
    <<: *first
"""
    assert refused(text) == ["line 4: sources[1].retries: must be at most 9, not 99"]


def test_a_value_that_is_not_there_has_one_problem() -> None:
    text = "sources:\n  - {name: a, provider: acme, url: u, token: t, retries: '${NOPE}', mode: !x fast}\n"
    assert [line.partition(" hint")[0] for line in refused(text)] == [
        "line 2: sources[0].retries: the environment variable NOPE is not set.",
        "line 2: sources[0].mode: a tag (!…) has no meaning here.",
    ]


def test_data_must_outlive_the_next_poll() -> None:
    text = "sources: [{name: a, provider: focus, path: x, poll_every: 8h, max_age: %s}]"
    assert loaded(text % "8h1s").sources[0].poll_every == timedelta(hours=8)
    (problem,) = refused(text % "8h")
    assert problem.startswith("line 1: sources[0].poll_every: must be shorter than max_age (8h), ")


def test_a_limit_of_a_duration_is_told_as_a_duration() -> None:
    text = "sources: [{name: a, provider: acme, url: u, token: t, wait: 0s}]"
    assert refused(text) == ["line 1: sources[0].wait: must be at least 1s, not '0s'"]


def test_only_the_providers_that_a_configuration_names_are_asked_for_their_options() -> None:
    class Watched:
        def names(self) -> tuple[str, ...]:
            return STUBS.names()

        def options(self, name: str) -> type[BaseModel]:
            asked.add(name)
            return STUBS.options(name)

    asked: set[str] = set()
    load(SMALL, Watched(), folder=HERE, environment={})
    assert asked == {"focus"}


def test_a_source_cannot_hide_its_options_under_a_key() -> None:
    text = "sources:\n  - {name: history, provider: focus, options: {path: bills}}\n"
    assert refused(text) == [
        "line 2: sources[0].path: is missing",
        (
            "line 2: sources[0].options: unknown key. hint: the keys here are "
            "name, display_name, provider, poll_every, settles_after, max_age, cache, tags, hours, series_limit, "
            "api_budget, webhook_url, webhook_secret, webhook_url_file, webhook_secret_file, path"
        ),
    ]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("bills", "{folder}/bills"),
        ("./bills/2024-*.csv.gz", "{folder}/bills/2024-*.csv.gz"),
        ("../bills/**", "{folder}/../bills/**"),
        ("/var/bills/*.parquet", "/var/bills/*.parquet"),
        ("s3://bucket/bills/*.parquet", "s3://bucket/bills/*.parquet"),
    ],
)
def test_a_relative_pattern_starts_at_the_folder_of_the_file(written: str, path: str) -> None:
    assert files(written) == path.replace("{folder}", str(HERE))


def test_brackets_in_the_name_of_the_folder_are_no_part_of_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "bills [2024]"
    folder.mkdir()
    (folder / "a.csv").touch()
    assert list(Path("/").glob(files("'*.csv'", folder).removeprefix("/"))) == [folder / "a.csv"]
    assert files("a.csv", folder) == str(folder / "a.csv")


def test_a_folder_may_be_relative_to_where_the_command_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/cloudspend.yml").write_text(SMALL)
    config = read(Path("etc/cloudspend.yml"), STUBS, {})
    assert config.store.path == tmp_path / "etc/cloudspend-data"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "1"),
        ("${A}${A}", "11"),
        ("x-${A:-2}-y", "x-1-y"),
        ("${B:-2}", "2"),
        ("${B:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-2}", "2"),
        ("${B:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("${A} # not ${B}", "1"),
    ],
)
def test_a_reference_becomes_what_the_environment_says(written: str, value: str) -> None:
    text = f"sources:\n  - name: acme\n    provider: acme\n    token: x\n    url: {written}\n"
    options = loaded(text, A="1", EMPTY="").sources[0].options
    assert isinstance(options, AcmeOptions)
    assert options.url == value


@pytest.mark.parametrize("written", ["${", "${}", "${1A}", "${A B}", "${A:+x}", "${B:-${A}}"])
def test_what_begins_like_a_reference_and_is_none_is_a_problem(written: str) -> None:
    text = f"sources:\n  - name: acme\n    provider: acme\n    token: x\n    url: '{written}'\n"
    assert refused(text, A="1") == [
        (
            "line 5: sources[0].url: ${ begins no reference such as ${NAME} or ${NAME:-default}"
            ". hint: write $${ for the two characters"
        )
    ]


def test_the_environment_reaches_values_and_not_keys() -> None:
    assert acme("    headers: {'${A}': '${A}'}\n", A="value").headers["${A}"].get_secret_value() == "value"


def test_a_value_from_the_environment_is_a_text_whatever_it_looks_like() -> None:
    assert acme("    accounts: ['${A}']\n", A="012").accounts == ("012",)
    assert acme("    retries: ${A}\n", A="7").retries == 7
    assert acme("    region: ${A}\n", A="west").region is Region.WEST
    assert acme("    proxy_password: ${A}\n", A="{a: [b]}").proxy_password is not None


@pytest.mark.parametrize("written", ["012345678901", "1:30", "2024-09-01", "yes", "on", "NO", "0x1f", "1e5", "1_000"])
def test_what_only_some_readings_of_yaml_take_for_more_is_a_text(written: str) -> None:
    assert acme(f"    accounts: [{written}]\n").accounts == (written,)


def test_yes_and_off_are_answers_where_one_is_asked_for() -> None:
    assert acme("    verify: yes\n").verify is True
    assert acme("    verify: off\n").verify is False


def test_a_missing_file_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "cloudspend.yml", STUBS, {})
    hint = "name another with --config, or start from config.example.yml"
    assert str(caught.value) == f"{tmp_path}/cloudspend.yml: there is no such file. hint: {hint}"


def test_a_folder_or_bytes_in_place_of_a_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, STUBS, {})
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"
    (tmp_path / "latin.yml").write_bytes("sources: [\xe9]".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "latin.yml", STUBS, {})
    assert str(caught.value) == f"{tmp_path}/latin.yml: is not UTF-8 text"


@pytest.mark.parametrize("text", ["[" * 3000, "- " * 3000, "&a [*a]", "\0", "a: !!int x", "%YAML 9", "\ud800"])
def test_no_text_breaks_the_reader(text: str) -> None:
    assert refused(text)


def test_a_source_made_in_code_takes_its_options_as_an_instance() -> None:
    source = SourceSettings(name="history", provider="focus", options=FilesOptions(path="bills"))
    assert Config(sources=(source,)).sources[0].options == FilesOptions(path="bills")
    with pytest.raises(ValidationError, match="two have the same name"):
        Config(sources=(source, source))
