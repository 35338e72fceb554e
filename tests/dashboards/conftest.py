from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.estate import Estate, filled


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with filled(tmp_path_factory.mktemp("dashboards")) as estate:
        yield estate
