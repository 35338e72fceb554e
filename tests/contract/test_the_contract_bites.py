"""A contract that nothing can break is worth nothing: each of these broken providers fails the test that it should."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = "CostRow(**charge.model_dump())"
ROWS = f"rows = [{ROW} for page in found for charge in page.charges]"
IMPORTS = "from dataclasses import replace\nfrom exporter.providers import rest\n"


class Mutant(NamedTuple):
    """One mistake in acme.py, and the contract's test that must notice it."""

    mistake: str
    old: str
    new: str
    noticed_by: str


MUTANTS = (
    Mutant("stops after a page", "lambda page: page.next", "lambda page: None", "all_pages_are_read_and_none_twice"),
    Mutant(
        "counts pages twice",
        "in found for",
        "in found for _ in range(2) for",
        "the_sum_of_the_rows_is_the_recorded_total",
    ),
    Mutant(
        "reads everything twice",
        "            return Bill(",
        "            list(pages(lambda c: self._page({**days, 'cursor': c}), None, lambda page: page.next))\n"
        "            return Bill(",
        "all_pages_are_read_and_none_twice",
    ),
    Mutant(
        "keeps what came before a failure",
        ROWS,
        "rows = []\n            try:\n                for page in found:\n"
        f"                    rows += [{ROW} for charge in page.charges]\n"
        "            except Exception:\n                pass",
        "a_failing_page_means_no_bill",
    ),
    Mutant(
        "goes through float",
        ROW,
        "CostRow(**{**charge.model_dump(), 'billed': Decimal(float(charge.billed))})",
        "the_sum_of_the_rows_is_the_recorded_total",
    ),
    Mutant(
        "drops credits",
        "for charge in page.charges]",
        "for charge in page.charges if charge.billed > 0]",
        "the_sum_of_the_rows_is_the_recorded_total",
    ),
    Mutant(
        "is a day late",
        ROW,
        "CostRow(**{**charge.model_dump(), 'start': charge.start + DAY})",
        "rows_lie_in_the_window_asked_and_inside_what_the_bill_covers",
    ),
    Mutant(
        "covers nothing",
        "(Scope(ask.window),)",
        "()",
        "rows_lie_in_the_window_asked_and_inside_what_the_bill_covers",
    ),
    Mutant(
        "covers an empty answer not",
        "(Scope(ask.window),)",
        "(Scope(ask.window),) if rows else ()",
        "an_empty_answer_is_covered_without_rows",
    ),
    Mutant(
        "covers one account only",
        "Scope(ask.window)",
        "Scope(ask.window, ('shop',))",
        "rows_lie_in_the_window_asked_and_inside_what_the_bill_covers",
    ),
    Mutant(
        "loses the first day of a window that begins in the middle",
        "for charge in page.charges]",
        "for charge in page.charges if charge.start.day != ask.window.start.day or charge.start.day == 1]",
        "two_half_windows_are_the_whole",
    ),
    Mutant(
        "remembers",
        ROWS,
        f"rows = self.__dict__.setdefault('rows', [])\n            rows += [{ROW} for page in found"
        " for charge in page.charges]",
        "one_connection_may_be_asked_again",
    ),
    Mutant(
        "writes currencies small", "**charge.model_dump()", "**{**charge.model_dump(), 'currency': 'eur'}", "a_currency"
    ),
    Mutant("has wrong totals", "covered=(", "totals=CostTable.nothing(), covered=(", "the_providers_own_totals"),
    Mutant(
        "estimates days nobody asked for",
        "covered=(",
        "estimated=frozenset({date(2000, 1, 1)}), covered=(",
        "estimated_days_lie",
    ),
    Mutant("polls without a pause", "6 * HOUR", "0 * HOUR", "the_spec_has_sane_data"),
    Mutant("takes any option", "AcmeOptions(Options)", "AcmeOptions(Options, extra='ignore')", "an_unknown_option"),
    Mutant("has a token that shows", "token: SecretStr", "token: str", "options_that_sound_secret"),
    Mutant(
        "shows its token in the repr",
        "    def fetch",
        "    def __repr__(self) -> str:\n        return self.token.get_secret_value()\n\n    def fetch",
        "no_secret_is_in_a_repr",
    ),
    Mutant(
        "logs its token",
        "        return get_json(",
        "        __import__('logging').getLogger('acme').debug(self.token.get_secret_value())\n"
        "        return get_json(",
        "no_secret_is_in_an_error_or_in_the_log",
    ),
    Mutant(
        "quotes what the server said, token and all",
        "        return get_json(",
        "        import requests\n\n        from exporter.errors import BadData\n\n"
        "        token = {'Authorization': f'Bearer {self.token.get_secret_value()}'}\n"
        "        try:\n"
        "            answer = requests.get(self.url, params, headers=token, timeout=9)\n"
        "            if answer.status_code == 403:\n                raise BadData(answer.text[:160])\n"
        "        except requests.RequestException:\n            pass\n"
        "        return get_json(",
        "no_secret_is_in_an_error_or_in_the_log",
    ),
    Mutant(
        "does not meter",
        "meter=self.meter",
        "meter=type('Deaf', (), {'request': print, 'page': lambda self, request, fetch: fetch()})()",
        "every_request_is_metered",
    ),
    Mutant(
        "asks past the cap",
        "meter=self.meter",
        "meter=type('Deaf', (), {'request': print, 'page': lambda self, request, fetch: fetch()})()",
        "a_request_past_the_cap",
    ),
    Mutant("names no permission", '("billing.read",)', '("billing.write",)', "denial_names_the_missing_permission"),
    Mutant(
        "calls before it is asked", "options.token, meter", "options.token, meter; self._page({})", "connecting_opens"
    ),
    Mutant("takes any object for a page", "list[Charge]\n", "list[Charge] = []\n", "what_is_not_a_bill_is_bad_data"),
    Mutant(
        "has no patience",
        'operation="billing.read"',
        'operation="", patience=replace(rest.PATIENCE, tries=1)',
        "passing_throttling_is_waited_for",
    ),
    Mutant(
        "has too much patience",
        'operation="billing.read"',
        'operation="", patience=replace(rest.PATIENCE, longest=9e9)',
        "a_long_rest_is_left_to_the_poller",
    ),
)


def test_every_mistake_is_noticed_by_the_test_that_should(tmp_path: Path) -> None:
    source, test = ((EXAMPLES / name).read_text("utf-8") for name in ("acme.py", "test_acme.py"))
    test = test.replace("Path(__file__).parent", f"Path({str(EXAMPLES)!r})")
    chosen = []
    for number, mutant in enumerate(MUTANTS):
        assert mutant.old in source, f"acme.py has changed: {mutant.mistake!r} cannot be made in it any more"
        name = f"mutant_{number:02}"
        (tmp_path / f"{name}.py").write_text(source.replace(mutant.old, mutant.new) + IMPORTS, "utf-8")
        (tmp_path / f"test_{name}.py").write_text(test.replace("acme", name), "utf-8")
        chosen.append(f"(test_{name} and {mutant.noticed_by})")

    command = [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ran = subprocess.run(
        [*command, "-k", " or ".join(chosen), "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    summary = ran.stdout.rpartition("short test summary info")[2]
    survivors = [
        mutant.mistake
        for number, mutant in enumerate(MUTANTS)
        if not re.search(rf"^FAILED test_mutant_{number:02}.py::.*{mutant.noticed_by}", summary, re.MULTILINE)
    ]
    assert survivors == [], ran.stdout
