"""Models and energies as a notebook shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from energylang import html
from energylang.ir.nodes import Energy as EnergyNode
from energylang.ir.nodes import Normalisation, Symbol
from energylang.ir.types import Dim

if TYPE_CHECKING:
    from energylang.api import Energy, Model

NORMALISERS = {Normalisation.UNKNOWN: "log Z is not known"}
MOST_ROWS = 40


def model_html(model: Model) -> str:
    """Energies with their variables, data with their sizes, params."""
    program = model.program
    dims = model.bound.dims
    parts = [html.heading(f"Model {program.source.name}")]
    energies = [(e.name, signature(e), normaliser(e)) for e in program.energies.values()]
    parts += _section("energies", ("energy", "variables", "normaliser"), energies)
    values = model.data
    data = [(d.name, str(d.space), _sizes(d, dims), f"{values[d.name].size:,}") for d in program.data]
    parts += _section("data", ("name", "space", "shape", "numbers"), data)
    params = [(p.name, str(p.space), _sizes(p, dims)) for p in program.params]
    parts += _section("params", ("name", "space", "shape"), params)
    tasks = [(t.verb, t.energy.name, "" if t.method is None else str(t.method)) for t in program.tasks]
    parts += _section("tasks", ("task", "energy", "method"), tasks)
    return html.block(*parts)


def energy_html(energy: Energy) -> str:
    """Variables, conditions and params with their spaces and sizes; the normaliser."""
    node, program = energy.node, energy.compiled.program
    rows = [
        (s.name, str(s.space), _sizes(s, program.dims), what)
        for what, symbols in (
            ("variable", node.variables), ("condition", node.conditions), ("param", tuple(program.param_slots))
        )
        for s in symbols
    ]  # fmt: skip
    parts = [html.heading(f"Energy {node.name}")]
    if node.doc:
        parts.append(html.paragraph(node.doc))
    parts += _section("", ("name", "space", "shape", ""), rows)
    facts = program.facts
    numbers = ((facts.reals, "real"), (sum(facts.sites), "discrete site"))
    counts = ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in numbers if count)
    parts.append(html.paragraph(f"{counts}; {normaliser(node)}"))
    return html.block(*parts)


def signature(node: EnergyNode) -> str:
    """The variables, and the conditions after a bar, each with its space."""
    before = ", ".join(f"{v.name}: {v.space}" for v in node.variables)
    after = ", ".join(f"{c.name}: {c.space}" for c in node.conditions)
    return f"{before}{' | ' + after if after else ''}"


def normaliser(node: EnergyNode) -> str:
    return NORMALISERS.get(node.normalisation, "log Z is 0")


def _section(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterable[str]:
    if not rows:
        return
    if title:
        yield html.heading(title)
    yield html.table(columns, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield html.paragraph(f"… and {len(rows) - MOST_ROWS:,} more")


def _sizes(symbol: Symbol, dims: Mapping[str, int]) -> str:
    return "" if not symbol.space.shape else f"[{', '.join(_size(d, dims) for d in symbol.space.shape)}]"


def _size(dim: Dim, dims: Mapping[str, int]) -> str:
    return f"{dim.evaluate(dims):,}" if dim.names <= dims.keys() else str(dim)
