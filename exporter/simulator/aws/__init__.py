"""AWS on loopback: Cost Explorer over one ledger, the Security Token Service, Organizations.

cloud.py           the server: who asks, what for, and how it refuses
cost_explorer.py   GetCostAndUsage, computed from the ledger
identity.py        keys and roles, and the answers of sts and organizations
signatures.py      SigV4, recomputed with botocore's own signer
wire.py            requests and replies, checked against botocore's service models
estate.py          a seeded ledger of three accounts
"""

from exporter.simulator.aws.cloud import Aws
from exporter.simulator.aws.estate import PAYER, estate
from exporter.simulator.aws.identity import Key, Role

__all__ = ["PAYER", "Aws", "Key", "Role", "estate"]
