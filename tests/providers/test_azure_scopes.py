"""Scopes as people write them, the bills they stand for, and the role that they need."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from exporter.costs import Ask
from exporter.periods import Window
from exporter.providers.azure import SPEC, AzureOptions
from exporter.providers.azure_query import pieces, spelled
from exporter.providers.azure_scopes import BillingScope, parsed

ONE, TWO = "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-000000000002"
ACCOUNT = "/providers/Microsoft.Billing/billingAccounts/12ab:34cd_2019-05-31"


@pytest.mark.parametrize(
    ("written", "path", "account", "wide", "route"),
    [
        (ONE, f"/subscriptions/{ONE}", ONE.lower(), False, f"azure:/subscriptions/{ONE.lower()}"),
        (f"/subscriptions/{TWO}/", f"/subscriptions/{TWO}", TWO, False, f"azure:/subscriptions/{TWO}"),
        (
            f"subscriptions/{TWO}/resourceGroups/RG-Web",
            f"/subscriptions/{TWO}/resourceGroups/RG-Web",
            TWO,
            False,
            f"azure:/subscriptions/{TWO}",
        ),
        (
            "/providers/Microsoft.Management/managementGroups/Prod",
            "/providers/Microsoft.Management/managementGroups/Prod",
            "Prod",
            True,
            "azure:/providers/microsoft.management/managementgroups/prod",
        ),
        (ACCOUNT, ACCOUNT, "12ab:34cd_2019-05-31", True, f"azure:{ACCOUNT.lower()}"),
        (
            f"{ACCOUNT}/billingProfiles/AB/invoiceSections/CD",
            f"{ACCOUNT}/billingProfiles/AB/invoiceSections/CD",
            "CD",
            True,
            f"azure:{ACCOUNT.lower()}/billingprofiles/ab/invoicesections/cd",
        ),
    ],
)
def test_a_scope_is_read_as_people_write_it(written: str, path: str, account: str, wide: bool, route: str) -> None:
    scope = BillingScope.parse(written)
    assert (scope.path, scope.account, scope.wide, scope.route) == (path, account, wide, route)
    assert scope.billing_account == ("12ab:34cd_2019-05-31" if "Billing/" in written else "")


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/",
        "my-subscription",
        f"/subscriptions/{ONE}/resourceGroups",
        f"/subscriptions/{ONE}?x=1",
        "/providers/Other/x/y",
    ],
)
def test_what_is_no_scope_is_refused_with_examples(written: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a scope.*managementGroups"):
        AzureOptions(scopes=(written,))


@pytest.mark.parametrize(
    "scopes",
    [
        (ONE, f"/subscriptions/{ONE.lower()}"),
        (f"/subscriptions/{ONE}/resourceGroups/rg", ONE),
        (ACCOUNT, f"{ACCOUNT}/billingProfiles/AB"),
    ],
)
def test_scopes_that_hold_one_another_are_refused(scopes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="would count twice"):
        AzureOptions(scopes=scopes)


def test_neighbours_with_the_same_beginning_are_not_taken_for_one_another() -> None:
    groups = (f"/subscriptions/{ONE}/resourceGroups/rg", f"/subscriptions/{ONE}/resourceGroups/rg-2")
    assert [scope.path for scope in parsed(groups)] == list(groups)


def test_a_resource_group_and_its_subscription_are_one_route() -> None:
    group = AzureOptions(scopes=(f"/subscriptions/{ONE}/resourceGroups/rg", f"/subscriptions/{ONE}/resourceGroups/b"))
    whole = AzureOptions(scopes=(ONE, TWO))
    assert SPEC.routes(group) == (f"azure:/subscriptions/{ONE.lower()}",)
    assert set(SPEC.routes(group)) < set(SPEC.routes(whole))


def test_the_policy_assigns_the_role_at_each_scope() -> None:
    assert SPEC.policy
    text = SPEC.policy(AzureOptions(scopes=(TWO, ACCOUNT), client_id="88888888-0000-0000-0000-000000000008"))
    first, second = text.splitlines()
    assert first == (
        'az role assignment create --role "Cost Management Reader"'
        f" --assignee 88888888-0000-0000-0000-000000000008 --scope /subscriptions/{TWO}"
    )
    assert second.startswith("# In the portal")
    assert ACCOUNT in second


@pytest.mark.parametrize(
    ("first", "until", "months"),
    [
        (date(2024, 2, 29), date(2024, 3, 1), [1]),
        (date(2023, 12, 31), date(2024, 1, 2), [2]),
        (date(2024, 1, 1), date(2024, 7, 1), [6]),
        (date(2024, 1, 1), date(2024, 7, 2), [6, 1]),
        (date(2023, 2, 28), date(2024, 3, 1), [6, 6, 1]),
    ],
)
def test_a_window_is_cut_between_months_newest_first(first: date, until: date, months: list[int]) -> None:
    cut = pieces(Window.of_days(first, until))
    assert [len(list(piece.months())) for piece in cut] == months
    assert [day for piece in reversed(cut) for day in piece.days()] == list(Window.of_days(first, until).days())


def test_a_region_is_asked_for_in_the_spellings_that_bills_have() -> None:
    assert spelled("East US") == ("East US", "east us", "eastus")
    assert spelled("eastus") == ("eastus",)


def test_the_page_shows_the_policy_of_its_own_configuration() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/connect-azure.md").read_text("utf-8")
    [block] = re.findall(r'```yaml title="cloudspend.yml"\n(.*?)```', page, re.DOTALL)
    [source] = yaml.safe_load(block)["sources"]
    options = AzureOptions(scopes=tuple(source["scopes"]), client_id=source["client_id"])
    assert SPEC.policy
    assert f"```sh\n{SPEC.policy(options)}\n```" in page
    assert SPEC.permissions[0] in page


def test_the_page_tells_the_price_that_the_plan_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", "2026-03-15T12:00:00Z,frozen")
    page = (Path(__file__).parents[2] / "docs/how-to/connect-azure.md").read_text("utf-8")
    firsts = {
        date(2026, 3, 1): "in the middle",
        date(2026, 2, 1): "in its first days",
        date(2025, 2, 1): "the first poll",
    }
    for first, words in firsts.items():
        calls = SPEC.calls(AzureOptions(scopes=(TWO,)), Ask(Window.of_days(first, date(2026, 3, 16))))
        queries, units = sum(call.times for call in calls), sum(call.times * call.units["qpu"] for call in calls)
        [row] = [line for line in page.splitlines() if line.startswith("|") and words in line]
        assert row.endswith(f"| {queries} | {units} |")


def test_a_region_in_two_spellings_is_refused() -> None:
    with pytest.raises(ValidationError, match="'eastus' and 'East US' are one region"):
        AzureOptions(scopes=(TWO,), regions=("East US", "westus", "eastus"))
