"""Guard against drift: the installed botocore still knows the members that we send and read."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import get_session

MEMBERS = [
    ("ce", "GetCostAndUsage", "in", "TimePeriod.Start"),
    ("ce", "GetCostAndUsage", "in", "TimePeriod.End"),
    ("ce", "GetCostAndUsage", "in", "Granularity"),
    ("ce", "GetCostAndUsage", "in", "Metrics"),
    ("ce", "GetCostAndUsage", "in", "GroupBy[].Type"),
    ("ce", "GetCostAndUsage", "in", "GroupBy[].Key"),
    ("ce", "GetCostAndUsage", "in", "Filter.And[].Not.Dimensions.Key"),
    ("ce", "GetCostAndUsage", "in", "Filter.Dimensions.Values"),
    ("ce", "GetCostAndUsage", "in", "NextPageToken"),
    ("ce", "GetCostAndUsage", "out", "NextPageToken"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].TimePeriod.Start"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].Estimated"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].Total{}.Amount"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].Groups[].Keys"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].Groups[].Metrics{}.Amount"),
    ("ce", "GetCostAndUsage", "out", "ResultsByTime[].Groups[].Metrics{}.Unit"),
    ("ce", "GetCostAndUsage", "out", "DimensionValueAttributes[].Value"),
    ("ce", "GetCostAndUsage", "out", "DimensionValueAttributes[].Attributes"),
    ("sts", "GetCallerIdentity", "out", "Account"),
    ("sts", "GetCallerIdentity", "out", "Arn"),
    ("sts", "AssumeRole", "in", "ExternalId"),
    ("sts", "AssumeRole", "in", "RoleSessionName"),
    ("sts", "AssumeRole", "in", "DurationSeconds"),
    ("sts", "AssumeRole", "out", "Credentials.SessionToken"),
    ("sts", "AssumeRoleWithWebIdentity", "in", "WebIdentityToken"),
    ("sts", "AssumeRoleWithWebIdentity", "out", "Credentials.SecretAccessKey"),
    ("organizations", "ListAccounts", "in", "NextToken"),
    ("organizations", "ListAccounts", "out", "NextToken"),
    ("organizations", "ListAccounts", "out", "Accounts[].Id"),
    ("organizations", "ListAccounts", "out", "Accounts[].Name"),
]


@pytest.mark.parametrize(("service", "operation", "way", "path"), MEMBERS)
def test_a_member_exists(service: str, operation: str, way: str, path: str) -> None:
    model = get_session().get_service_model(service).operation_model(operation)
    shape: Any = model.input_shape if way == "in" else model.output_shape
    for step in path.split("."):
        shape = shape.members[step.rstrip("[]{}")]
        shape = shape.member if step.endswith("[]") else shape.value if step.endswith("{}") else shape


@pytest.mark.parametrize("dimension", ["SERVICE", "REGION", "LINKED_ACCOUNT", "RECORD_TYPE", "USAGE_TYPE"])
def test_a_dimension_exists(dimension: str) -> None:
    assert dimension in get_session().get_service_model("ce").shape_for("Dimension").enum


def test_cost_explorer_still_has_no_paginator() -> None:
    """Its pages are read by our own loop; should one come, the loop may go."""
    assert "GetCostAndUsage" not in get_session().get_paginator_model("ce")._paginator_config
