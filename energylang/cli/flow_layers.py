"""What `energylang explain` tells of flows: their bases, their layers, and what is known of each."""

from __future__ import annotations

import textwrap
from math import prod
from typing import TYPE_CHECKING, Any

from energylang.catalog import LAYERS, LayerCall
from energylang.catalog.layers import log_determinant

if TYPE_CHECKING:
    from energylang.lower.program import EnergyProgram


def flow_layers(program: EnergyProgram) -> list[dict[str, Any]]:
    """The flows that an energy moves values through, as JSON values."""
    sizes = {param.name: prod(slot.shape) for param, slot in program.param_slots.items()}
    found = []
    for flow in dict.fromkeys(node.flow for node in program.moved):
        layers = [
            {
                "layer": str(call),
                "log_determinant": log_determinant(call),
                "inverse": ", ".join(_inverses(call)),
                "numbers": sum(n for name, n in sizes.items() if name.startswith(f"{flow.name}.{place}.")),
            }
            for place, call in enumerate(flow.layers)
        ]
        total = sum(n for name, n in sizes.items() if name.startswith(f"{flow.name}."))
        found.append({"name": flow.name, "base": flow.base, "layers": layers, "numbers": total})
    return found


def _inverses(call: LayerCall) -> list[str]:
    inner = [way for layer in call.inner for way in _inverses(layer)]
    return list(dict.fromkeys(inner or [LAYERS[call.name].inverse]))


def flow_lines(flows: list[dict[str, Any]], width: int) -> list[str]:
    """The same in words."""
    lines = []
    for flow in flows:
        lines.append(f"  {flow['name']}: {flow['numbers']:,} learned numbers, from {flow['base']} through")
        for place, layer in enumerate(flow["layers"]):
            text = f"{place}  {layer['layer']}: {layer['numbers']:,} numbers, log-determinant {layer['log_determinant']}, inverse {layer['inverse']}"
            lines += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="       ")
    return lines
