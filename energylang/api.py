"""The Python face: `load`, `compile`, and the energies that they give.

A model is checked when it is loaded and lowered when an energy of it is asked for; nothing is compiled by XLA before a
task or a call needs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import Array

from energylang.catalog import RUN_OPTIONS, MethodCall, Value, Verb, build, methods
from energylang.check import check, new_context
from energylang.check.tasks import method_call, option_problem
from energylang.datafiles import read_beside
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics, suggest
from energylang.ir.nodes import Energy as EnergyNode
from energylang.ir.nodes import Program, Task, symbols
from energylang.lower.data import Bound, bind, bind_conditions
from energylang.lower.energy import CompiledEnergy, compile_energy
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY
from energylang.lower.target import EnergyTarget
from energylang.lower.verify import verify_structure
from energylang.model import Scalar
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.parser import parse
from energylang.syntax.read import read_source

if TYPE_CHECKING:
    from energylang.run.progress import Progress
    from energylang.run.result import Run
    from energylang.run.train import Training


def load(
    path: str | Path, *, data: Mapping[str, Any] | None = None, set: Mapping[str, Any] | None = None, seed: int = 0
) -> Model:
    """Read and check a model file. `data` fills `data` declarations; `set` overrides consts; `seed` starts params.

    Raises DiagnosticError with everything that is wrong.
    """
    return _model(read_source(Path(path)), Path(path).parent, data, set, seed)


def compile(
    source: str, *, data: Mapping[str, Any] | None = None, set: Mapping[str, Any] | None = None, seed: int = 0
) -> Model:
    """A model from a text; otherwise as `load`."""
    return _model(Source("<string>", source), None, data, set, seed)


def checked(source: Source, overrides: Mapping[str, Any], diagnostics: Diagnostics) -> Program | None:
    """Parse and check one source."""
    module = parse(source, diagnostics)
    if diagnostics.failed:
        return None
    return check(module, diagnostics, overrides)


def _model(
    source: Source, folder: Path | None, data: Mapping[str, Any] | None, overrides: Mapping[str, Any] | None, seed: int
) -> Model:
    diagnostics = Diagnostics()
    module = parse(source, diagnostics)
    # A text with syntax errors is not checked further: names that were never read would be reported as missing.
    program = None if diagnostics.failed else check(module, diagnostics, overrides)
    diagnostics.raise_if_failed()
    assert program is not None
    return assemble(module, program, folder, data or {}, diagnostics, seed)


def assemble(
    module: ast.Module, program: Program, folder: Path | None, data: Mapping[str, Any], diagnostics: Diagnostics, seed: int
) -> Model:  # fmt: skip
    """The model of a checked program: data from `data`, else from files in `folder`, else from the defaults.

    Raises DiagnosticError with everything that is wrong with the data, and with what `diagnostics` had before.
    """
    given = dict(data)
    for declared in program.data:
        if declared.source is not None and declared.name not in given:
            rank = len(declared.space.shape)
            value = read_beside(folder, declared.source, declared.name, rank, declared.span, diagnostics)
            if value is not None:
                given[declared.name] = value
    diagnostics.raise_if_failed()
    bound = bind(program, given, diagnostics)
    diagnostics.raise_if_failed()
    assert bound is not None
    return Model(module, program, bound, seed, tuple(diagnostics.found))


@dataclass(eq=False)
class Model:
    """A checked model with its data. `model["name"]` is an energy."""

    module: ast.Module
    program: Program
    bound: Bound
    seed: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    _energies: dict[str, Energy] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Energy:
        if name not in self._energies:
            self._energies[name] = self._compiled(self.node(name), self.bound)
        return self._energies[name]

    def __iter__(self) -> Any:
        return iter(self.program.energies)

    def __len__(self) -> int:
        return len(self.program.energies)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{e.name}({', '.join(f'{v.name}: {v.space}' for v in e.variables)})"
            for e in self.program.energies.values()
        )
        return f"Model({self.program.source.name}: {shown})"

    def _compiled(self, node: EnergyNode, bound: Bound) -> Energy:
        compiled = compile_energy(node, bound, seed=self.seed)
        verify_structure(compiled.program, bound, compiled.values)
        return Energy(compiled, self)

    def node(self, name: str) -> EnergyNode:
        """The checked energy of a name. Raises DiagnosticError E0600."""
        energies = self.program.energies
        if name in energies:
            return energies[name]
        near = suggest(name, energies)
        fix = f"did you mean `{near}`?" if near else f"the energies are {', '.join(energies) or 'none'}"
        raise DiagnosticError([Diagnostic("E0600", f"there is no energy `{name}`", fix=fix)])

    def choose(self, verb: Verb, of: str | None = None) -> tuple[str, Task | None]:
        """The energy that a task is about, and the file's task for it: `of`, else the first task, else the only energy."""
        tasks = [t for t in self.program.tasks if t.verb == verb]
        if of is not None:
            self.node(of)
            return of, next((t for t in tasks if t.energy.name == of), None)
        if tasks:
            return tasks[0].energy.name, tasks[0]
        names = list(self.program.energies)
        if len(names) == 1:
            return names[0], None
        if not names:
            raise DiagnosticError(
                [Diagnostic("E0609", "the model declares no energy", fix="add `energy name(x: real) = …`")]
            )
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0606",
                    f"the model declares {len(names)} energies: {', '.join(names)}",
                    fix=f"say which: `--of {names[0]}`",
                )
            ]
        )


@partial(jax.tree_util.register_dataclass, data_fields=["compiled"], meta_fields=["model"])
@dataclass(frozen=True)
class Energy:
    """An energy of a model: a pytree whose leaves are its params and data; call it, or run a task on it."""

    compiled: CompiledEnergy
    model: Model = field(repr=False)

    @property
    def node(self) -> EnergyNode:
        return self.compiled.program.energy

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def params(self) -> dict[str, Array]:
        """The params in their spaces."""
        return self.compiled.values

    def with_params(self, params: Mapping[str, Array]) -> Energy:
        """The same energy at other params, on their unconstrained scale (as `train` returns them)."""
        return replace(self, compiled=self.compiled.with_params(params))

    def __call__(self, **values: Any) -> Scalar:
        """The energy: a value, in its space, for each variable and condition. jit, grad, vmap and shard as you like."""
        return self.compiled(values)

    def target(self, **conditions: Any) -> EnergyTarget:
        """The log density that methods see, over one flat unconstrained vector and codes."""
        return self.compiled.target(conditions)

    # --- tasks --------------------------------------------------------------------------------------------------

    def sample(
        self, *, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None, out: str | Path | None = None,
        resume: bool = False, progress: Progress | None = None, threads: int = 0, chunk: int | None = None, **options: Any,
    ) -> Run:  # fmt: skip
        """Draw from the energy. Options: draws, warmup, chains, seed; what is not given comes from the file's task."""
        plan = self.plan("sample", method, on, options)
        return plan.run(Path(out) if out else None, resume, progress, threads, chunk)

    def evidence(
        self, *, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None, out: str | Path | None = None,
        resume: bool = False, progress: Progress | None = None, threads: int = 0, **options: Any,
    ) -> Run:  # fmt: skip
        """Estimate log Z, with its error. Options: draws, seed."""
        plan = self.plan("evidence", method, on, options)
        return plan.run(Path(out) if out else None, resume, progress, threads, None)

    def train(
        self, *, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None, out: str | Path | None = None,
        resume: bool = False, progress: Progress | None = None, **options: Any,
    ) -> Training:  # fmt: skip
        """Learn the params from rows of data. Options: steps, batch, learning_rate, seed."""
        plan = self.plan("train", method, on, options)
        return plan.train(Path(out) if out else None, resume, progress)

    def plan(
        self, verb: Verb, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Plan:  # fmt: skip
        """Everything about a task resolved, nothing compiled yet: the method and why, options, bindings."""
        _, task = self.model.choose(verb, self.name)
        call = self._method(verb, method, task)
        given = self._options(verb, options or {}, task)
        energy, bindings = self._bound(verb, on or {}, task)
        reason = "asked for"
        spec = methods()[call.name]
        if spec.protocol == "choice":
            call, reason = build(call).choose(energy.compiled.program.facts, verb)
        return Plan(verb, energy, call, reason, given, bindings)

    def _method(self, verb: Verb, method: str | MethodCall | None, task: Task | None) -> MethodCall:
        if isinstance(method, MethodCall):
            method = str(method)
        if method is None:
            return task.method if task is not None and task.method is not None else MethodCall("auto")
        diagnostics = Diagnostics()
        source = Source("--method", f"{verb} {self.name} with {method}")
        module = parse(source, diagnostics)
        diagnostics.raise_if_failed()
        context = new_context(self.model.module, diagnostics)
        written = [d.method for d in module.declarations if isinstance(d, ast.Task) and d.method is not None]
        call = method_call(context, written[0], verb, self.node.traits) if written else None
        diagnostics.raise_if_failed()
        if call is None:
            raise DiagnosticError([Diagnostic("E0601", f"`{method}` is not a method", fix="for example `nuts()`")])
        return call

    def _options(self, verb: Verb, options: Mapping[str, Any], task: Task | None) -> dict[str, Value | None]:
        table = {o.name: o for o in RUN_OPTIONS[verb]}
        values: dict[str, Value | None] = {name: option.default for name, option in table.items()}
        if task is not None:
            values.update(task.options)
        problems = []
        for name, value in options.items():
            if value is None:
                continue
            if name not in table:
                near = suggest(name, table)
                fix = f"did you mean `{near}`?" if near else f"its options are {', '.join(table)}"
                problems.append(Diagnostic("E0602", f"`{verb}` has no option `{name}`", fix=fix))
                continue
            value = value.item() if isinstance(value, np.generic) else value
            problem = option_problem(table[name], value)
            if problem:
                problems.append(Diagnostic("E0603", f"`{name}` {problem}, not {value}", fix=table[name].doc))
            values[name] = value
        if problems:
            raise DiagnosticError(problems)
        return values

    def _bound(self, verb: Verb, on: Mapping[str, Any], task: Task | None) -> tuple[Energy, dict[str, Any]]:
        """Conditions in place; for training the rows of variables and conditions beside."""
        given: dict[str, Any] = {}
        if task is not None:
            for name, value in task.bindings:
                environment = {s: self.model.bound.values[n] for n, s in symbols(value).items()}
                given[name] = evaluate([value], environment, self.model.bound.dims, NUMPY)[0]
        given.update(on)
        conditions = {c.name: c for c in self.node.conditions}
        places = (
            [*conditions, *(v.name for v in self.node.variables)] if verb in ("train", "test") else list(conditions)
        )
        unknown = [n for n in given if n not in places]
        missing = [n for n in places if n not in given]
        problems = [
            Diagnostic(
                "E0607",
                f"`{n}` cannot be bound in `{verb}`",
                fix=f"bind {', '.join(places)}" if places else "bind nothing",
            )
            for n in unknown
        ] + [
            Diagnostic("E0608", f"`{n}` of `{self.name}` has no value", fix=f"give it: `on ({n} = …)`") for n in missing
        ]
        if problems:
            raise DiagnosticError(problems)
        if verb in ("train", "test"):
            return self, given
        if not conditions:
            return self, {}
        diagnostics = Diagnostics()
        found = bind_conditions(tuple(conditions.values()), given, self.model.bound, diagnostics)
        diagnostics.raise_if_failed()
        assert found is not None
        wider = Bound({**self.model.bound.values, **found.values}, found.dims, found.origins)
        return self.model._compiled(self.node, wider), given


@dataclass(frozen=True)
class Plan:
    """A task ready to run."""

    verb: Verb
    energy: Energy
    method: MethodCall
    reason: str
    options: dict[str, Any]
    bindings: dict[str, Any]

    def run(
        self,
        out: Path | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        threads: int = 0,
        chunk: int | None = None,
    ) -> Run:
        """Do it, by the driver of the method's protocol."""
        spec = methods()[self.method.name]
        built = build(self.method)
        common: dict[str, Any] = {
            "lanes": spec.lanes, "provenance": self.provenance(), "out": out, "resume": resume, "progress": progress,
            "threads": threads, "chunk": chunk,
        }  # fmt: skip
        target = self.energy.compiled.target()
        if spec.protocol == "kernel":
            from energylang.run.chains import run_chains

            return run_chains(target, built, **common, **self.options)
        from energylang.run.paths import run_path

        options = {k: v for k, v in self.options.items() if k != "warmup"}
        return run_path(target, built, **common, **options)

    def train(self, out: Path | None = None, resume: bool = False, progress: Progress | None = None) -> Training:
        """Do a training task."""
        from energylang.run.train import run_training

        rows = {name: jax.numpy.asarray(value) for name, value in self.bindings.items()}
        lengths = {name: value.shape[0] if value.ndim else None for name, value in rows.items()}
        if len(set(lengths.values())) != 1 or None in lengths.values():
            shown = ", ".join(f"`{n}` {list(rows[n].shape)}" for n in rows)
            raise DiagnosticError(
                [Diagnostic("E0703", f"training data need one leading dim of rows in common: {shown}")]
            )
        return run_training(
            build(self.method), self.energy.compiled, rows, provenance=self.provenance(), out=out, resume=resume, progress=progress,
            **self.options,
        )  # fmt: skip

    def provenance(self) -> Any:
        """Everything that decides the numbers, for `/run` and for `--resume`."""
        from energylang.run.provenance import Provenance

        program = self.energy.model.program
        bound = self.energy.model.bound
        inputs = self.energy.compiled.program.inputs
        observed = {d.name: bound.values[d.name] for d in program.data if d.name in inputs}
        digest = hashlib.sha256()
        arrays = {**bound.values, **{f"on {k}": np.asarray(v) for k, v in self.bindings.items()}}
        arrays |= {f"param {k}": np.asarray(v) for k, v in self.energy.compiled.free.items()}
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return Provenance(
            energy=self.energy.name,
            method=str(self.method),
            sources={program.source.name: program.source.text},
            data_hash=digest.hexdigest(),
            options={"consts": program.consts},
            observed_data=observed,
            task=self.verb,
            reason=self.reason,
        )
