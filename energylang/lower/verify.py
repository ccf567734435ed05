"""Verification of structure by probing: on every compile, random points in float64, normal form against plain energy.

Structure is found by analysis alone; a disagreement here is a defect of the compiler and stops the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from energylang.ir.nodes import Symbol, Variable, symbols
from energylang.ir.verify import VerificationError
from energylang.lower.data import Bound
from energylang.lower.elimination import Elimination
from energylang.lower.evaluate import evaluate
from energylang.lower.fields import NO_FIELDS
from energylang.lower.neighbours import rank_table
from energylang.lower.operations import NUMPY
from energylang.lower.program import EnergyProgram
from energylang.lower.structure import Gather, Quadratic, Sums

MOST_WORK = 2**22
"""Entries of the index tables beyond which one point, not three, is enough to wait for."""


def verify_structure(program: EnergyProgram, bound: Bound, params: Mapping[str, Any], seed: int = 0) -> None:
    """Compare at random points; conditions that have no value yet leave nothing to compare.

    Raises VerificationError where the sum of the summands is not the energy, a gather's change at a site is not the
    energy's or not what fields say, a quadratic has a third difference, or the factors of a sum are not its terms.
    """
    if not program.structured and not program.eliminations:
        return
    arrays = bound.values
    if any(c.key not in arrays for c in program.energy.conditions):
        return
    random = np.random.default_rng(seed)
    fixed = program.environment(arrays, {n: np.asarray(v, np.float64) for n, v in params.items()})
    work = sum(s.columns[0].sites.size for s in program.structured if isinstance(s, Gather))
    for _ in range(1 if work > MOST_WORK else 3):
        values: dict[Symbol, Any] = {}
        with np.errstate(all="ignore"):
            for variable in program.energy.variables:
                values[variable] = random_value(variable, program, {**fixed, **values}, random)
            if program.structured:
                _compare(program, {**fixed, **values}, random)
            for elimination in program.eliminations.values():
                _compare_factors(elimination, {**fixed, **values}, random)


def random_value(
    variable: Variable, program: EnergyProgram, environment: Mapping[Symbol, Any], random: np.random.Generator
) -> np.ndarray:
    """A point of a variable's space, somewhere in its middle. `environment` has what its bounds mention."""
    space = variable.space
    shape = tuple(d.evaluate(program.dims) for d in space.shape)
    match space.kind:
        case "spin":
            return 2 * random.integers(0, 2, shape) - 1
        case "count":
            return random.poisson(3.0, shape)
        case "binary":
            return random.integers(0, 2, shape)
        case "cat":
            assert space.cardinality is not None
            return random.integers(0, space.cardinality.evaluate(program.dims), shape)
        case "positive":
            return np.exp(random.normal(size=shape))
        case "unit" | "interval":
            slot = program.real_slots[variable].at(environment, program.dims, NUMPY)
            step = random.uniform(0.1, 0.9, shape)
            if np.all(np.isfinite(slot.low)) and np.all(np.isfinite(slot.high)):
                return slot.low + (slot.high - slot.low) * step
            return slot.low + step if np.all(np.isfinite(slot.low)) else slot.high - step
        case "simplex":
            draws = random.exponential(size=shape)
            return draws / draws.sum(-1, keepdims=True)
        case "corr_cholesky" | "cov_cholesky":
            lower = np.tril(random.normal(size=shape), -1) + np.eye(shape[-1])
            return lower / np.linalg.norm(lower, axis=-1, keepdims=True) if space.info.bounded else lower
        case "ordered" | "positive_ordered":
            return np.cumsum(random.uniform(0.1, 1.0, shape), axis=-1)
    return random.normal(size=shape)


def plain(program: EnergyProgram, environment: Mapping[Symbol, Any]) -> float:
    """The energy as written, in float64."""
    return float(sum(evaluate([t.value for t in program.energy.terms], environment, program.dims, NUMPY)))


def _summand(program: EnergyProgram, summand: Any, environment: Mapping[Symbol, Any]) -> float:
    scale = np.prod([float(v) for v in evaluate(summand.summand.scale, environment, program.dims, NUMPY)])
    return float(
        scale * np.sum(evaluate([summand.summand.rows], environment, program.dims, NUMPY)[0], dtype=np.float64)
    )


def _close(a: float, b: float, size: float) -> bool:
    return (a == b) or not (np.isfinite(a) and np.isfinite(b)) or abs(a - b) <= 1e-8 * max(1.0, size)


def _compare(program: EnergyProgram, environment: dict[Symbol, Any], random: np.random.Generator) -> None:
    energy = plain(program, environment)
    parts = [_summand(program, s, environment) for s in program.structured]
    size = float(np.sum(np.abs(parts)))
    if not _close(energy, float(np.sum(parts)), size):
        raise VerificationError(
            f"`{program.energy.name}`: the summands add up to {np.sum(parts)}, the energy is {energy}"
        )
    _compare_fields(program, environment, random)
    for summand, part in zip(program.structured, parts, strict=True):
        if isinstance(summand, Gather):
            _compare_gather(program, summand, part, environment, random, size)
        elif isinstance(summand, Sums):
            _compare_sums(program, summand, part, environment, random, size)
        elif isinstance(summand, Quadratic):
            _compare_quadratic(program, summand, environment, random, size)


def _compare_fields(program: EnergyProgram, environment: dict[Symbol, Any], random: np.random.Generator) -> None:
    """A site of each code array at another value: its field must account for the change of all couplings it stands for."""
    fields = program.near.fields if program.near else NO_FIELDS
    for group in {part.group for part in fields.parts}:
        slots = {v: slot for v, slot in program.code_slots.items() if slot.group == group}
        codes = np.concatenate([np.ravel(slot.encode(environment[v])) for v, slot in slots.items()])
        site = int(random.integers(len(codes)))
        variable = next(v for v, slot in slots.items() if slot.start <= site < slot.start + slot.size)
        slot = slots[variable]
        code = int((codes[site] + 1) % slot.cardinality)
        value = np.array(environment[variable])
        value.reshape(-1)[site - slot.start] = slot.decode(code)
        ends = ({**environment, variable: value}, environment)
        after, before = (sum(_summand(program, program.structured[n], e) for n in fields.covered) for e in ends)
        rank = int(program.tables[rank_table(group)][site])
        found = fields.change_at(group, site, rank, codes, code, environment, program.dims, program.tables)
        if not _close(after - before, found, abs(after) + abs(before)):
            raise VerificationError(
                f"`{program.energy.name}`: site {site} at another value changes its couplings by {after - before}, fields by {found}"
            )


def _compare_gather(
    program: EnergyProgram,
    summand: Gather,
    before: float,
    environment: dict[Symbol, Any],
    random: np.random.Generator,
    size: float,
) -> None:
    """One site of each column at another value: the rows that read it must account for all of the change."""
    for column in summand.columns:
        slot = program.code_slots[column.variable]
        if not slot.size or slot.cardinality < 2:
            continue
        site = int(random.integers(slot.size))
        value = np.array(environment[column.variable])
        code = slot.encode(value.reshape(-1)[site])
        # A count far from the others would leave nothing of the energy's digits.
        step = 1 + random.integers(min(slot.cardinality - 1, 8))
        value.reshape(-1)[site] = slot.decode((code + step) % slot.cardinality)
        after = _summand(program, summand, {**environment, column.variable: value})
        predicted = before + rows_change(program, summand, environment, column.variable, site, value.reshape(-1)[site])
        if not _close(after, predicted, size):
            raise VerificationError(
                f"`{summand.summand.text}`: setting site {site} of `{column.variable.name}` changes it by {after - before}, its rows by {predicted - before}"
            )


def _compare_sums(
    program: EnergyProgram, summand: Sums, before: float, environment: dict[Symbol, Any], random: np.random.Generator,
    size: float,
) -> None:  # fmt: skip
    """One site of each variable at another value: what it adds to the sums must account for all of the change."""
    for variable in sorted(summand.variables, key=lambda v: v.name):
        slot = program.code_slots[variable]
        if not slot.size or slot.cardinality < 2:
            continue
        site = int(random.integers(slot.size))
        value = np.array(environment[variable])
        code = slot.encode(value.reshape(-1)[site])
        value.reshape(-1)[site] = slot.decode((code + 1) % slot.cardinality)
        after = _summand(program, summand, {**environment, variable: value})
        predicted = before + sums_change(program, summand, environment, variable, site, value.reshape(-1)[site])
        if not _close(after, predicted, size):
            raise VerificationError(
                f"`{summand.summand.text}`: setting site {site} of `{variable.name}` changes it by {after - before}, its sums by {predicted - before}"
            )


def sums_change(
    program: EnergyProgram, summand: Sums, environment: Mapping[Symbol, Any], variable: Variable, site: int, value: Any
) -> float:
    """The change of a function of sums when a site takes a value, from what the site adds to each."""
    now = [float(v) for v in evaluate([s.value for s in summand.sums], environment, program.dims, NUMPY)]
    moved = [
        total + sum(rows_change(program, g, environment, variable, site, value) for g in s.gathers)
        for s, total in zip(summand.sums, now, strict=True)
    ]
    ends = []
    for sums in (now, moved):
        inner = {**environment, **{s.local: v for s, v in zip(summand.sums, sums, strict=True)}}
        ends.append(float(evaluate([summand.function], inner, program.dims, NUMPY)[0]))
    scale = np.prod([float(v) for v in evaluate(summand.summand.scale, environment, program.dims, NUMPY)])
    return float(scale * (ends[1] - ends[0]))


def rows_change(
    program: EnergyProgram,
    summand: Gather,
    environment: Mapping[Symbol, Any],
    variable: Variable,
    site: int,
    value: Any,
) -> float:
    """The change of the rows that read a site when it takes a value, from the index arrays alone."""
    current = {c: evaluate([c.chain], environment, program.dims, NUMPY)[0] for c in summand.columns}
    readers = np.zeros(summand.shape, bool)
    base: dict[Symbol, Any] = dict(environment)
    changed: dict[Symbol, Any] = dict(environment)
    for column in summand.columns:
        reads = (column.sites == site) if column.variable is variable else np.zeros(summand.shape, bool)
        readers |= reads
        old = np.asarray(current[column])
        new = old
        if column.variable is variable:
            source = np.asarray(environment[variable]).copy()
            source.reshape(-1)[site] = value
            new = evaluate([column.chain], {**environment, variable: source}, program.dims, NUMPY)[0]
        for local in column.locals:
            base[local], changed[local] = old, new
    before = np.broadcast_to(evaluate([summand.rows], base, program.dims, NUMPY)[0], summand.shape)
    after = np.broadcast_to(evaluate([summand.rows], changed, program.dims, NUMPY)[0], summand.shape)
    scale = np.prod([float(v) for v in evaluate(summand.summand.scale, environment, program.dims, NUMPY)])
    return float(scale * np.sum((after * 1.0 - before * 1.0)[readers]))


def _compare_quadratic(
    program: EnergyProgram, summand: Quadratic, environment: dict[Symbol, Any], random: np.random.Generator, size: float
) -> None:
    """The third difference along a random direction vanishes exactly where the degree is at most two."""
    directions = {v: random.normal(size=np.shape(environment[v])) for v in summand.variables}
    found = []
    for step in range(4):
        moved = {v: environment[v] + step * d for v, d in directions.items()}
        found.append(_summand(program, summand, {**environment, **moved}))
    third = found[3] - 3 * found[2] + 3 * found[1] - found[0]
    if not _close(third, 0.0, max(size, float(np.abs(found).sum()))):
        raise VerificationError(f"`{summand.summand.text}` is not quadratic: third difference {third}")


def _compare_factors(elimination: Elimination, environment: dict[Symbol, Any], random: np.random.Generator) -> None:
    """At random values of what is summed out the factors' tables add up to the terms."""
    factors = elimination.factors
    terms = [t.value for t in elimination.marginal.terms]
    inner = dict(environment)
    codes = np.zeros(len(factors.cardinalities), int)
    for variable, slot in factors.slots.items():
        mine = random.integers(0, slot.cardinality, slot.size)
        codes[slot.start : slot.start + slot.size] = mine
        inner[variable] = slot.decode(mine.reshape(slot.shape))
    work = factors.linear and len(codes) * len(codes) > MOST_WORK
    if work or any(s not in inner for s in symbols(*terms)):
        # What is summed out inside of another sum depends on that sum's values.
        return
    constant, unary, tables = factors.tables(environment, NUMPY, evaluate)
    parts = [float(constant), *unary[np.arange(len(codes)), codes]]
    for factor, table in zip(factors.coupling, tables, strict=True):
        places = np.atleast_1d(np.ravel_multi_index(tuple(codes[factor.sites].T), factor.cardinalities))
        parts += table[places, np.arange(len(places)) % table.shape[1]].tolist()
    plainly = float(sum(evaluate(terms, inner, factors.dims, NUMPY)))
    if not _close(plainly, float(np.sum(parts)), float(np.sum(np.abs(parts)))):
        raise VerificationError(f"{elimination.text}: the factors add up to {np.sum(parts)}, the terms to {plainly}")
