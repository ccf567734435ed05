"""Tasks resolved: what the file says, what the caller says, and what follows, before anything is compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from energylang.catalog import (
    CHAINS_ONLY,
    MOST_DRAWS,
    RUN_OPTIONS,
    MethodCall,
    Option,
    Verb,
    build,
    ensemble,
    methods,
    too_few,
)
from energylang.check.constraints import meant, unfit, unknown
from energylang.check.modules import new_context
from energylang.check.options import option_problem, options_of, settled, unknown_option
from energylang.check.tasks import method_call
from energylang.datafiles import leaves
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics
from energylang.ir.ancestry import prior, steps
from energylang.ir.constrained import OBJECTIVE, PENALTY, Constrained
from energylang.ir.nodes import Constraint, Task, symbols
from energylang.ir.nodes import Energy as EnergyNode
from energylang.lower.ancestry import require_covered
from energylang.lower.bounds import problems_of
from energylang.lower.data import Bound, bind_conditions, outside_rows
from energylang.lower.evaluate import evaluate
from energylang.lower.externs import fingerprint
from energylang.lower.operations import NUMPY
from energylang.lower.problem import LoweredProblem
from energylang.run.files import require_replaceable
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.parser import parse

if TYPE_CHECKING:
    from energylang.api import Energy
    from energylang.run.progress import Progress
    from energylang.run.result import Run
    from energylang.run.training import Training


def resolve_method(
    module: ast.Module, node: EnergyNode, verb: Verb, method: str | MethodCall | None, task: Task | None
) -> MethodCall:
    """The method asked for, checked against the catalog and the energy; the task's, or `auto`, where none is.

    Raises DiagnosticError E0601 to E0607.
    """
    if method is None:
        return task.method if task is not None and task.method is not None else MethodCall("auto")
    diagnostics = Diagnostics()
    written = parse(Source("--method", f"{verb} {node.name} with {method}"), diagnostics)
    diagnostics.raise_if_failed()
    context, _ = new_context(module, Diagnostics())  # What is wrong with the model itself was said when it was loaded.
    context.diagnostics = diagnostics
    calls = [d.method for d in written.declarations if isinstance(d, ast.Task) and d.method is not None]
    call = method_call(context, calls[0], verb, node.traits) if calls else None
    diagnostics.raise_if_failed()
    if call is None:
        raise DiagnosticError([Diagnostic("E0601", f"`{method}` is not a method", fix="for example `nuts()`")])
    return call


def resolve_options(module: ast.Module, verb: Verb, options: Mapping[str, Any], task: Task | None) -> dict[str, Any]:
    """The run's options: the caller's over the task's over the defaults. Raises DiagnosticError E0602, E0603, E0851.

    Where nobody says how many chains, or with an aim (`until`) how many draws, these are None: they depend on the method.
    """
    table = {o.name: o for o in RUN_OPTIONS[verb]}
    values: dict[str, Any] = {name: option.default for name, option in table.items()}
    if task is not None:
        values.update({name: _beside(task, table[name], value) for name, value in task.options})
    problems = []
    for name, value in options.items():
        if value is None:
            continue
        if name not in table:
            fix = unknown_option(name, table, str(value))
            problems.append(Diagnostic("E0602", f"`{verb}` has no option `{name}`", fix=fix))
            continue
        if table[name].type == "call" and isinstance(value, str):
            values[name] = _read_call(module, verb, table[name], value)
            continue
        if table[name].calls == "optimizer" and hasattr(value, "init") and hasattr(value, "update"):
            # Of Optax, or like it.
            values[name] = value
            continue
        value = value.item() if isinstance(value, np.generic) else value
        problem = None
        if not (table[name].files and isinstance(value, Mapping | Path)):
            problem = option_problem(table[name], value)
        if problem:
            problems.append(Diagnostic("E0603", f"`{name}` {problem}, not {value}", fix=table[name].doc))
        values[name] = value if problem else settled(table[name], value)
    if problems:
        raise DiagnosticError(problems)
    said = {name for name, value in options.items() if value is not None} | ({*dict(task.options)} if task else set())
    if values.get("until") and "draws" not in said:
        values["draws"] = None
    if "chains" in values and "chains" not in said:
        values["chains"] = None
    return values


def _read_call(module: ast.Module, verb: Verb, option: Option, text: str) -> MethodCall:
    """The value of an option that is a call, as the caller writes it. Raises DiagnosticError E0851, E0602, E0603."""
    diagnostics = Diagnostics()
    written = parse(Source(f"--{option.name}", f"{verb} e with auto(), {option.name} = {text}"), diagnostics)
    diagnostics.raise_if_failed()
    context, _ = new_context(module, Diagnostics())
    context.diagnostics = diagnostics
    written_options = [d.options for d in written.declarations if isinstance(d, ast.Task)]
    found = options_of(context, written_options[0], (option,), f"`{verb}`") if len(written_options) == 1 else None
    diagnostics.raise_if_failed()
    if found is None:
        raise DiagnosticError([Diagnostic("E0603", f"`{option.name}` {option_problem(option, text)}, not {text}")])
    return dict(found)[option.name]


def _beside(task: Task, option: Option, value: Any) -> Any:
    """The value of an option of the file's task: a file that it names lies in the model's folder. Raises E0707."""
    if not option.files or value in option.choices:
        return value
    file, folder = str(value), Path(task.span.source.name).parent
    if leaves(folder, file):
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0707", f'`{option.name} = "{file}"` leaves the folder of the model', task.span,
                    cause="a model reads files of its own folder only",
                    fix=f"put the file beside the model, or give it on the command line: `--{option.name} {file}`",
                )
            ]
        )  # fmt: skip
    return str(folder / file)


def with_counts(verb: Verb, options: Mapping[str, Any], method: MethodCall) -> dict[str, Any]:
    """The options with numbers of draws and chains where nobody gave them. Raises DiagnosticError E0809.

    Of draws there are many where chains go on until an aim; of chains those that the method is for.
    """
    found = {**options}
    default = {option.name: option.default for option in RUN_OPTIONS[verb]}
    if found.get("draws", 0) is None:
        found["draws"] = MOST_DRAWS if methods()[method.name].protocol == "kernel" else default["draws"]
    if "chains" in found:
        spec = ensemble(method)
        if found["chains"] is None:
            found["chains"] = default["chains"] if spec is None or spec.chains is None else spec.chains[1]
        elif (few := too_few(method, found["chains"])) is not None:
            problem, cause, fix = few
            raise DiagnosticError([Diagnostic("E0809", problem, cause=cause, fix=fix)])
    return found


def resolve_bindings(
    node: EnergyNode, verb: Verb, on: Mapping[str, Any], task: Task | None, bound: Bound
) -> dict[str, Any]:
    """Values for conditions, and for training the rows of variables too. Raises DiagnosticError E0607, E0608."""
    given: dict[str, Any] = {}
    if task is not None:
        for name, value in task.bindings:
            wrong = problems_of([value], bound.values, bound.dims)
            if wrong:
                raise DiagnosticError(wrong)
            given[name] = evaluate([value], {s: bound.values[s.key] for s in symbols(value)}, bound.dims, NUMPY)[0]
    if node.level is not None and verb in ("sample", "evidence", "optimize"):
        given.setdefault(node.level.name, 0.0)
    given.update(on)
    places = [c.name for c in node.conditions]
    if verb in ("train", "test"):
        places += [v.name for v in node.variables]
    what = f"bind {', '.join(places)}" if places else "bind nothing"
    problems = [Diagnostic("E0607", f"`{n}` cannot be bound in `{verb}`", fix=what) for n in given if n not in places]
    problems += [
        Diagnostic(
            "E0608", f"`{n}` of `{node.name}` has no value", fix=f"give it: `on ({n} = …)` in the task, or `--on {n}=…`"
        )
        for n in places
        if n not in given
    ]
    if problems:
        raise DiagnosticError(problems)
    return given


def with_conditions(node: EnergyNode, given: Mapping[str, Any], bound: Bound) -> Bound:
    """The data with the conditions' values beside, checked as data are, their dims solved."""
    diagnostics = Diagnostics()
    found = bind_conditions(node.conditions, given, bound, diagnostics)
    diagnostics.raise_if_failed()
    assert found is not None
    return Bound({**bound.values, **found.values}, found.dims, found.origins)


def require_rows(node: EnergyNode, rows: Mapping[str, np.ndarray], bound: Bound) -> None:
    """Raise E0703 and E0704 where the rows that training goes through are not points of the energy's spaces."""
    shown = ", ".join(f"`{n}` {list(values.shape)}" for n, values in rows.items())
    if len({values.shape[:1] for values in rows.values()}) != 1 or any(not values.ndim for values in rows.values()):
        raise DiagnosticError([Diagnostic("E0703", f"training data need one leading dim of rows in common: {shown}")])
    problems = []
    for symbol in (*node.variables, *node.conditions):
        values = rows.get(symbol.name)
        if values is None:
            continue
        event = tuple(d.evaluate(bound.dims) for d in symbol.space.shape)
        if values.shape[1:] != event:
            problems.append(
                Diagnostic(
                    "E0703", f"a row of `{symbol.name}` has shape {list(values.shape[1:])}, and `{symbol.name}` is {symbol.space}: {list(event)}",
                    symbol.span, fix=f"bind an array of shape {[values.shape[0], *event]}",
                )
            )  # fmt: skip
        elif not symbol.space.bounds:
            problems += outside_rows(symbol, values, bound.dims)
    if problems:
        raise DiagnosticError(problems)


KEPT = ("predictive", "log_likelihood")
"""Options of `sample` that say what is kept of a draw beside variables and reports."""


def require_observed(node: EnergyNode, options: Mapping[str, Any]) -> None:
    """Raise E0531 and E0532 where what is to be kept of observations cannot be computed of this energy."""
    asked = [name for name in KEPT if options.get(name)]
    if not asked:
        return
    if not node.observations:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0531", f"`{node.name}` observes nothing: no `~` of it is on data", node.span,
                    cause=f"`{asked[0]}` is about the data that a model observes", fix=f"leave `{asked[0]}` out, or use `report a ~ d(…)`",
                )
            ]
        )  # fmt: skip
    problems = steps(node.observations)[1] if options.get("predictive") else []
    if problems:
        raise DiagnosticError(
            [
                Diagnostic("E0532", f"`{p.name}` cannot be drawn anew: {p.text}", p.span, fix="leave `predictive` out")
                for p in problems
            ]
        )


def require_prior(node: EnergyNode, method: str | MethodCall | None) -> EnergyNode:
    """The energy of a model's variables alone. Raises DiagnosticError E0533 with all that stands against it, E0534."""
    if method is not None:
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0534",
                    f"the prior is drawn directly, and not by `{method}`",
                    fix="leave the method out, or `prior`",
                )
            ]
        )
    found, problems = prior(node)
    if found is None:
        raise DiagnosticError(
            [Diagnostic("E0533", f"no draws from the prior: {p.text}", p.span, fix=p.fix) for p in problems]
        )
    return found


def resolve_constraints(
    node: EnergyNode, table: Mapping[str, Constraint], names: str | None, method: MethodCall
) -> list[Constraint]:
    """The constraints of `optimize`: those named, else those of the file about the energy. Raises E0663, E0665."""
    problems = [Diagnostic("E0663", f"there is no constraint `{n}`", fix=fix) for n, fix in unknown(table, names)]
    found = meant(node, table, names)
    problems += [problem for c in found if (problem := unfit(c, node))]
    mixed = any(v.space.discrete for v in node.variables)
    spec = methods()[method.name]
    if mixed or spec.combines:
        problems += [
            Diagnostic(
                "E0665", f"`{c.name}` constrains `{v.name}`, which is continuous", c.span,
                cause="annealing repairs discrete variables alone",
                fix="say it by the space of the variable, or as a term" if mixed else "`with descent()` keeps such constraints",
            )
            for c in found for v in c.variables if not v.space.discrete
        ]  # fmt: skip
    if problems:
        raise DiagnosticError(problems)
    return found


@dataclass(frozen=True)
class Plan:
    """A task ready to run. known: the energy is normalised, so that its evidence needs no draws."""

    verb: Verb
    energy: Energy
    method: MethodCall
    reason: str
    options: dict[str, Any]
    bindings: dict[str, Any]
    known: bool = False
    whole: Constrained | None = None
    """What `optimize` minimises, of which `energy` is the energy."""

    def run(
        self,
        out: Path | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        threads: int = 0,
        chunk: int | None = None,
    ) -> Run:
        """Do it, by the driver of the method's protocol."""
        if out is not None:
            require_replaceable(out)
        if self.known:
            from energylang.run.output import without_draws

            return without_draws(self.provenance(), self.options, out if jax.process_index() == 0 else None)
        spec = methods()[self.method.name]
        built = build(self.method)
        common: dict[str, Any] = {
            "lanes": spec.lanes, "provenance": self.provenance(), "out": out, "resume": resume, "progress": progress,
            "threads": threads, "chunk": chunk,
        }  # fmt: skip
        if self.whole is not None:
            return self._search(built, common)
        target = self.energy.compiled.target(keep=self.keep(progress))
        options = {name: value for name, value in self.options.items() if name not in (*KEPT, "prior")}
        if spec.protocol == "kernel":
            from energylang.run.chains import run_chains
            from energylang.run.starts import read_starts

            table = {option.name: option for option in RUN_OPTIONS[self.verb]}
            if options["init"] not in table["init"].choices:
                options["init"] = read_starts(options["init"], target, options["chains"])
            return run_chains(target, built, **common, **options)
        from energylang.run.paths import run_path

        if "drawable" in spec.needs:
            require_covered(target.program.variable_steps, self.energy.model.bound.values, target.program.dims)
        options.pop("warmup", None)
        options.pop("init", None)
        for name in CHAINS_ONLY:
            if options.pop(name, None) not in (None, 1) and progress is not None:
                progress.note(
                    f"`{name}` is about chains: the draws of `{self.method.name}` are independent, all are made"
                )
        return run_path(
            target, built, **common, **options, weighted=spec.weighted, prior=bool(self.options.get("prior"))
        )

    def problem(self) -> LoweredProblem:
        """What `optimize` minimises."""
        assert self.whole is not None
        weights = {name: 1.0 for name in (OBJECTIVE, PENALTY) if self.whole.names}
        return LoweredProblem.of(self.energy.compiled.target(weights), self.whole, self.options["tolerance"])

    def _search(self, built: Any, common: dict[str, Any]) -> Run:
        from energylang.run.optimize import run_search
        from energylang.run.starts import read_starts

        problem = self.problem()
        options = {**self.options, "refined": self.options["refine"]}
        if options["init"] != "random":
            options["init"] = read_starts(options["init"], problem.base, options["chains"])
        chosen = {name: options[name] for name in ("steps", "chains", "seed", "init", "thin", "refined", "budget")}
        return run_search(problem, built, **common, **chosen)

    def keep(self, progress: Progress | None) -> tuple[str, ...]:
        """What is kept of a draw beside variables and reports; of the prior data too, as far as they can be drawn."""
        if not self.options.get("prior"):
            return tuple(name for name in KEPT if self.options.get(name))
        for problem in steps(self.energy.node.observations)[1]:
            if progress is not None:
                progress.note(f"`{problem.name}` is not drawn anew: {problem.text}")
        return ("predictive",)

    def train(
        self, out: Path | None = None, resume: bool = False, progress: Progress | None = None, chunk: int | None = None
    ) -> Training:
        """Do a training task."""
        if out is not None:
            require_replaceable(out)
        from energylang.run.hosts import require_alone
        from energylang.run.train import run_training

        require_alone("training")
        rows = {name: np.asarray(value) for name, value in self.bindings.items()}
        require_rows(self.energy.node, rows, self.energy.model.bound)
        return run_training(
            build(self.method), self.energy.compiled, rows, provenance=self.provenance(), out=out, resume=resume, progress=progress,
            chunk=chunk, **self.options,
        )  # fmt: skip

    def provenance(self) -> Any:
        """Everything that decides the numbers, for `/run` and for `--resume`."""
        from energylang.run.provenance import Provenance

        program = self.energy.model.program
        bound = self.energy.model.bound
        used = symbols(*self.energy.node.roots, through_lets=True)
        observed = {d.name: bound.values[d.key] for d in program.data if d in used}
        digest = hashlib.sha256()
        arrays = {**bound.values, **{f"on {k}": np.asarray(v) for k, v in self.bindings.items()}}
        arrays |= {f"param {k}": np.asarray(v) for k, v in self.energy.compiled.free.items()}
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        return Provenance(
            energy=self.energy.name,
            method=str(self.method),
            sources={source.name: source.text for source in program.sources},
            data_hash=digest.hexdigest(),
            options={
                "consts": program.consts,
                **({"params": str(saved)} if (saved := self.energy.model.saved) else {}),
                "functions": {n.name: fingerprint(n, bound.dims) for n in program.externs},
                **{name: True for name in (*KEPT, "prior") if self.options.get(name)},
                **(
                    {"constraints": list(self.whole.names), "tolerance": self.options["tolerance"]}
                    if self.whole
                    else {}
                ),
            },
            observed_data=observed,
            task=self.verb,
            reason=self.reason,
            # A method from elsewhere may change without its name changing.
            complete=_ours(self.method),
        )


def _ours(call: MethodCall) -> bool:
    parts = [*(inner for _, inner in call.inner), *(v for _, v in call.options if isinstance(v, MethodCall))]
    return methods()[call.name].factory.startswith("energylang.") and all(map(_ours, parts))
