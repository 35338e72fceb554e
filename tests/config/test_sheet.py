"""A configuration from a spreadsheet: what each cell means, and what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from exporter.config import Config, load, masked, read
from exporter.errors import ConfigError
from exporter.log import masked as hidden
from exporter.polling.sources import Registry
from exporter.providers.aws_session import AwsOptions
from tests.config.stubs import STUBS, AcmeOptions

HEAD = "name,provider,config,display_name,webhook_url"
BAR = r"row 2, column config: entry {} is not key=value. hint: a bar in a value is written \|"


def sheet(*rows: str, head: str = HEAD, end: str = "\n", **environment: str) -> Config:
    text = end.join([head, *rows, ""])
    return load(text, STUBS, file="accounts.csv", folder=Path("/srv/bills"), environment=environment)


def real(*rows: str, **environment: str) -> Config:
    text = "\n".join([HEAD, *rows])
    return load(text, Registry(), file="accounts.CSV", folder=Path("/srv/bills"), environment=environment)


def problems(*rows: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        sheet(*rows, head=head)
    assert str(caught.value).startswith("accounts.csv: ")
    return [str(problem) for problem in caught.value.problems]


def options(config: Config) -> BaseModel:
    [source] = config.sources
    return source.options


def acme(config: Config) -> AcmeOptions:
    found = options(config)
    assert isinstance(found, AcmeOptions)
    return found


def aws(config: Config) -> AwsOptions:
    found = options(config)
    assert isinstance(found, AwsOptions)
    return found


def test_a_row_is_a_source_and_its_config_cell_the_rest() -> None:
    config = sheet("prod,acme,url=https://acme|token=deadbeef|retries=5|verify=false|poll_every=2h,Shop,")
    [source] = config.sources
    assert (source.name, source.provider, source.display_name) == ("prod", "acme", "Shop")
    assert source.poll_every is not None
    assert source.poll_every.total_seconds() == 7200
    found = acme(config)
    assert (found.url, found.retries, found.verify) == ("https://acme", 5, False)
    assert found.token.get_secret_value() == "deadbeef"
    assert config.store.path == Path("/srv/bills/cloudspend-data")


def test_what_spreadsheets_do_to_a_table_does_not_matter() -> None:
    plain = sheet("a,focus,path=x.csv,A,", "b,focus,path=y.csv,,")
    bom = sheet('"a",FOCUS, path = x.csv ,A,', ",,,,", "b,focus,path=y.csv", head=f"\ufeff{HEAD.upper()},,", end="\r\n")
    assert masked(bom) == masked(plain)
    turned = sheet("A,path=x.csv,focus,a", ",path=y.csv,focus,b", head="display_name,config,provider,name")
    assert masked(turned) == masked(plain)


def test_lists_parts_and_bars_have_a_spelling() -> None:
    row = r'prod,acme,"url=u|token=a\|b=c|accounts=one,two|tags=team, env|api_budget.monthly_usd=2.5|login.user=me|'
    config = sheet(row + 'login.password=pw-pw|wait=90s|",,')
    [source] = config.sources
    found = acme(config)
    assert found.token.get_secret_value() == "a|b=c"
    assert found.accounts == ("one", "two")
    assert source.tags == ("team", "env")
    assert source.api_budget is not None
    assert str(source.api_budget.monthly_usd) == "2.5"
    assert found.login is not None
    assert found.login.user == "me"


def test_secrets_come_from_the_environment_or_a_file_and_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    text = f"{HEAD}\na,acme,url=u|token_file=token|key=${{KEY}},,${{HOOK}}\n"
    (tmp_path / "accounts.csv").write_text(text)
    hook = "https://hook.example/bot-of-a-test"
    config = read(tmp_path / "accounts.csv", STUBS, {"KEY": "from-the-environment", "HOOK": hook})
    found, url = acme(config), config.sources[0].webhook_url
    assert url is not None
    assert url.get_secret_value() == hook
    assert hook not in str(masked(config)) + repr(config)
    assert found.token.get_secret_value() == "from-a-file"
    assert found.key is not None
    assert found.key.get_secret_value() == "from-the-environment"
    assert "from-a-file" not in str(masked(config)) + repr(config)
    assert "from-the-environment" not in str(masked(config)) + repr(config)


def test_the_words_of_older_tools_mean_cost_explorer() -> None:
    config = real("prod,aws,region=us-east-1|api_key=AKIDOFATEST|api_secret=${S},,", S="a-secret-of-a-test")
    assert config.sources[0].provider == "aws_cost_explorer"
    found = aws(config)
    assert (found.access_key_id, found.partition) == ("AKIDOFATEST", "aws")
    assert found.secret_access_key is not None
    assert found.secret_access_key.get_secret_value() == "a-secret-of-a-test"
    assert hidden("AKIDOFATEST a-secret-of-a-test") == "<secret> <secret>"
    assert masked(config)["sources"][0]["access_key_id"] == "<secret>"


def test_the_secret_of_older_tools_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-secret-in-a-file\n")
    found = aws(real(f"prod,aws,api_key=AKIDOFATEST|api_secret_file={tmp_path / 'key'},,"))
    assert found.secret_access_key is not None
    assert found.secret_access_key.get_secret_value() == "a-secret-in-a-file"


def test_a_region_in_china_is_the_china_partition() -> None:
    assert aws(real("china,aws,region=cn-north-1,,")).partition == "aws-cn"
    assert aws(real("china,aws_cost_explorer,partition=aws-cn,,")).partition == "aws-cn"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("prod,aws,api_key=AKID,,", "row 2: api_key and api_secret go together"),
        ("prod,aws,region=Frankfurt,,", "row 2, column config, region: 'Frankfurt' is not a region such as us-east-1"),
        (
            "shop,huawei,region=cn-north-4|api_key=a|api_secret=b,,",
            (
                "row 2, column provider: no provider here reads bills of Huawei Cloud"
                ". hint: take the row out, or read its bill from a FOCUS file (provider focus)"
            ),
        ),
        ("prod,aws,api_key=a|access_key_id=b|api_secret=c,,", "row 2, column config, api_key: is given twice"),
    ],
)
def test_a_mistake_in_the_words_of_older_tools_is_told_in_them(row: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        real(row)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("prod,acne,url=u|token=deadbeef,,", "row 2, column provider: 'acne' is not a provider. hint: did"),
        (",focus,path=x,,", "row 2, column name: is missing"),
        ("prod,,path=x,,", "row 2, column provider: is missing"),
        ("prod,focus,,,", "row 2, column config, path: is missing"),
        ("prod,focus,path=x|pol_every=2h,,", "row 2, column config, pol_every: unknown key. hint: did you"),
        ("prod,focus,path=x|poll_every=5,,", "row 2, column config, poll_every: '5' is not a duration"),
        ("prod,focus,path=x|oops,,", BAR.format(2)),
        ("prod,focus,=x|path=y,,", BAR.format(1)),
        ("prod,focus,path=x|path=y,,", "row 2, column config, path: is given twice. hint: keep one of the two"),
        ("prod,focus,path=x|name=y,,", "row 2, column config: name has a column of its own"),
        (
            "prod,focus,path=x|api_budget=5|api_budget.monthly_usd=2,,",
            "row 2, column config, api_budget: api_budget is given as a value too. hint: keep one of the two",
        ),
        ("Prod 1,focus,path=x,,", "row 2, column name: 'Prod 1' is not a name such as aws-prod"),
        ("prod,focus,path=${NOWHERE},,", "row 2, column config, path: the environment variable NOWHERE is not set"),
        ("prod,focus,path=x,,not-a-url", "row 2, column webhook_url: must be a URL that begins with https://"),
        (
            "prod,focus,path=x,a,,b",
            'row 2: has 6 cells, and the header has 5. hint: put a cell that holds a comma in quotes: "…"',
        ),
    ],
)
def test_a_mistake_is_told_with_its_row_and_column(row: str, said: str) -> None:
    told = problems(row)
    assert any(one.startswith(said) for one in told), told


def test_all_mistakes_are_told_at_once_in_the_order_of_the_rows() -> None:
    told = problems(
        "a,focus,path=x,,", "", "a,focus,path=y|series_limit=no,,", "b,broken,,,", "c,acme,token=x-expired|url=u,,"
    )
    assert [one.partition(":")[0] for one in told] == [
        "row 4, column name",
        "row 4, column config, series_limit",
        "row 5, column provider",
        "row 6, column config, token",
    ]
    assert told[0] == "row 4, column name: 'a' is the name in row 2 too"
    assert "x-expired" not in told[3]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "is empty. hint: the first row is name,provider,config,display_name,webhook_url"),
        (
            HEAD.replace(",", ";"),
            "row 1: the cells are parted by ';', and must be by commas. hint: save it as CSV UTF-8 (comma delimited)",
        ),
        (
            HEAD.replace(",", "\t"),
            "row 1: the cells are parted by tabs, and must be by commas. hint: save it as CSV UTF-8 (comma delimited)",
        ),
        ("name,provider,confg", "row 1, column 3: 'confg' is no column. hint: did you mean config?"),
        ("name,name,provider", "row 1, column 2: 'name' is given twice"),
        ("name,config", "row 1: has no column 'provider'. hint: the columns are name, provider, config, display_name"),
        (HEAD, "has no row below its header. hint: one row for each source"),
    ],
)
def test_a_header_that_is_not_ours_is_told(head: str, said: str) -> None:
    [told] = problems(head=head)
    assert told.startswith(said)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('a,focus,"path=x,,', "row 2: a quoted cell does not end"),
        ('a,focus,"path"=x,,', "row 2: something stands behind a quoted cell"),
    ],
)
def test_quotes_that_do_not_fit_are_told(row: str, said: str) -> None:
    [told] = problems(row)
    assert told == f'{said}. hint: a cell with commas stands in "…", and a quote in it is doubled'


def test_no_message_repeats_a_piece_of_a_secret() -> None:
    told = problems("prod,acme,url=u|token=geheim|nis-expired,,")
    assert "geheim" not in "\n".join(told)
    assert "nis" not in "\n".join(told)


def test_a_file_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(f"{HEAD}\na,focus,path=x,,\n", encoding="utf-16")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read(path, STUBS, {})
