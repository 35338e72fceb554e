"""Google Cloud on loopback: BigQuery with the Cloud Billing export in it, and the token endpoint before it."""

from exporter.simulator.gcp.estate import estate
from exporter.simulator.gcp.server import GoogleCloud

__all__ = ["GoogleCloud", "estate"]
