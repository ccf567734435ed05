"""Compositions: energies made of energies. Each is an energy like any other: variables, conditions, terms.

Variables unify by name and must have equal spaces. One file a composition.
"""

from __future__ import annotations

from collections.abc import Callable

from energylang.check.compositions.condition import condition
from energylang.check.compositions.marginal import marginal
from energylang.check.compositions.mixture import mixture
from energylang.check.compositions.parts import FORMS
from energylang.check.compositions.product import product
from energylang.check.compositions.rename import rename
from energylang.check.compositions.temper import temper
from energylang.check.constraints import no_energy
from energylang.check.context import Context, Poison, did_you_mean
from energylang.ir.nodes import Energy
from energylang.syntax import ast

COMPOSITIONS: dict[str, Callable[[Context, ast.Call], Energy | None]] = {
    "product": product,
    "mixture": mixture,
    "temper": temper,
    "condition": condition,
    "marginal": marginal,
    "rename": rename,
}

LATER = ("negate", "guide", "guide_free", "bridge")


def composition(context: Context, node: ast.Expression) -> Energy | None:
    """The energy that an expression of energies means; None after diagnostics."""
    from energylang.check.energies import checked

    if isinstance(node, ast.Name):
        found = context.callable(node)
        if isinstance(found, Poison):
            return None
        if found is None or not isinstance(found[0], ast.Energy):
            context.error(
                "E0510", f"there is no energy `{node.text}`", node.span,
                fix=did_you_mean(node.text, context.callable_names(ast.Energy)),
            )  # fmt: skip
            return None
        if found[0].kind == "constraint":
            no_energy(context, node)
            return None
        return checked(found[1], found[0])
    if isinstance(node, ast.Call):
        name = node.function.text
        if name in COMPOSITIONS and node.function.qualifier is None and context.callable(node.function) is None:
            if node.conditions is not None:
                context.error("E0206", f"`{name}` has no bar", node.span, fix=f"its form is `{FORMS[name]}`")
                return None
            return COMPOSITIONS[name](context, node)
        if name in LATER:
            context.not_yet(f"`{name}` is", node.span)
            return None
        if isinstance(found := context.callable(node.function), tuple) and isinstance(found[0], ast.Energy):
            context.error(
                "E0510", f"`{name}` is called here, and a composition takes energies by name", node.span,
                fix=f"write `{name}`, or fix its conditions with `condition({name}, … = …)`",
            )  # fmt: skip
            return None
    if isinstance(node, ast.Call):
        known = [*COMPOSITIONS, *context.callable_names(ast.Energy)]
        context.error(
            "E0510", f"there is no composition `{node.function.text}`", node.function.span,
            fix=did_you_mean(node.function.text, known) or f"compositions are {', '.join(COMPOSITIONS)}",
        )  # fmt: skip
        return None
    context.error(
        "E0510", "this is not an energy", node.span,
        cause="without variables in brackets, an energy is made of other energies",
        fix=f"name its variables, `energy e(x: real) = …`; compositions are {', '.join(COMPOSITIONS)}",
    )  # fmt: skip
    return None
