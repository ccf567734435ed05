"""`energylang check`: every diagnostic of a model, and what it declares. Imports neither JAX nor numpy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from energylang.cli.failures import as_data, print_json
from energylang.cli.options import check_model, json_option, overrides_of, set_option
from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.render import printable, render

SHOWN = 8
"""Variables of a signature that are printed."""

if TYPE_CHECKING:
    from energylang.ir.nodes import Energy, Program


@click.command("check")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@set_option
@click.option(
    "--verify", is_flag=True, help="Also integrate or sum every `distribution` of the model: its mass is one."
)
@json_option
def check_command(models: tuple[str, ...], settings: tuple[str, ...], verify: bool, as_json: bool) -> int:
    """Everything that is wrong with a model, in well under a second: nothing is compiled or run.

    Exit code 0 where every model is right (warnings may remain), else that of the first error.
    """
    overrides_of(settings)
    code, found, shown = 0, [], []
    for model in models:
        diagnostics, program = _check(model, settings)
        failed = DiagnosticError(diagnostics).exit_code if program is None else 0
        if verify and program is not None:
            # Quadrature needs numpy and scipy, which a check otherwise does without.
            from energylang.lower.normalisation import normalisation

            unfit = normalisation(program)
            diagnostics = [*diagnostics, *unfit]
            wrong = [d for d in unfit if d.code == "E0423"]
            failed, program = (DiagnosticError(wrong).exit_code, None) if wrong else (failed, program)
        code = code or failed
        found += diagnostics
        shown.append({"file": model, "ok": program is not None, **({} if program is None else _signature(program))})
        if not as_json:
            click.echo(render(diagnostics), err=True, nl=False)
            if program is not None:
                click.echo(f"{model}: {_words(program)}")
    if as_json:
        print_json({"exit_code": code, "models": shown, "diagnostics": as_data(found)})
    return code


def _check(model: str, settings: tuple[str, ...]) -> tuple[list[Diagnostic], Program | None]:
    try:
        checked = check_model(model, settings)
    except DiagnosticError as error:
        return list(error.diagnostics), None
    return checked.diagnostics.found, checked.program


def _words(program: Program) -> str:
    """`no errors; 2 data; energy schools(mu: real, …), normaliser unknown; sample schools`."""
    counts = Counter(data=len(program.data), consts=len(program.consts), params=len(program.params))
    parts = [f"{count} {name if count > 1 else name.removesuffix('s')}" for name, count in counts.items() if count]
    for energy in program.energies.values():
        shown = [f"{v.name}: {v.space}" for v in energy.variables]
        signature = ", ".join(shown if len(shown) <= SHOWN else [*shown[: SHOWN - 1], f"… {len(shown)} variables"])
        level = energy.level
        conditions = [f"{c.name}: {c.space}" for c in energy.conditions if c is not level]
        bar = f" | {', '.join(conditions)}" if conditions else ""
        bar += f" @ {level.name}: {level.schedule.name}" if level is not None else ""
        state = "normalised" if energy.traits.normalised else "log Z unknown"
        parts.append(f"energy {energy.name}({signature}{bar}), {state}")
    parts += [f"{task.verb} {task.energy.name}" for task in program.tasks]
    return "no errors" + "".join(f"\n  {printable(part)}" for part in parts)


def _signature(program: Program) -> dict[str, Any]:
    """What a model declares, for tools that call it."""
    return {
        "consts": program.consts,
        "data": {d.name: {"space": str(d.space), "default": d.default is not None} for d in program.data},
        "params": {p.name: str(p.space) for p in program.params},
        "energies": {name: _energy(energy) for name, energy in program.energies.items()},
        "tasks": [
            {
                "verb": task.verb,
                "energy": task.energy.name,
                "method": None if task.method is None else str(task.method),
                "options": dict(task.options),
            }
            for task in program.tasks
        ],
    }


def _energy(energy: Energy) -> dict[str, Any]:
    return {
        "variables": {v.name: str(v.space) for v in energy.variables},
        "conditions": {c.name: str(c.space) for c in energy.conditions},
        "reports": [report.name for report in energy.reports],
        "normalisation": energy.normalisation.value,
        "reason": energy.reason,
    }
