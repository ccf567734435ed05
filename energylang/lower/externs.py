"""Extern nets: functions from Python, checked against their declarations and called like any other operation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from energylang.diagnostics import Diagnostics, suggest
from energylang.ir.nodes import Extern, ExternNet, Program
from energylang.ir.types import Space
from energylang.lower.operations import Backend


def fill(program: Program, functions: Mapping[str, Callable[..., Any]], diagnostics: Diagnostics) -> None:
    """Give every extern net its function; missing, superfluous and uncallable ones are reported (E0238)."""
    names = [net.name for net in program.externs]
    for name in functions:
        if name not in names:
            near = suggest(name, names)
            diagnostics.add(
                "E0238", f"the model declares no extern net `{name}`",
                fix=f"did you mean `{near}`?" if near else f"its extern nets are {', '.join(names) or 'none'}",
            )  # fmt: skip
    missing = [net for net in program.externs if net.name not in functions]
    if missing:
        listed = ", ".join(f"`{net.name}`" for net in missing)
        given = ", ".join(f'"{net.name}": function' for net in missing)
        diagnostics.add(
            "E0238", f"no function for the extern net {listed}" if len(missing) == 1 else f"no functions for the extern nets {listed}",
            missing[0].span, cause="it is a function of JAX arrays that Python gives to the model",
            fix=f'run the model from Python: `energylang.load("model.energy", bind = {{{given}}})`',
        )  # fmt: skip
    for net in program.externs:
        function = functions.get(net.name)
        if function is not None and not callable(function):
            diagnostics.add(
                "E0238", f"`{net.name}` is bound to a {type(function).__name__}, and an extern net is a function", net.span,
                fix="give a function of JAX arrays",
            )  # fmt: skip
        else:
            net.function = function


def fit(program: Program, dims: Mapping[str, int], diagnostics: Diagnostics) -> bool:
    """Whether every function takes and gives what its declaration says; False after diagnostics (E0239)."""
    import jax
    import jax.numpy as jnp

    good = True
    for net in program.externs:
        assert net.function is not None
        shown = f"`{net.name}` is declared ({', '.join(str(s) for s in net.inputs)}) -> {net.output}"
        try:
            found: Any = jax.eval_shape(net.function, *(_example(s, dims) for s in net.inputs))
        except Exception as error:
            # Whatever a function from outside raises is told, never shown as a traceback.
            said = str(error).strip().partition("\n")[0]
            diagnostics.add(
                "E0239", f"the function bound to `{net.name}` cannot be called as it is declared", net.span,
                cause=f"{shown}; called so it raises {type(error).__name__}: {said}",
                fix="give a function of JAX arrays, one for each input, without the batch",
            )  # fmt: skip
            good = False
            continue
        wanted = sizes(net.output, dims)
        if not hasattr(found, "shape") or found.shape != wanted or not _real(jnp.dtype(found.dtype)):
            got = f"{found.dtype}{list(found.shape)}" if hasattr(found, "shape") else f"a {type(found).__name__}"
            diagnostics.add(
                "E0239", f"the function bound to `{net.name}` gives {got}, and not an array of shape {list(wanted)}", net.span,
                cause=f"{shown}; it is called with one event, and mapped over batches",
                fix="change the function, or the declaration",
            )  # fmt: skip
            good = False
    return good


def _real(kind: np.dtype) -> bool:
    return kind.kind in "fiu" or kind.name == "bfloat16"


def _example(space: Space, dims: Mapping[str, int]) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.ShapeDtypeStruct(sizes(space, dims), jnp.result_type(float))


def sizes(space: Space, dims: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(d.evaluate(dims) for d in space.shape)


def called(expr: Extern, arguments: list[Any], dims: Mapping[str, int], backend: Backend) -> Any:
    """The function at a batch of events; on the host too it is JAX that computes it."""
    import jax
    import jax.numpy as jnp

    net = expr.net
    assert net.function is not None
    batch = tuple(d.evaluate(dims) for d in expr.type.shape[: len(expr.type.shape) - len(net.output.shape)])
    real = jnp.result_type(float)
    events = []
    for argument, space in zip(arguments, net.inputs, strict=True):
        event = sizes(space, dims)
        wide = jnp.broadcast_to(jnp.asarray(argument, real), (*batch, *event))
        events.append(wide.reshape((-1, *event)) if batch else wide)
    value = jax.vmap(net.function)(*events) if batch else net.function(*events)
    value = jnp.asarray(value, real).reshape((*batch, *sizes(net.output, dims)))
    return np.asarray(value, np.float64) if backend.name == "numpy" else value


def fingerprint(net: ExternNet, dims: Mapping[str, int]) -> str:
    """What a function computes, as far as tracing it says: its operations and the arrays that it closes over."""
    import jax

    assert net.function is not None
    traced = jax.make_jaxpr(net.function)(*(_example(s, dims) for s in net.inputs))
    found = hashlib.sha256(str(traced.jaxpr).encode())
    for const in traced.consts:
        array = np.asarray(const)
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
