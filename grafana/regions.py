"""Where regions lie, for the map: the city or area that the vendor names, to about twenty kilometres."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PLACES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        # AWS: the location in brackets behind each region's name.
        "af-south-1": (-33.9, 18.4),
        "ap-east-1": (22.3, 114.2),
        "ap-northeast-1": (35.7, 139.7),
        "ap-northeast-2": (37.6, 127.0),
        "ap-northeast-3": (34.7, 135.5),
        "ap-south-1": (19.1, 72.9),
        "ap-south-2": (17.4, 78.5),
        "ap-southeast-1": (1.35, 103.8),
        "ap-southeast-2": (-33.9, 151.2),
        "ap-southeast-3": (-6.2, 106.8),
        "ap-southeast-4": (-37.8, 145.0),
        "ca-central-1": (45.5, -73.6),
        "ca-west-1": (51.0, -114.1),
        "eu-central-1": (50.1, 8.7),
        "eu-central-2": (47.4, 8.5),
        "eu-north-1": (59.3, 18.1),
        "eu-south-1": (45.5, 9.2),
        "eu-south-2": (41.6, -0.9),
        "eu-west-1": (53.3, -6.3),
        "eu-west-2": (51.5, -0.1),
        "eu-west-3": (48.9, 2.4),
        "il-central-1": (32.1, 34.8),
        "me-central-1": (25.2, 55.3),
        "me-south-1": (26.1, 50.6),
        "sa-east-1": (-23.5, -46.6),
        "us-east-1": (38.9, -77.5),
        "us-east-2": (40.0, -83.0),
        "us-west-1": (37.4, -121.9),
        "us-west-2": (45.8, -119.7),
        # Azure: the physical location of each region.
        "australiaeast": (-33.9, 151.2),
        "australiasoutheast": (-37.8, 145.0),
        "brazilsouth": (-23.5, -46.6),
        "canadacentral": (43.7, -79.4),
        "canadaeast": (46.8, -71.2),
        "centralindia": (18.5, 73.9),
        "centralus": (41.6, -93.6),
        "eastasia": (22.3, 114.2),
        "eastus": (37.4, -79.8),
        "eastus2": (36.7, -78.4),
        "francecentral": (48.9, 2.4),
        "germanywestcentral": (50.1, 8.7),
        "italynorth": (45.5, 9.2),
        "japaneast": (35.7, 139.7),
        "japanwest": (34.7, 135.5),
        "koreacentral": (37.6, 127.0),
        "northcentralus": (41.9, -87.6),
        "northeurope": (53.3, -6.3),
        "norwayeast": (59.9, 10.8),
        "polandcentral": (52.2, 21.0),
        "southafricanorth": (-26.2, 28.0),
        "southcentralus": (29.4, -98.5),
        "southeastasia": (1.35, 103.8),
        "spaincentral": (40.4, -3.7),
        "swedencentral": (60.7, 17.1),
        "switzerlandnorth": (47.4, 8.5),
        "uaenorth": (25.2, 55.3),
        "uksouth": (51.5, -0.1),
        "ukwest": (51.5, -3.2),
        "westeurope": (52.4, 4.9),
        "westus": (37.8, -122.4),
        "westus2": (47.2, -119.9),
        "westus3": (33.4, -112.1),
        # Google Cloud: the location of each region.
        "asia-east1": (24.1, 120.5),
        "asia-east2": (22.3, 114.2),
        "asia-northeast1": (35.7, 139.7),
        "asia-south1": (19.1, 72.9),
        "asia-southeast1": (1.35, 103.8),
        "australia-southeast1": (-33.9, 151.2),
        "europe-north1": (60.6, 27.2),
        "europe-southwest1": (40.4, -3.7),
        "europe-west1": (50.4, 3.9),
        "europe-west2": (51.5, -0.1),
        "europe-west3": (50.1, 8.7),
        "europe-west4": (53.4, 6.8),
        "europe-west6": (47.4, 8.5),
        "europe-west9": (48.9, 2.4),
        "me-west1": (32.1, 34.8),
        "northamerica-northeast1": (45.5, -73.6),
        "southamerica-east1": (-23.5, -46.6),
        "us-central1": (41.3, -95.9),
        "us-east1": (33.2, -80.0),
        "us-east4": (39.0, -77.5),
        "us-east5": (40.0, -83.0),
        "us-south1": (32.8, -96.8),
        "us-west1": (45.6, -121.2),
        "us-west2": (34.1, -118.2),
        "us-west3": (40.8, -111.9),
        "us-west4": (36.2, -115.1),
        # Oracle: the city in each region's name.
        "eu-frankfurt-1": (50.1, 8.7),
        "us-ashburn-1": (39.0, -77.5),
        "us-phoenix-1": (33.4, -112.1),
        "us-sanjose-1": (37.3, -121.9),
    }
)
"""Region → latitude, longitude in degrees."""

_DIGITS = "0123456789bcdefghjkmnpqrstuvwxyz"


def geohash(latitude: float, longitude: float, length: int = 5) -> str:
    """A place as Grafana's map reads it from one label; five digits are some kilometres."""
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    words, bits = "", 0
    for turn in range(length * 5):
        low_high, value = bounds[turn % 2], (longitude, latitude)[turn % 2]
        middle = sum(low_high) / 2
        above = value >= middle
        low_high[not above] = middle
        bits = bits << 1 | above
        if turn % 5 == 4:
            words, bits = words + _DIGITS[bits], 0
    return words


def with_place(expr: str) -> str:
    """The same with the label `geohash` on those series whose `region` has a known place."""
    hashes: dict[str, list[str]] = {}
    for region, place in PLACES.items():
        hashes.setdefault(geohash(*place), []).append(region)
    for where, here in hashes.items():
        expr = f'label_replace({expr}, "geohash", "{where}", "region", "{"|".join(here)}")'
    return expr
