"""From a vendor's spelling to labels: names as data, never empty."""
