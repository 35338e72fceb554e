"""For authors of providers: the tests that every provider inherits, and a server that plays recorded pages.

    from exporter.testing import ProviderContract

    class TestAcme(ProviderContract):
        spec = acme.SPEC
        options = {"token": "t0ken-for-tests"}
        recorded = Path(__file__).parent / "recorded"

Needs pytest. `docs/how-to/add-a-provider.md` shows all of it at work. For channels of notifications there are
`NotifierContract`, and in `doubles` servers that judge messages as their vendors do.
"""

import pytest

# Before the import: a failing assert of the contract then shows its values, as one in a test module does.
pytest.register_assert_rewrite("exporter.testing.contract", "exporter.testing.notifier")

from exporter.testing.billing_server import BillingServer, Recording, Request, recordings  # noqa: E402
from exporter.testing.contract import BillContract, CountingMeter, ProviderContract, Subject  # noqa: E402
from exporter.testing.notifier import NotifierContract  # noqa: E402

__all__ = [
    "BillContract",
    "BillingServer",
    "CountingMeter",
    "NotifierContract",
    "ProviderContract",
    "Recording",
    "Request",
    "Subject",
    "recordings",
]
