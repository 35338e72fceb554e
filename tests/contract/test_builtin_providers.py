"""Every provider in the registry answers with a bill. Those that speak HTTP have a contract test of their own too."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import exporter.providers
from exporter.providers import BUILTIN, spec
from exporter.testing import BillContract, Subject

NOW = "2026-11-20T12:00:00Z,frozen"
SAMPLE = Path(exporter.providers.__file__).parent / "sample" / "focus_sample.csv.gz"


class Question(NamedTuple):
    """Options, and days that the source has charges on: first, where the second half begins, and last, excluded."""

    options: Mapping[str, Any]
    first: date
    split: date
    until: date


QUESTIONS = {
    "demo": Question({}, date(2026, 9, 28), date(2026, 10, 15), date(2026, 11, 3)),
    "demo_focus": Question({}, date(2026, 10, 21), date(2026, 11, 5), date(2026, 11, 20)),
    "focus": Question({"path": str(SAMPLE)}, date(2024, 9, 1), date(2024, 9, 15), date(2024, 10, 1)),
}

ELSEWHERE = {
    "gcp": "tests/providers/test_gcp_bill.py",
    "azure": "tests/providers/test_azure.py",
    "aws_athena": "tests/providers/test_aws_athena.py",
    "aws_cost_explorer": "tests/providers/test_aws_cost_explorer.py",
    "aws_export": "tests/providers/test_aws_export.py",
    "azure_export": "tests/providers/test_azure_export.py",
    "azure_sponsorship": "tests/providers/test_azure_sponsorship.py",
}
"""Providers that inherit the contract in a file of their own: they speak to a simulated cloud."""


class TestBuiltinProviders(BillContract):
    @pytest.fixture(params=sorted(BUILTIN.keys() - ELSEWHERE.keys()))
    def subject(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Subject:
        monkeypatch.setenv("CLOUDSPEND_NOW", NOW)
        question = QUESTIONS.get(request.param)
        if question is None:
            pytest.fail(f"{request.param} is in BUILTIN and neither in QUESTIONS nor in ELSEWHERE")
        options, first, split, until = question
        return Subject.asked(spec(request.param), options, first, split, until)


def test_every_question_is_about_a_provider_that_exists() -> None:
    assert QUESTIONS.keys() <= BUILTIN.keys()


def test_a_contract_elsewhere_is_really_there() -> None:
    assert ELSEWHERE.keys() <= BUILTIN.keys()
    for name, path in ELSEWHERE.items():
        test = (Path(__file__).parents[2] / path).read_text("utf-8")
        assert "BillContract)" in test, f"{path} does not inherit the contract of {name}"
