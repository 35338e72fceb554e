"""Labels: one spelling, never empty."""

from __future__ import annotations

import pytest

from exporter.costs import CostTable
from exporter.normalise import names
from tests.costs.rows import row


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("AWS", "aws"),
        ("Amazon Web Services, Inc.", "aws"),
        ("Microsoft", "azure"),
        ("Google Cloud", "gcp"),
        ("Oracle", "oci"),
        ("Huawei Cloud", "huawei"),
        ("Red Hat Inc.", "red-hat-inc"),
        ("Datadog", "datadog"),
        ("", "unknown"),
    ],
)
def test_a_vendor_has_one_slug(words: str, label: str) -> None:
    assert names.provider(words) == label


def test_rows_that_name_no_vendor_bear_the_label_of_their_source() -> None:
    assert names.provider("", "huawei") == "huawei"
    tidied = names.tidy(CostTable.of([row("2024-01-01", "1", provider="")]), "huawei")
    assert tidied.by("provider").rows()[0].key == ("huawei",)


def test_no_label_is_empty() -> None:
    bare = row("2024-01-01", "1", provider="", account="", service=" ", region="")
    [line] = names.tidy(CostTable.of([bare])).by("provider", "account", "service", "region").rows()
    assert line.key == ("unknown", "unknown", "unknown", "global")


def test_an_azure_account_is_the_last_part_of_its_path() -> None:
    account = "/subscriptions/00000000-0000-0000-0000-000000000001"
    tidied = names.tidy(CostTable.of([row("2024-01-01", "1", account=account, provider="Microsoft")]))
    assert tidied.by("account").rows()[0].key == ("00000000-0000-0000-0000-000000000001",)
    assert names.account(account) == "00000000-0000-0000-0000-000000000001"


def test_azure_regions_have_one_spelling_and_others_keep_theirs() -> None:
    rows = [
        row("2024-01-01", "1", provider="Microsoft", region="East US"),
        row("2024-01-01", "2", provider="Microsoft", region="eastus"),
        row("2024-01-01", "4", provider="Oracle", region="US Gov East"),
    ]
    found = {line.key: line.billed for line in names.tidy(CostTable.of(rows)).by("provider", "region").rows()}
    assert found == {("azure", "eastus"): 3, ("oci", "US Gov East"): 4}


def test_an_empty_bill_stays_empty() -> None:
    assert names.tidy(CostTable.nothing()).rows() == []
