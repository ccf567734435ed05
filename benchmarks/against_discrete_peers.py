"""Discrete methods against peers: `gibbs` against thrml's block Gibbs, `gwg` against a faithful GWG written by hand.

`python -m benchmarks.against_discrete_peers --peer-python PATH`, where PATH is an interpreter that has thrml; without it
only `gwg` is measured. Both sides run in turn in one run of this script, compiled before the clock starts.

thrml: two colour blocks, chains under one `vmap`, jitted, `sample_states` of all nodes, as its examples do. Ours: `sample`
as a user calls it, draws kept. ESS by one estimator on the same statistics of both, a second of the steps' wall time.

The reference of `gwg` (Grathwohl et al. 2021): a step takes value and gradient at x and at x', proposes by Gumbel noise
over all moves, and accepts by the energies and both proposals' probabilities. Kernels in a loop, nothing kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SIDE = 50
CHAINS = 16


def statistics(spins: np.ndarray) -> dict[str, np.ndarray]:
    """Of spins [chain, draw, SIDE, SIDE] the series [chain, draw] whose ESS is compared."""
    spins = spins.astype(np.float32)
    magnetisation = spins.mean(axis=(2, 3))
    pairs = spins * np.roll(spins, 1, 2) + spins * np.roll(spins, 1, 3)
    return {"m^2": magnetisation**2, "|m|": np.abs(magnetisation), "energy": pairs.mean(axis=(2, 3))}


# --- the other interpreter --------------------------------------------------------------------------------------


def serve(beta: float, sweeps: int, warmup: int, folder: Path) -> None:
    """thrml's side: one line of JSON for each line on standard input, the statistics of the draws in a file."""
    import jax
    import jax.numpy as jnp
    import thrml  # pyright: ignore[reportMissingImports]
    from thrml.models import (  # pyright: ignore[reportMissingImports]
        IsingEBM,
        IsingSamplingProgram,
        hinton_init,
    )

    nodes = [[thrml.SpinNode() for _ in range(SIDE)] for _ in range(SIDE)]
    flat = [node for row in nodes for node in row]
    places = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    edges = [(nodes[i][j], nodes[(i + 1) % SIDE][j]) for i, j in places]
    edges += [(nodes[i][j], nodes[i][(j + 1) % SIDE]) for i, j in places]
    model = IsingEBM(flat, edges, jnp.zeros(len(flat)), jnp.ones(len(edges)), jnp.array(beta))
    blocks = [thrml.Block([nodes[i][j] for i, j in places if (i + j) % 2 == colour]) for colour in (0, 1)]
    program = IsingSamplingProgram(model, blocks, clamped_blocks=[])
    schedule = thrml.SamplingSchedule(warmup, sweeps, 1)
    everything = [thrml.Block(flat)]

    def chain(start: Any, key: Any) -> Any:
        return thrml.sample_states(key, program, schedule, start, [], everything)

    start = hinton_init(jax.random.key(0), model, blocks, (CHAINS,))
    keys = jax.random.split(jax.random.key(1), CHAINS)
    began = time.perf_counter()
    compiled = jax.jit(jax.vmap(chain)).lower(start, keys).compile()
    jax.block_until_ready(compiled(start, keys))
    print(json.dumps({"compile": time.perf_counter() - began, "version": thrml.__version__}), flush=True)
    for number, _ in enumerate(sys.stdin):
        keys = jax.random.split(jax.random.key(2 + number), CHAINS)
        cpu, began = time.process_time(), time.perf_counter()
        (drawn,) = jax.block_until_ready(compiled(start, keys))
        spent = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        spins = 2 * np.asarray(drawn).reshape(CHAINS, sweeps, SIDE, SIDE).astype(np.int8) - 1
        np.savez(folder / "peer.npz", allow_pickle=False, **statistics(spins))
        print(json.dumps(spent), flush=True)


# --- gibbs ------------------------------------------------------------------------------------------------------


def compare_gibbs(python: str, beta: float, sweeps: int, warmup: int, rounds: int) -> None:
    """Rounds of both in turn; a line for each side and the ratio."""
    import energylang
    from energylang.run.mixing import effective_size, split_chains

    def size(series: np.ndarray) -> float:
        return float(effective_size(split_chains(series[None]))[0])

    text = f"import lattices\nenergy e(s: spin[{SIDE}, {SIDE}]) = lattices.ising_torus(s, {beta})"
    energy = energylang.compile(text)["e"]
    found: dict[str, list[tuple[float, dict[str, float]]]] = {"energylang": [], "thrml": []}
    with tempfile.TemporaryDirectory() as folder:
        # The other interpreter must not find this project's dependencies before its own.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, str(Path(__file__).resolve()), "--serve", str(beta), str(sweeps), str(warmup), folder]
        peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert peer.stdin is not None
        assert peer.stdout is not None
        hello = json.loads(peer.stdout.readline())
        print(f"thrml {hello['version']}, compiled in {hello['compile']:.1f} s")
        for number in range(rounds):
            began = time.perf_counter()
            run = energy.sample(method="gibbs", draws=sweeps, warmup=warmup, chains=CHAINS, seed=number)
            total, spent = time.perf_counter() - began, run.facts["sampling_time"]
            sizes = {name: size(series) for name, series in statistics(run["s"]).items()}
            found["energylang"].append((spent, sizes))
            if not number:
                print(f"energylang, compiled and collected in {total - spent:.1f} s")
            peer.stdin.write("\n")
            peer.stdin.flush()
            reply = json.loads(peer.stdout.readline())
            with np.load(Path(folder) / "peer.npz") as series:
                sizes = {name: size(series[name]) for name in series.files}
            found["thrml"].append((reply["wall"], sizes))
        peer.stdin.close()
        peer.wait()
    print(f"gibbs, Ising {SIDE}x{SIDE} torus, beta {beta}, {CHAINS} chains, {sweeps} sweeps kept after {warmup}")
    smallest = {side: [min(sizes.values()) / wall for wall, sizes in runs] for side, runs in found.items()}
    for side, runs in found.items():
        walls = [wall for wall, _ in runs]
        sweeping = CHAINS * (sweeps + warmup) / np.array(walls)
        parts = ", ".join(f"{name} {median(s[name] for _, s in runs):,.0f}" for name in runs[0][1])
        print(
            f"| {side} | {median(sweeping):,.0f} (best {max(sweeping):,.0f}) sweeps/s | ESS {parts}"
            f" | smallest ESS/s {median(smallest[side]):,.0f} (best {max(smallest[side]):,.0f}) |"
        )
    ratios = sorted(a / b for a, b in zip(smallest["energylang"], smallest["thrml"], strict=True))
    print(f"ratio of ESS/s, paired: median {median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


# --- gwg --------------------------------------------------------------------------------------------------------


def two_gradients(negative: Callable[[Any], Any], cardinality: int) -> Callable[[Any, Any], Any]:
    """A step of GWG with two gradients. negative: log density of float[D] of values (two of them), or of [D, k] indicators."""
    import jax
    import jax.numpy as jnp

    both = jax.value_and_grad(negative)

    def logits(x: Any) -> tuple[Any, Any]:
        if cardinality == 2:
            value, slope = both(x.astype(jnp.float32))
            return value, (1 - 2 * x) * slope / 2
        indicators = jax.nn.one_hot(x, cardinality)
        value, slope = both(indicators)
        gains = slope - (slope * indicators).sum(-1, keepdims=True)
        return value, jnp.where(indicators > 0, -jnp.inf, gains / 2).reshape(-1)

    def step(x: Any, key: Any) -> Any:
        before, forward = logits(x)
        draw, decide = jax.random.split(key)
        chosen = jax.random.categorical(draw, forward)
        if cardinality == 2:
            y, back = x.at[chosen].set(1 - x[chosen]), chosen
        else:
            site = chosen // cardinality
            y, back = x.at[site].set(chosen % cardinality), site * cardinality + x[site]
        after, backward = logits(y)
        ratio = after - before + jax.nn.log_softmax(backward)[back] - jax.nn.log_softmax(forward)[chosen]
        return jnp.where(jnp.log(jax.random.uniform(decide)) < ratio, y, x)

    return step


def models() -> dict[str, tuple[str, dict[str, Any], int, int, Callable[[Any], Any]]]:
    """Text, data, sites, cardinality, and the log density by hand."""
    import jax.numpy as jnp

    random = np.random.default_rng(2)
    weights, visible, hidden = random.normal(0, 0.05, (784, 25)), random.normal(size=784), random.normal(size=25)

    def ising(x: Any) -> Any:
        s = (2 * x - 1).reshape(SIDE, SIDE)
        return 0.3 * (jnp.sum(s * jnp.roll(s, 1, 0)) + jnp.sum(s * jnp.roll(s, 1, 1)))

    def potts(x: Any) -> Any:
        s = x.reshape(30, 30, 4)
        return jnp.sum(s * jnp.roll(s, 1, 0)) + jnp.sum(s * jnp.roll(s, 1, 1))

    def rbm(x: Any) -> Any:
        v, h = x[:784], x[784:]
        w, b, c = (jnp.asarray(a, jnp.float32) for a in (weights, visible, hidden))
        return v @ (w @ h) + b @ v + c @ h

    rbm_text = """
data W: real[V, H]
data b: real[V]
data c: real[H]
energy e(v: binary[V], h: binary[H]) = -(dot(v, W @ h) + dot(b, v) + dot(c, h))"""
    lattice = "import lattices\nenergy e(s: "
    return {
        "Ising 50x50, beta 0.3": (f"{lattice}spin[50, 50]) = lattices.ising_torus(s, 0.3)", {}, 2500, 2, ising),
        "Potts 30x30, 4 values": (f"{lattice}cat(4)[30, 30]) = lattices.potts_torus(s, 1.0)", {}, 900, 4, potts),
        "RBM 784x25": (rbm_text, {"W": weights, "b": visible, "c": hidden}, 809, 2, rbm),
    }


def compare_gwg(steps: int, rounds: int) -> None:
    """Both kernels in a loop, in turn; the same number of lanes, options of XLA and steps."""
    import jax
    import jax.numpy as jnp

    import energylang
    from energylang.methods.gwg import Gwg
    from energylang.model import Point, fold
    from energylang.run.executables import CPU_OPTIONS

    kernel = Gwg()
    for name, (text, data, sites, cardinality, negative) in models().items():
        target = energylang.compile(text, data=data)["e"].target()
        tune, _ = kernel.tuning(target)
        reference = two_gradients(negative, cardinality)

        def run(advance: Any, start: Any, target: Any = target) -> Any:
            def one(target: Any, state: Any, lane: Any, count: Any) -> Any:
                key = jax.random.key(0)
                return jax.lax.fori_loop(0, count, lambda i, s: advance(target, s, fold(key, lane, i)), state)

            lanes = jnp.arange(CHAINS, dtype=jnp.uint32)
            program = jax.jit(jax.vmap(one, in_axes=(None, 0, 0, None)))
            compiled = program.lower(target, start, lanes, np.int32(1)).compile(compiler_options=CPU_OPTIONS)
            return lambda: jax.block_until_ready(compiled(target, start, lanes, np.int32(steps)))

        code = jax.random.randint(jax.random.key(3), (CHAINS, sites), 0, cardinality, dtype=jnp.int32)
        points = Point(jnp.zeros((CHAINS, 0)), (code,))
        states = jax.jit(jax.vmap(lambda t, x: kernel.init(t, x, jax.random.key(0)), in_axes=(None, 0)))(target, points)
        sides = {
            "energylang": run(lambda t, s, key, tune=tune: kernel.step(t, tune, s, key)[0], states),
            "two gradients": run(lambda _, x, key, reference=reference: reference(x, key), code),
        }
        walls: dict[str, list[float]] = {side: [] for side in sides}
        works: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, go in sides.items():
                cpu, began = time.process_time(), time.perf_counter()
                go()
                walls[side].append(time.perf_counter() - began)
                works[side].append(time.process_time() - cpu)
        print(f"gwg, {name}, {CHAINS} lanes, {steps} steps, {rounds} rounds in turn")
        for side in sides:
            print(
                f"| {side} | {CHAINS * steps / median(walls[side]):,.0f} (best {CHAINS * steps / min(walls[side]):,.0f})"
                f" steps/s | {1e6 * min(works[side]) / steps / CHAINS:.2f} µs of CPU a step |"
            )
        for what, seconds in (("wall time", walls), ("CPU", works)):
            ratios = sorted(b / a for a, b in zip(seconds["energylang"], seconds["two gradients"], strict=True))
            print(f"ratio, {what}, paired: median {median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        beta, sweeps, warmup, folder = sys.argv[2:]
        serve(float(beta), int(sweeps), int(warmup), Path(folder))
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer-python", help="an interpreter that has thrml")
    options.add_argument("--sweeps", type=int, default=1000)
    options.add_argument("--steps", type=int, default=300)
    options.add_argument("--rounds", type=int, default=8)
    chosen = options.parse_args()
    compare_gwg(chosen.steps, 4 * chosen.rounds)
    if chosen.peer_python:
        for beta in (0.3, 0.4):
            compare_gibbs(chosen.peer_python, beta, chosen.sweeps, 200, chosen.rounds)


if __name__ == "__main__":
    main()
