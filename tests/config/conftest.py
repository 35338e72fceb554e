from pathlib import Path

import pytest

from exporter import log

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def log_secrets(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the log masks, of this test alone."""
    secrets: set[str] = set()
    monkeypatch.setattr(log, "_SECRETS", secrets)
    return secrets
