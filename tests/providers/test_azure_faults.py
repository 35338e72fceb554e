"""What goes wrong between us and Azure, over the vendor's own client: the right reason, and few attempts."""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.clock import Clock
from exporter.costs import Ask
from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.log import masked
from exporter.periods import Window
from exporter.polling.ledger import Ledger
from exporter.polling.sources import Source
from exporter.providers import azure_client
from exporter.providers.azure import SPEC, Azure, AzureOptions
from exporter.simulator.azure.estate import FIRST, SECOND
from exporter.simulator.azure.server import SECRET
from exporter.simulator.server import Fault
from exporter.store.state import State
from tests.providers.azure_house import GROUP, NOW, RECENT, House, opened_house, sums

LIMIT = "x-ms-ratelimit-microsoft.costmanagement-"
TRIES = 4


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with opened_house(tmp_path, monkeypatch, months=2) as house:
        yield house


LASTING = [
    (Fault("throttle", times=None), Throttled, TRIES, "429"),
    (Fault("error", times=None, status=500), Unavailable, TRIES, "500"),
    (Fault("error", times=None, status=502), Unavailable, TRIES, "502"),
    (Fault("error", times=None, status=503), Unavailable, TRIES, "503"),
    (Fault("error", times=None, status=504), Unavailable, TRIES, "504"),
    (Fault("error", times=None, status=424), Unavailable, TRIES, "424"),
    (Fault("reset", times=None), Unavailable, TRIES, "did not come"),
    (Fault("cut", times=None), BadData, TRIES, "cut off"),
    (Fault("html", times=None), BadData, 1, "not JSON"),
    (Fault("hollow", times=None), BadData, 1, "there is no 'columns'"),
    (Fault("error", times=None, status=400, code="BadRequest"), BadData, 1, "BadRequest"),
    (Fault("error", times=None, status=404, code="SubscriptionNotFound"), Unavailable, 1, "check `scopes`"),
    (Fault("error", times=None, status=302), Unavailable, 1, "302"),
    (Fault("error", times=None, status=307, headers={"Location": "https://elsewhere.example/"}), Unavailable, 1, "307"),
    (Fault("denied", times=None), AccessDenied, 1, "RBACAccessDenied"),
    (Fault("expired", times=None), AccessDenied, 1, "ExpiredAuthenticationToken"),
]


@pytest.mark.parametrize(
    ("fault", "reason", "attempts", "said"),
    LASTING,
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else "",
)
def test_a_lasting_fault_ends_in_its_reason(
    house: House, fault: Fault, reason: type[SourceError], attempts: int, said: str
) -> None:
    fault = Fault(**{name: getattr(fault, name) for name in Fault.__slots__} | {"operation": "query"})
    house.cloud.inject(fault)
    with pytest.raises(reason) as caught:
        house.bill(FIRST)
    assert said in str(caught.value)
    assert len(house.cloud.asked("query")) == len(house.meter.operations) == attempts
    assert house.waits == sorted(house.waits)


@pytest.mark.parametrize("kind", ["throttle", "error", "reset", "cut"])
def test_a_passing_fault_is_waited_for_and_metered(house: House, kind: str) -> None:
    whole = sums(house.bill(FIRST).costs, "day", "service")
    asked = len(house.cloud.asked("query"))
    house.cloud.reset()
    house.meter.operations.clear()
    house.cloud.inject(Fault(kind, operation="query", times=2, after=1))  # type: ignore[arg-type]
    assert sums(house.bill(FIRST).costs, "day", "service") == whole
    assert len(house.meter.operations) == len(house.cloud.asked("query")) == asked + 2


def test_a_server_that_hangs_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_client, "READ_SECONDS", 0.2)
    house.cloud.inject(Fault("hang", operation="query", times=None, seconds=1))
    with pytest.raises(Unavailable, match=r"sent nothing for 0\.2 s"):
        house.bill(FIRST)
    assert len(house.meter.operations) == TRIES


def test_a_server_that_is_not_there_is_unavailable(house: House) -> None:
    house.cloud._http.shutdown()
    house.cloud._http.server_close()
    with pytest.raises(Unavailable, match="cannot reach Azure"):
        house.bill(FIRST)
    assert len(house.meter.operations) == TRIES


def test_a_certificate_of_nobody_we_trust_is_said(house: House) -> None:
    with pytest.raises(Unavailable, match=r"no trusted connection.*`ca_bundle`"):
        house.bill(FIRST, ca_bundle=None)
    assert house.cloud.calls == []
    assert len(house.meter.operations) == 1


def test_the_longest_of_the_rests_that_are_asked_for_counts(house: House) -> None:
    rests = {f"{LIMIT}qpu-retry-after": "7", f"{LIMIT}entity-retry-after": "21", "Retry-After": "3"}
    rests[f"{LIMIT}tenant-retry-after"] = "0"
    house.cloud.inject(Fault("throttle", operation="query", headers=rests))
    house.bill(FIRST, amortized=False)
    assert house.waits == [21.0]


@pytest.mark.parametrize("header", ["Retry-After", f"{LIMIT}clienttype-retry-after", f"{LIMIT}client-retry-after"])
def test_a_long_rest_is_left_to_the_poller(house: House, header: str) -> None:
    house.cloud.inject(Fault("throttle", operation="query", times=None, headers={header: "1800"}))
    with pytest.raises(Throttled) as caught:
        house.bill(FIRST)
    assert caught.value.retry_after == timedelta(minutes=30)
    assert (house.waits, len(house.meter.operations)) == ([], 1)


def test_throttling_without_a_word_about_when_is_retried_a_few_times(house: House) -> None:
    house.cloud.inject(Fault("throttle", operation="query", times=None))
    with pytest.raises(Throttled) as caught:
        house.bill(FIRST)
    assert caught.value.retry_after is None
    assert house.waits == [1.0, 2.0, 4.0]


def test_a_long_look_back_stays_within_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_house(tmp_path, monkeypatch, rationed=True, page_rows=10_000) as house:
        assert SPEC.history
        bill = house.bill(FIRST, window=Window(NOW - SPEC.history, NOW))
        assert sums(bill.costs) == sums(bill.totals)
        assert {call.status for call in house.cloud.asked("query")} == {200}
        assert house.meter.units == 56
        assert house.waits


def test_past_the_quota_azure_itself_says_when_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_house(tmp_path, monkeypatch, rationed=True) as house:
        house.cloud.quotas._used.append((NOW - timedelta(minutes=2), 599))
        with pytest.raises(Throttled) as caught:
            house.bill(FIRST)
        assert caught.value.retry_after == timedelta(minutes=58)


def test_a_denied_scope_fails_the_source_and_is_named(house: House) -> None:
    house.cloud.denied = {SECOND}
    with pytest.raises(AccessDenied) as caught:
        house.bill(FIRST, SECOND)
    hint = caught.value.hint or ""
    assert all(word in hint for word in (SECOND, "Cost Management Reader", *SPEC.permissions[:1], "source of its own"))
    assert sums(house.bill(FIRST).costs)


LOGIN = [
    ({"client_secret": "not-the-secret"}, "AADSTS7000215", "`client_secret` is not the secret"),
    ({"client_id": "77777777-0000-0000-0000-000000000007"}, "AADSTS700016", "no application"),
    ({"tenant_id": "66666666-0000-0000-0000-000000000006"}, "", "`tenant_id`"),
]


@pytest.mark.parametrize(("given", "code", "hint"), LOGIN)
def test_a_login_that_fails_names_what_is_wrong(house: House, given: dict[str, str], code: str, hint: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        house.bill(FIRST, **given)
    assert code in caught.value.message
    assert hint in (caught.value.hint or "")
    assert house.cloud.asked("query") == []
    assert len(house.meter.operations) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("expired", operation="login", times=None), AccessDenied),
        (Fault("throttle", operation="login", times=None, after=1), Throttled),
        (Fault("error", operation="login", times=None, after=1), Unavailable),
        (Fault("reset", operation="login", times=None), Unavailable),
        (Fault("html", operation="login", times=None), BadData),
        (Fault("html", operation="login", times=None, after=1), BadData),
        (Fault("hollow", operation="login", times=None), BadData),
        (Fault("hollow", operation="login", times=None, after=1), AccessDenied),
        (Fault("cut", operation="login", times=None, after=1), BadData),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_login_in_trouble_has_a_reason_too(house: House, fault: Fault, reason: type[SourceError]) -> None:
    house.cloud.inject(fault)
    with pytest.raises(reason):
        house.bill(FIRST)
    assert 1 <= len(house.meter.operations) <= TRIES
    assert house.cloud.asked("query") == []


def test_the_credentials_of_the_environment_are_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    given = house.settings(FIRST)
    for name in ("tenant_id", "client_id", "client_secret"):
        monkeypatch.setenv(f"AZURE_{name.upper()}", given.pop(name))
    for sign_in in ("environment", "chain"):
        options = AzureOptions.model_validate({**given, "sign_in": sign_in})
        assert sums(Azure(options, house.meter, Clock(frozen=NOW)).fetch(Ask(RECENT)).costs)


def test_no_credentials_at_all_say_what_to_set(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    options = AzureOptions(scopes=(FIRST,), sign_in="environment", endpoint_url=house.cloud.url, ca_bundle=house.ca)
    with pytest.raises(AccessDenied, match="set `tenant_id`"):
        Azure(options, house.meter, Clock(frozen=NOW)).fetch(Ask(RECENT))


def test_the_next_page_is_asked_for_at_our_own_endpoint_whatever_the_link_says(house: House) -> None:
    whole = sums(house.bill(FIRST).costs)
    house.cloud.page_rows = 50
    house.cloud.relink = lambda link: link.replace(house.cloud.url, "https://elsewhere.example")
    calls = len(house.cloud.calls)
    assert sums(house.bill(FIRST).costs) == whole
    assert len(house.cloud.calls) > 2 * calls


def test_pages_that_go_in_circles_are_bad_data(house: House) -> None:
    house.cloud.page_rows = 50
    links: list[str] = []

    def first_again(link: str) -> str:
        links.append(link)
        return links[0]

    house.cloud.relink = first_again
    with pytest.raises(BadData, match="in circles"):
        house.bill(FIRST)


def test_after_a_crash_between_pages_only_what_is_missing_is_asked(house: House, tmp_path: Path) -> None:
    house.cloud.page_rows = 60
    options = AzureOptions.model_validate(house.settings(FIRST, amortized=False))
    hour = timedelta(hours=1)
    source = Source("azure-prod", SPEC, options, 8 * hour, 72 * hour, 36 * hour, (), cache=4 * hour)
    with State(tmp_path / "state.sqlite") as state:
        provider = Azure(options, Ledger(state, source, Clock(frozen=NOW)), Clock(frozen=NOW))
        whole = sums(provider.fetch(Ask(RECENT)).costs, "day", "service")
        pages = len(house.cloud.asked("query"))
        assert pages == 7
        state.drop_pages("azure-prod")
        house.cloud.reset()
        house.cloud.inject(Fault("denied", operation="query", after=5, times=1))
        with pytest.raises(AccessDenied):
            provider.fetch(Ask(RECENT))
        house.cloud.reset()
        assert sums(provider.fetch(Ask(RECENT)).costs, "day", "service") == whole
        assert len(house.cloud.asked("query")) == pages - 5


def test_a_request_past_the_cap_is_not_made(house: House) -> None:
    house.meter.cap = 1
    with pytest.raises(Throttled, match="the cap of this meter"):
        house.bill(FIRST)
    assert len(house.cloud.asked("query")) == 1


def test_no_secret_is_in_an_error_a_repr_or_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(house.source(FIRST)), repr(house.source(FIRST).options)]
    tokens = house.cloud._tokens
    for fault in (*(fault for fault, *_ in LASTING), Fault("denied", operation="login")):
        house.cloud.reset()
        house.cloud.inject(Fault(fault.kind, operation=fault.operation or "query", status=fault.status, times=None))
        with pytest.raises(SourceError) as caught:
            house.bill(FIRST)
        said += ["".join(traceback.format_exception(caught.value)), str(caught.value)]
    everything = "\n".join([*said, caplog.text])
    assert tokens
    assert [secret for secret in (SECRET, *tokens) if secret in everything] == []
    assert masked(SECRET) == "<secret>"


def test_plain_http_and_half_a_login_are_refused() -> None:
    with pytest.raises(ValidationError, match="https://"):
        AzureOptions(scopes=(FIRST,), endpoint_url="http://127.0.0.1:1")
    with pytest.raises(ValidationError, match="needs tenant_id and client_id"):
        AzureOptions.model_validate({"scopes": [FIRST], "client_secret": "half"})


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ValidationError, match=r"pip install 'cloudspend\[azure\]'"):
        AzureOptions(scopes=(FIRST,))


def test_a_wide_scope_that_is_unknown_is_unavailable(house: House) -> None:
    with pytest.raises(Unavailable, match="NotFound"):
        house.bill(f"{GROUP}-not")


def test_a_date_before_the_first_month_is_nobodys_fault() -> None:
    from exporter.providers.azure_query import oldest_kept

    assert f"{oldest_kept(datetime(2026, 3, 1, 0, 5, tzinfo=UTC)).start:%Y-%m-%d}" == "2025-02-01"


@pytest.mark.parametrize(
    ("cloud", "endpoint", "token_for"),
    [
        ("public", "https://management.azure.com/", "https://management.azure.com/.default"),
        ("china", "https://management.chinacloudapi.cn/", "https://management.chinacloudapi.cn/.default"),
        ("government", "https://management.usgovcloudapi.net/", "https://management.core.usgovcloudapi.net/.default"),
    ],
)
def test_each_azure_has_its_own_addresses(house: House, cloud: str, endpoint: str, token_for: str) -> None:
    given = house.settings(FIRST, cloud=cloud, endpoint_url=None, authority_url=None)
    with azure_client.asking(AzureOptions.model_validate(given), house.meter) as azure:
        assert azure.endpoint == endpoint
        assert azure.client._config.credential_scopes == [token_for]


def test_a_proxy_that_is_not_there_is_said_without_its_password(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("NO_PROXY", "")
    password = "-".join(("proxy", "word"))  # not in a line that a traceback shows
    with pytest.raises(Unavailable, match="`proxy`") as caught:
        house.bill(FIRST, proxy=f"http://somebody:{password}@127.0.0.1:1")
    told = "".join(traceback.format_exception(caught.value))
    assert password not in f"{told} {caplog.text}"
    assert masked(password) == "<secret>"
    assert house.cloud.calls == []
