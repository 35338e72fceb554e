"""Dashboards as code: one module per dashboard, and `build` that writes them all to `dashboards/*.json`."""
