from pathlib import Path
from typing import ClassVar

import acme

from exporter.testing import ProviderContract


class TestAcme(ProviderContract):
    spec = acme.SPEC
    options: ClassVar = {"token": "t0ken-for-tests"}
    recorded = Path(__file__).parent / "recorded"
