"""The Python face: `load`, `compile`, and the energies that they give.

A model is checked when it is loaded and lowered when an energy of it is asked for; nothing is compiled by XLA before a
task or a call needs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np
from jax import Array
from jax.core import Tracer

from energylang.catalog import MethodCall, Verb, build, methods, misfit
from energylang.check import check_source
from energylang.datafiles import from_file, read_beside
from energylang.describe import energy_html, model_html, signature
from energylang.diagnostics import Diagnostic, DiagnosticError, Diagnostics, suggest
from energylang.export.artefact import PLATFORMS, write
from energylang.graphs.graph import Graph
from energylang.ir.constrained import constrained
from energylang.ir.nodes import Energy as EnergyNode
from energylang.ir.nodes import Normalisation, Program, Task
from energylang.lower.data import Bound
from energylang.lower.data import bind as bind_data
from energylang.lower.energy import CompiledEnergy, compile_energy
from energylang.lower.externs import fill
from energylang.lower.problem import weighted
from energylang.lower.target import EnergyTarget
from energylang.lower.verify import verify_structure
from energylang.methods.auto import completed
from energylang.model import PRNGKey, Scalar
from energylang.run.initial import initial_point, require_start
from energylang.run.params import SavedParams
from energylang.source import Source
from energylang.syntax import ast
from energylang.syntax.read import read_source
from energylang.tasks import (
    Plan,
    require_observed,
    require_prior,
    resolve_bindings,
    resolve_constraints,
    resolve_method,
    resolve_options,
    with_conditions,
    with_counts,
)

if TYPE_CHECKING:
    from energylang.run.optimum import Optimum
    from energylang.run.progress import Progress
    from energylang.run.result import Run
    from energylang.run.training import Training

    Params = Mapping[str, Any] | str | Path | Training
    """Learned params: unconstrained values by name, the file of a training run, or what `train` gave."""


Data = Mapping[str, Any] | str | Path | Graph
"""Values by name; or a file of them, or a graph, of which names that the model does not declare are left alone."""


class EnergyWarning(UserWarning):
    """What is doubtful about a model's data, as Python says it; all findings are `Model.diagnostics`."""


def load(
    path: str | Path, *, data: Data | None = None, set: Mapping[str, Any] | None = None, seed: int = 0,
    bind: Mapping[str, Callable[..., Any]] | None = None, params: Params | None = None,
) -> Model:  # fmt: skip
    """Read and check a model file. `data` fills `data` declarations; `set` overrides consts; `seed` starts params.

    bind: a function of JAX arrays for each `extern net`: it takes one event of each input, as float arrays of the
    declared shapes, and gives an array of the output's shape; it is mapped over batches and differentiated by JAX.
    params: learned ones, in the place of those that params start with: the file of a training run, a Training, or
    unconstrained values by name.

    Raises DiagnosticError with everything that is wrong.
    """
    return _model(read_source(Path(path)), Path(path).parent, data, set, seed, bind, params)


def compile(
    source: str, *, data: Data | None = None, set: Mapping[str, Any] | None = None, seed: int = 0,
    bind: Mapping[str, Callable[..., Any]] | None = None, params: Params | None = None,
) -> Model:  # fmt: skip
    """A model from a text; otherwise as `load`."""
    return _model(Source("<string>", source), None, data, set, seed, bind, params)


def _model(
    source: Source, folder: Path | None, data: Data | None, overrides: Mapping[str, Any] | None, seed: int,
    functions: Mapping[str, Callable[..., Any]] | None, params: Params | None,
) -> Model:  # fmt: skip
    diagnostics = Diagnostics()
    module, program = check_source(source, diagnostics, overrides, folder=folder)
    diagnostics.raise_if_failed()
    assert program is not None
    if isinstance(data, str | Path):
        ranks = {declared.name: len(declared.space.shape) for declared in program.data}
        data = from_file(Path(data), ranks, diagnostics)
    elif isinstance(data, Graph):
        data = {declared.name: data.data[declared.name] for declared in program.data if declared.name in data.data}
    model = assemble(module, program, folder, data or {}, diagnostics, seed, functions, params)
    for found in model.diagnostics:
        if found.severity == "warning" and found.code.startswith("N"):
            advice = f"; {found.fix}" if found.fix else ""
            warnings.warn(f"{found.code}: {found.message}{advice}", EnergyWarning, stacklevel=3)
    return model


def assemble(
    module: ast.Module, program: Program, folder: Path | None, data: Mapping[str, Any], diagnostics: Diagnostics, seed: int,
    functions: Mapping[str, Callable[..., Any]] | None = None, params: Params | None = None,
) -> Model:  # fmt: skip
    """The model of a checked program: data from `data`, else from files in `folder`, else from the defaults.

    Raises DiagnosticError with everything that is wrong with the data and functions, and with what `diagnostics` had before.
    """
    fill(program, functions or {}, diagnostics)
    given = dict(data)
    for declared in program.data:
        if declared.source is not None and declared.name not in given:
            rank = len(declared.space.shape)
            value = read_beside(folder, declared.source, declared.name, rank, declared.span, diagnostics)
            if value is not None:
                given[declared.name] = value
    diagnostics.raise_if_failed()
    bound = bind_data(program, given, diagnostics)
    diagnostics.raise_if_failed()
    assert bound is not None
    saved = None if params is None else SavedParams.of(params)
    if saved is not None and saved.other_text(program.source.text):
        text = f"the params in {saved.where} were learned with another text of the model"
        diagnostics.add("N0715", text, fix="look whether what differs matters: shapes and names are right")
    return Model(module, program, bound, seed, tuple(diagnostics.found), saved)


@dataclass(eq=False)
class Model:
    """A checked model with its data. `model["name"]` is an energy."""

    module: ast.Module
    program: Program
    bound: Bound
    seed: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    saved: SavedParams | None = None
    """Learned params, in the place of those that params start with."""
    _energies: dict[str, Energy] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Energy:
        if name not in self._energies:
            self._energies[name] = self._compiled(self.node(name), self.bound)
        return self._energies[name]

    def __iter__(self) -> Any:
        return iter(self.program.energies)

    def __len__(self) -> int:
        return len(self.program.energies)

    @property
    def data(self) -> dict[str, np.ndarray]:
        """The data by name, float64, int64 or bool, wherever they came from."""
        return {d.name: self.bound.values[d.key] for d in self.program.data}

    def __repr__(self) -> str:
        shown = ", ".join(f"{e.name}({signature(e)})" for e in self.program.energies.values())
        return f"Model({self.program.source.name}: {shown})"

    def _repr_html_(self) -> str:
        return model_html(self)

    def _compiled(self, node: EnergyNode, bound: Bound, params: Mapping[str, Any] | None = None) -> Energy:
        compiled = compile_energy(node, bound, params, seed=self.seed)
        if params is None and self.saved is not None:
            compiled = compiled.with_params(jax.device_put(self.saved.fitted(compiled.params)))
        verify_structure(compiled.program, bound, compiled.values)
        return Energy(compiled, self)

    def node(self, name: str) -> EnergyNode:
        """The checked energy of a name. Raises DiagnosticError E0600."""
        energies = self.program.energies
        found = energies.get(name) or self.program.imported.get(name)
        if found is not None:
            return found
        near = suggest(name, energies)
        fix = f"did you mean `{near}`?" if near else f"the energies are {', '.join(energies) or 'none'}"
        raise DiagnosticError([Diagnostic("E0600", f"there is no energy `{name}`", fix=fix)])

    def plan(
        self, verb: Verb, of: str | None = None, method: str | MethodCall | None = None,
        on: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None, energy: Energy | None = None,
    ) -> Plan:  # fmt: skip
        """A task resolved. `on` binds conditions (their dims too, so this works where `model[of]` has no sizes yet).

        energy: the energy with other params than the model's.
        """
        name, task = self.choose(verb, of)
        node = self.node(name)
        call = resolve_method(self.module, node, verb, method, task)
        given = resolve_options(self.module, verb, options or {}, task)
        bindings = resolve_bindings(node, verb, on or {}, task, self.bound)
        require_observed(node, given)
        if given.get("prior"):
            node, call = require_prior(node, method), MethodCall("direct")
        if (node.conditions and verb not in ("train", "test")) or given.get("prior"):
            wider = with_conditions(node, bindings, self.bound)
            energy = self._compiled(node, wider, energy.compiled.params if energy is not None else None)
        elif energy is None:
            energy = self[name]
        if verb == "optimize":
            return self._search_plan(energy, call, given, bindings)
        reason = "the prior is drawn, one variable after another" if given.get("prior") else "asked for"
        if verb == "evidence" and call == MethodCall("auto") and node.normalisation is not Normalisation.UNKNOWN:
            reason = f"the energy is normalised ({node.reason}): log Z is 0"
            return Plan(verb, energy, call, reason, given, bindings, known=True)
        if verb == "sample" and call == MethodCall("auto") and node.flow and node.traits.drawable:
            call, reason = MethodCall("direct"), "a flow is drawn from exactly, each draw by itself"
        if methods()[call.name].protocol == "choice":
            call, reason = build(call).choose(energy.compiled.program.facts_to_choose, verb, energy.node.traits)
            why_not = misfit(methods()[call.name], energy.node.traits)
            if why_not:
                problem = f"no method fits `{verb}` of `{energy.name}`: for `{call.name}`, {why_not}"
                raise DiagnosticError([Diagnostic("E0604", problem, fix="`energylang methods` lists what each needs")])
        if any(option.calls == "kernel" for option in methods()[call.name].options):
            call = completed(call, energy.compiled.program.facts_to_choose)
        return Plan(verb, energy, call, reason, with_counts(verb, given, call), bindings)

    def _search_plan(self, energy: Energy, call: MethodCall, given: dict[str, Any], bindings: dict[str, Any]) -> Plan:
        """The plan of `optimize`: its constraints are part of what is compiled."""
        node, bound = energy.node, self.bound
        if node.conditions:
            bound = with_conditions(node, bindings, bound)
        chosen = resolve_constraints(node, self.program.constraints, given["constraints"], call)
        whole, reason = constrained(node, chosen), "asked for"
        if chosen:
            compiled = compile_energy(whole.energy, bound, energy.compiled.params, seed=self.seed)
            probed = Bound(weighted(bound.values), bound.dims, bound.origins)
            verify_structure(compiled.program, probed, compiled.values)
            energy = Energy(compiled, self)
        if methods()[call.name].protocol == "choice":
            call, reason = build(call).choose(energy.compiled.program.facts_to_choose, "optimize", node.traits)
            resolve_constraints(node, self.program.constraints, given["constraints"], call)
        return Plan("optimize", energy, call, reason, with_counts("optimize", given, call), bindings, whole=whole)

    def optimize(self, of: str | None = None, **arguments: Any) -> Optimum:
        """Find the lowest energy, the only one's or that of the file's task; arguments as `Energy.optimize`."""
        return cast("Optimum", _run(self, "optimize", of, arguments))

    def sample(self, of: str | None = None, **arguments: Any) -> Run:
        """Draw from an energy, the only one or that of the file's task by default; arguments as `Energy.sample`."""
        return _run(self, "sample", of, arguments)

    def evidence(self, of: str | None = None, **arguments: Any) -> Run:
        """Estimate log Z of an energy; arguments as `Energy.evidence`."""
        return _run(self, "evidence", of, arguments)

    def train(self, of: str | None = None, **arguments: Any) -> Training:
        """Learn the params of an energy; arguments as `Energy.train`."""
        return self[self.choose("train", of)[0]].train(**arguments)

    def export(
        self, of: str, path: str | Path, *, on: Mapping[str, Any] | None = None, platforms: Sequence[str] = PLATFORMS,
        params: Mapping[str, Any] | None = None,
    ) -> Path:  # fmt: skip
        """`Energy.export` of an energy by name, for those that need their conditions before they can be compiled.

        params: unconstrained, instead of those that the model starts with.
        """
        node, bound = self.node(of), self.bound
        if on is not None:
            bound = with_conditions(node, resolve_bindings(node, "sample", on, None, bound), bound)
        return write(self._compiled(node, bound, params).compiled, bound, self.program, Path(path), platforms)

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

    def __repr__(self) -> str:
        return f"Energy({self.name}({signature(self.node)}))"

    def _repr_html_(self) -> str:
        return energy_html(self)

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

    @property
    def unconstrained_params(self) -> dict[str, Array]:
        """The params on their unconstrained scale: what optimisers move, and what `with_params` takes."""
        return self.compiled.params

    def with_params(self, params: Mapping[str, Array]) -> Energy:
        """The same energy at other params, on their unconstrained scale (as `train` returns them)."""
        return replace(self, compiled=self.compiled.with_params(params))

    def __call__(self, **values: Any) -> Scalar:
        """The energy: a value, in its space, for each variable and condition. jit, grad, vmap and shard as you like."""
        return self.compiled(values)

    def target(self, **conditions: Any) -> EnergyTarget:
        """The log density that methods see, over one flat unconstrained vector and codes."""
        return self.compiled.target(conditions)

    # --- the flat unconstrained vector, for samplers and optimisers of one's own ----------------------------------------

    @property
    def flat_size(self) -> int:
        """R, how many numbers the continuous variables have on the unconstrained scale."""
        return self.compiled.program.facts.reals

    def log_density(self, flat: Any, **given: Any) -> Scalar:
        """The log density of the flat vector float[R]: minus the energy, plus the log-Jacobian of the map to the spaces.

        given: discrete variables and conditions by name. Raises DiagnosticError E0710 for wrong shapes and names, E0608.
        """
        return self.compiled.log_density(flat, given)

    def constrain(self, flat: Any, **given: Any) -> dict[str, Array]:
        """The continuous variables in their spaces, from the flat vector float[R].

        given: the discrete variables and conditions that bounds of spaces depend on; else nothing.
        """
        return self.compiled.constrain(flat, given)

    def unconstrain(self, values: Mapping[str, Any]) -> Array:
        """The flat vector float[R] from a value of each continuous variable, the inverse of `constrain`."""
        return self.compiled.unconstrain(values)

    def initial(self, key: PRNGKey, **conditions: Any) -> Array:
        """A flat vector float[R] to start from, as `sample` finds it: random, its density and gradient finite.

        Raises DiagnosticError E0801 where a hundred tries find none (under `jit` and `vmap` the last try comes back).
        """
        target = self.target(**conditions)
        found = _initial(target, key)
        if not isinstance(found.energy, Tracer):
            require_start(target, jax.tree.map(lambda leaf: np.asarray(leaf)[None], found))
        return found.x.real

    def export(
        self, path: str | Path, *, on: Mapping[str, Any] | None = None, platforms: Sequence[str] = PLATFORMS
    ) -> Path:
        """Write the energy as a file that runs with JAX alone, on any of `platforms`; docs/embedding.md says how.

        on: values of all conditions, which are then data. Needs the extra `export`. Raises DiagnosticError E0880 where
        JAX cannot export it for a platform, E0904 without the extra, E0820 where the file cannot be written.
        """
        return self.model.export(self.name, path, on=on, platforms=platforms, params=self.compiled.params)

    # --- tasks --------------------------------------------------------------------------------------------------

    def sample(self, **arguments: Any) -> Run:
        """Draw from the energy; what is not given comes from the file's task.

        method, on (values of conditions), draws, warmup, chains, seed; init ("random", "pathfinder", or where chains start:
        values by variable, a file of them, a Run); thin, until ("ess=400" or {"ess": 400}), budget (seconds, or "2m");
        predictive, log_likelihood (of each draw), prior (draw from the prior instead); out (a file; without it draws stay
        in memory), resume, progress, threads, chunk.
        """
        return _run(self.model, "sample", self.name, arguments, self)

    def evidence(self, **arguments: Any) -> Run:
        """Estimate log Z, with its error: method, on, draws, seed; out, resume, progress, threads."""
        return _run(self.model, "evidence", self.name, arguments, self)

    def optimize(self, **arguments: Any) -> Optimum:
        """Find the point of the lowest energy, no Jacobian in it, that satisfies the constraints.

        method, on (values of conditions), steps, chains (restarts), seed; constraints (names; `[]` for none; without it
        all of the file about the energy), tolerance; init ("random", or where restarts begin: values by variable, a
        file of them, a Run); refine, thin, budget (seconds, or "2m"); out, resume, progress, threads, chunk.
        """
        return cast("Optimum", _run(self.model, "optimize", self.name, arguments, self))

    def train(
        self, *, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None, out: str | Path | None = None,
        resume: bool = False, progress: Progress | None = None, chunk: int | None = None, **options: Any,
    ) -> Training:  # fmt: skip
        """Learn the params from rows of data.

        method, on (rows of variables and conditions); steps, optimizer (a text such as "adamw(1e-3, weight_decay = 1e-4)", or
        a GradientTransformation of Optax), batch, clip, ema, validation (rows held out, a number or a part), every, patience,
        seed; out (a file), resume, progress, chunk.
        """
        plan = self.plan("train", method, on, options)
        return plan.train(Path(out) if out else None, resume, progress, chunk)

    def plan(
        self, verb: Verb, method: str | MethodCall | None = None, on: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Plan:  # fmt: skip
        """Everything about a task resolved, nothing compiled yet: the method and why, options, bindings."""
        return self.model.plan(verb, self.name, method, on, options, self)


_initial = jax.jit(initial_point)

_RUN = ("out", "resume", "progress", "threads", "chunk")


def _run(model: Model, verb: Verb, of: str | None, arguments: dict[str, Any], energy: Energy | None = None) -> Run:
    """Sort the arguments of a task: those of the plan, those of its run, and the rest, which are options."""
    options = {k: v for k, v in arguments.items() if k not in (*_RUN, "method", "on")}
    plan = model.plan(verb, of, arguments.get("method"), arguments.get("on"), options, energy)
    run = {k: v for k, v in arguments.items() if k in _RUN}
    if run.get("out") is not None:
        run["out"] = Path(run["out"])
    return plan.run(**run)
