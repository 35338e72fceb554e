"""A simulated Azure: the login, and the query API of Cost Management, over one ledger.

server.py    the cloud: addresses, login, faults      query.py    what a query asks and gets
quotas.py    query processing units                   estate.py   a ledger to start with
"""

from exporter.simulator.azure.estate import estate
from exporter.simulator.azure.server import AzureCloud

__all__ = ["AzureCloud", "estate"]
