"""cloudspend: cloud bills as Prometheus metrics, alerts and checks."""

__version__ = "0.1.0"
