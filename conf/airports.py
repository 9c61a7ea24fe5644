"""The function of the demo: describes an airport by its climate zone and its height."""

import json

from pulsar import Function

_TROPIC = 23.44
_POLAR_CIRCLE = 66.56


def describe(airport: dict) -> dict:
    """What the demo wants to know of one airport. ``elevation`` is in feet, ``lat`` in degrees."""
    latitude = abs(airport["lat"])
    zone = "tropical" if latitude <= _TROPIC else "polar" if latitude >= _POLAR_CIRCLE else "temperate"
    return {
        "iata": airport["iata"],
        "country": airport["country"],
        "zone": zone,
        "metres": round(airport["elevation"] * 0.3048),
    }


class Describe(Function):
    """One airport as JSON in, its description as JSON out. Counts what it sees by zone."""

    def process(self, input, context):
        described = describe(json.loads(input))
        context.record_metric(described["zone"], 1)
        return json.dumps(described)
