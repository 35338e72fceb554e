"""Clouds that bill over real HTTP on loopback: for demos, tests, and trying a configuration before it costs money.

Each cloud answers from one ledger of charges, so what an exporter shows can be compared with what was charged. The
vendors' own code checks them: requests are signed, replies validated by the SDKs' models.
"""
