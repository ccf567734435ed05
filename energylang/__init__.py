"""EnergyLang: a declarative language for unnormalised probability.

`load` a model file or `compile` a text; JAX is imported only when one of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energylang.api import Energy, EnergyWarning, Model, compile, load
    from energylang.diagnostics import DiagnosticError

__version__ = "0.1.0"
__all__ = ["DiagnosticError", "Energy", "EnergyWarning", "Model", "__version__", "compile", "load"]


def __getattr__(name: str) -> Any:
    if name == "DiagnosticError":
        from energylang.diagnostics import DiagnosticError

        return DiagnosticError
    if name in __all__:
        from energylang import api

        return getattr(api, name)
    raise AttributeError(f"module 'energylang' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext energylang` in a notebook: the cell magic `%%energy`, and diagnostics instead of tracebacks."""
    from energylang.notebook import register

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    from energylang.notebook import unregister

    unregister(shell)
