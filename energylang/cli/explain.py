"""`energylang explain`: what the compiler found in a model; or what a diagnostic code means."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from energylang.cli.failures import fail, print_json, say
from energylang.cli.flow_layers import flow_layers, flow_lines
from energylang.cli.joint_moves import in_words, joint_moves
from energylang.cli.options import (
    bind_model,
    check_model,
    data_option,
    json_option,
    of_option,
    params_option,
    read_data,
    set_option,
)

if TYPE_CHECKING:
    from energylang.api import Energy, Model
    from energylang.ir.nodes import Variable
    from energylang.model import Facts, TermFact

WIDTH = 100


@click.command("explain")
@click.argument("subject", metavar="MODEL|CODE")
@of_option
@data_option
@set_option
@params_option
@click.option("--program", is_flag=True, help="The lowered program: the energy as JAX sees it.")
@json_option
def explain_command(
    subject: str,
    of: str | None,
    data: tuple[str, ...],
    settings: tuple[str, ...],
    params: str | None,
    program: bool,
    as_json: bool,
) -> None:
    """What the compiler found in MODEL: spaces, terms, colours, normalisation, the method that would run, its cost.

    With a diagnostic CODE such as E0301: what it means and how to mend it.
    """
    if re.fullmatch(r"[ELNeln]\d{4}", subject):
        _explain_code(subject.upper(), as_json)
        return
    checked = check_model(subject, settings)
    values = read_data(checked, data)
    if not as_json:
        say("importing JAX")
    from energylang.cli.start import start_jax

    start_jax(None, False)
    model = bind_model(checked, values, params=params)
    name, task = model.choose("sample", of)
    given = task is not None and bool(task.bindings)
    node = model.node(name)
    needed = [c for c in node.conditions if c is not node.level]
    energy = model.plan("sample", name).energy if given or not needed else model[name]
    found = _look(model, energy)
    if as_json:
        print_json({"exit_code": 0, **found, **({"program": _program(energy)} if program else {})})
        return
    click.echo(_words(found))
    if program:
        click.echo(f"\nprogram\n{textwrap.indent(_program(energy), '  ')}")


def _explain_code(code: str, as_json: bool) -> None:
    from energylang.code_examples import CODE_EXAMPLES, LONGEST_SHOWN
    from energylang.codes import CODES

    if code not in CODES:
        fail("E0901", f"there is no diagnostic code {code}", fix="`docs/errors.md` lists them all")
    entry = CODES[code]
    example = CODE_EXAMPLES.get(code, "")
    if as_json:
        print_json(
            {
                "code": code, "title": entry.title, "severity": entry.severity, "exit_code": entry.exit_code,
                "explanation": entry.explanation, "example": example or None,
            }
        )  # fmt: skip
        return
    click.echo(f"{entry.severity} {code}: {entry.title}\n\n{textwrap.fill(entry.explanation, WIDTH)}")
    if 0 < example.count("\n") <= LONGEST_SHOWN:
        click.echo(f"\nfor example\n\n{textwrap.indent(example, '  ')}{_said(code, example)}", nl=False)


def _said(code: str, example: str) -> str:
    """What the checker says about an example; nothing of what is only found with data."""
    from energylang.check import check_source
    from energylang.diagnostics import Diagnostics
    from energylang.render import render_one, wants_color
    from energylang.source import Source

    diagnostics = Diagnostics()
    check_source(Source("example.energy", example), diagnostics)
    found = [d for d in diagnostics.found if d.code == code]
    return "".join(f"\n{render_one(d, wants_color(sys.stdout))}" for d in found[:1])


def _look(model: Model, energy: Energy) -> dict[str, Any]:
    """Everything that is told, as JSON values."""
    node, program = energy.node, energy.compiled.program
    facts = program.facts
    return {
        "energy": node.name,
        "made_of": _made_of(model, node.name),
        "doc": node.doc,
        "dims": dict(program.dims),
        "variables": [_variable(variable, program.dims) for variable in node.variables],
        "conditions": {c.name: str(c.space) for c in node.conditions},
        "normalisation": node.normalisation.value,
        "why": node.reason,
        "flows": flow_layers(program),
        "terms": [_term(term) for term in facts.terms],
        "reals": facts.reals,
        **_sites(facts),
        **joint_moves(program),
        "methods": {verb: _method(model, energy, verb) for verb in ("sample", "evidence", "train", "optimize")},
        "constrained": _constrained(model, energy),
        "cost": _cost(energy),
    }


def _made_of(model: Model, name: str) -> dict[str, str]:
    """The compositions that an energy is made of, itself first, as they are written; none for one with a signature."""
    from energylang.syntax import ast

    written = {d.name.text: d for d in model.module.declarations if isinstance(d, ast.Energy) and d.signature is None}
    found: dict[str, str] = {}
    pending = [name]
    while pending:
        declaration = written.get(pending.pop(0))
        if declaration is None or declaration.name.text in found:
            continue
        text = " ".join(declaration.body.span.text.split())
        found[declaration.name.text] = text
        pending += [n for n in re.findall(r"[A-Za-z_]\w*", text) if n in written]
    return found


def _variable(variable: Variable, dims: dict[str, int]) -> dict[str, Any]:
    shape = [dim.evaluate(dims) for dim in variable.space.shape]
    return {"name": variable.name, "space": str(variable.space), "shape": shape, "discrete": variable.space.discrete}


def _term(term: TermFact) -> dict[str, Any]:
    return {"text": term.text, "kind": term.kind, "rows": term.rows, "width": term.width, "reason": term.reason}


def _method(model: Model, energy: Energy, verb: Any) -> dict[str, Any] | None:
    """The method of the file's task or of `auto`, with the reason; None where there is none."""
    from energylang.catalog import MethodCall, build, fitting
    from energylang.diagnostics import DiagnosticError

    if not [name for name in fitting(verb, energy.node.traits) if name != "auto"]:
        return None
    task = next((t for t in model.program.tasks if t.verb == verb and t.energy.name == energy.name), None)
    if verb in ("train", "optimize") and task is None and not (verb == "optimize" and model.program.constraints):
        return None
    try:
        plan = energy.plan(verb)
    except DiagnosticError as error:
        if any(found.code != "E0608" for found in error.diagnostics):
            return None
        # Without values for its conditions nothing can run, and yet its structure decides how it would.
        call, reason = build(MethodCall("auto")).choose(
            energy.compiled.program.facts_to_choose, verb, energy.node.traits
        )
        return {"method": str(call), "reason": reason, "options": {}}
    reason = "the file's task says so" if plan.reason == "asked for" else plan.reason
    options = {name: str(value) if isinstance(value, MethodCall) else value for name, value in plan.options.items()}
    return {"method": str(plan.method), "reason": reason, "options": options}


def _constrained(model: Model, energy: Energy) -> dict[str, Any] | None:
    """The structure of the energy with the penalties of its constraints, as `optimize` moves on it; None without any."""
    from energylang.diagnostics import DiagnosticError

    if not model.program.constraints:
        return None
    try:
        plan = energy.plan("optimize")
    except DiagnosticError:
        return None
    if plan.whole is None or not plan.whole.names:
        return None
    facts = plan.energy.compiled.program.facts
    return {
        "constraints": list(plan.whole.names), "terms": [_term(term) for term in facts.terms], **_sites(facts),
    }  # fmt: skip


def _sites(facts: Facts) -> dict[str, Any]:
    """What the analyses found of the discrete sites."""
    from energylang.model import UNBOUNDED

    return {
        "sites": {
            "count" if k == UNBOUNDED else str(k): n for k, n in zip(facts.cardinalities, facts.sites, strict=True)
        },
        "states": facts.states if facts.discrete and not facts.counts and facts.states < 2**53 else None,
        "gains": facts.gains,
        "colours": facts.colours,
        "reach": facts.reach,
        "fields": facts.fields,
    }


def _cost(energy: Energy) -> dict[str, float]:
    """Floating-point operations of one energy and one gradient, as XLA counts them before it compiles."""
    import jax

    if energy.node.conditions and not set(energy.compiled.arrays).issuperset(c.key for c in energy.node.conditions):
        return {}
    target = energy.target()
    point = _shapes(energy)
    lowered = {"energy": jax.jit(lambda x: target.energy(x)).lower(point)}
    if energy.compiled.program.facts.reals:
        lowered["gradient"] = jax.jit(jax.grad(lambda x: target.log_density(x), allow_int=True)).lower(point)
    found: dict[str, float] = {}
    for name, one in lowered.items():
        counted: Any = one.cost_analysis()
        if counted:
            found[name] = float(counted.get("flops", 0.0)) + float(counted.get("transcendentals", 0.0))
    return found


def _shapes(energy: Energy) -> Any:
    import jax
    import jax.numpy as jnp

    from energylang.model import Point

    facts = energy.compiled.program.facts
    real: Any = jax.ShapeDtypeStruct((facts.reals,), jnp.result_type(float))
    code: Any = tuple(jax.ShapeDtypeStruct((count,), jnp.int32) for count in facts.sites)
    return Point(real, code)


def _program(energy: Energy) -> str:
    import jax

    return str(jax.make_jaxpr(energy.target().energy)(_shapes(energy)))


# --- in words -------------------------------------------------------------------------------------------------------


def _words(found: dict[str, Any]) -> str:
    lines = [f"energy {found['energy']}", *_wrapped(found["doc"])]
    if found["made_of"]:
        lines += ["", "made of", *(f"  {name} = {text}" for name, text in found["made_of"].items())]
    lines += ["", "variables", *_variables(found)]
    if found["dims"]:
        lines.append("  where " + ", ".join(f"{name} = {size:,}" for name, size in found["dims"].items()))
    lines += ["", "normaliser", *_wrapped(_normaliser(found))]
    if found["flows"]:
        lines += ["", "flows", *flow_lines(found["flows"], WIDTH)]
    lines += ["", "terms", *_terms(found["terms"])]
    if found["sites"]:
        lines += ["", "structure", *_wrapped(_structure(found))]
        lines += [line for sentence in in_words(found) for line in _wrapped(sentence, "  ", "    ")]
    if found["constrained"]:
        whole = found["constrained"]
        names = ", ".join(whole["constraints"])
        lines += ["", f"with the penalties of {names}", *_terms(whole["terms"]), *_wrapped(_structure(whole))]
    methods = {verb: method for verb, method in found["methods"].items() if method is not None}
    lines += ["", "methods" if methods else "methods: none fits"]
    for verb, method in methods.items():
        lines += _wrapped(f"{verb}: {method['method']}, because {method['reason']}", "  ", "    ")
    if found["cost"]:
        counts = [f"one {name} takes about {count:,.0f} operations" for name, count in found["cost"].items()]
        lines += ["", "cost", *_wrapped("; ".join(counts))]
    return "\n".join(lines)


def _wrapped(text: str, first: str = "  ", rest: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _variables(found: dict[str, Any]) -> list[str]:
    names = [f"{v['name']}: {v['space']}" for v in found["variables"]]
    names += [f"{name}: {space}" for name, space in found["conditions"].items()]
    width = max(map(len, names))
    lines = []
    for place, text in enumerate(names):
        if place >= len(found["variables"]):
            lines.append(f"  {text.ljust(width)}  condition")
            continue
        variable = found["variables"][place]
        count = 1
        for size in variable["shape"]:
            count *= size
        what = ("site" if count == 1 else "sites") if variable["discrete"] else ("number" if count == 1 else "numbers")
        lines.append(f"  {text.ljust(width)}  {count:,} {what}")
    return lines


def _normaliser(found: dict[str, Any]) -> str:
    state = {
        "normalised": "log Z is 0", "declared": "log Z is 0, as the declaration promises", "unknown": "log Z is not known",
    }[found["normalisation"]]  # fmt: skip
    return f"{state}: {found['why']}" if found["why"] else state


def _terms(terms: list[dict[str, Any]]) -> list[str]:
    lines = []
    for term in terms:
        what = {
            "gather": f"{term['rows']:,} {'row' if term['rows'] == 1 else 'rows'}, each of {term['width']}"
            f" {'site' if term['width'] == 1 else 'sites'}: exact gains",
            "quadratic": f"{term['reason'] or 'quadratic'}: exact gains from products",
            "sums": f"{term['reason']}: exact gains from what each site adds",
            "opaque": f"opaque, because {term['reason']}: gains are estimates, corrected by Metropolis steps",
            "continuous": f"{term['reason']}: gradients" if term["reason"] else "no discrete variable: gradients",
        }[term["kind"]]
        lines += [f"  {term['text']}", f"    {what}"]
    return lines


def _structure(found: dict[str, Any]) -> str:
    sites = ", ".join(
        f"{count:,} {'count' if count == 1 else 'counts'}"
        if values == "count"
        else f"{count:,} sites of {values} values"
        for values, count in found["sites"].items()
    )
    if found["gains"] == "none":
        return f"{sites}, which have no gains"
    colours = found["colours"]
    text = f"{sites}; gains are {'exact' if found['gains'] == 'exact' else 'estimates'}"
    if colours:
        text += f"; {colours:,} {'colour' if colours == 1 else 'colours'}, sites of one colour can move at once"
    if found["reach"]:
        text += f"; a move changes the gains of at most {found['reach']:,} {'site' if found['reach'] == 1 else 'sites'}"
    if found["fields"]:
        text += f"; the couplings of {found['fields']:,} sites are dense, so they are a matrix, and sweeps carry what they add up to"
    if found["states"] is not None:
        text += f"; {found['states']:,} configurations"
    return text
