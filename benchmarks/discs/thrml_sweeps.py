"""thrml's sampling of the targets of DISCS, in an interpreter that has thrml; imports nothing of this project.

`python thrml_sweeps.py FOLDER NAME SWEEPS`: reads FOLDER/thrml.npz (the model's data, `start`: states int[chains, D], `reference`);
for each line on standard input, a seed, draws SWEEPS states of every chain, leaves their distances to the reference, float[chains, SWEEPS],
and the last states in FOLDER/drawn.npz, and answers with the seconds.

Two blocks, colours of a lattice or layers of a machine; chains under one `vmap`, jitted, `sample_states` of all nodes, as its examples do.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import thrml  # pyright: ignore[reportMissingImports]
from thrml import models  # pyright: ignore[reportMissingImports]


def lattice(n: int, node: Any) -> tuple[list[Any], np.ndarray, list[np.ndarray]]:
    """Nodes, edges int[E, 2], and the places of both colours."""
    nodes = [node() for _ in range(n * n)]
    place = np.arange(n * n).reshape(n, n)
    pairs = [(place[1:], place[:-1]), (place[:, 1:], place[:, :-1])]
    edges = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in pairs])
    colour = np.indices((n, n)).sum(axis=0).ravel() % 2
    return nodes, edges, [np.flatnonzero(colour == c) for c in (0, 1)]


def spins(nodes: list[Any], edges: np.ndarray, weights: Any, biases: Any, blocks: list[Any]) -> Any:
    pairs = [(nodes[a], nodes[b]) for a, b in edges.tolist()]
    model = models.IsingEBM(nodes, pairs, jnp.asarray(biases), jnp.asarray(weights), jnp.array(1.0))
    return models.IsingSamplingProgram(model, blocks, clamped_blocks=[])


def program(name: str, data: dict[str, np.ndarray]) -> tuple[Any, list[Any], list[np.ndarray], type]:
    """The sampling program, its nodes, the places of its blocks, and the type of a state."""
    if name == "ising":
        b = data["b"].astype(np.float32)
        nodes, edges, places = lattice(len(b), thrml.SpinNode)
        weights, biases = np.full(len(edges), 0.5, np.float32), -b.ravel()
    elif name == "rbm_joint":
        # Of zeros and ones x = (1 + s) / 2.
        W, b, c = (data[key].astype(np.float32) for key in "Wbc")
        visible, hidden = W.shape
        nodes = [thrml.SpinNode() for _ in range(visible + hidden)]
        rows, columns = np.indices(W.shape)
        edges = np.stack([rows.ravel(), visible + columns.ravel()], axis=1)
        places = [visible + np.arange(hidden), np.arange(visible)]
        weights = W.ravel() / 4
        biases = np.concatenate([b / 2 + W.sum(axis=1) / 4, c / 2 + W.sum(axis=0) / 4])
    else:
        n = int(np.sqrt(data["start"].shape[1]))
        nodes, edges, places = lattice(n, thrml.CategoricalNode)
        blocks = [thrml.Block([nodes[i] for i in part]) for part in places]
        ends = [thrml.Block([nodes[i] for i in edges[:, side]]) for side in (0, 1)]
        factor = models.SquareCategoricalEBMFactor(ends, jnp.tile(jnp.eye(4), (len(edges), 1, 1)))
        spec = thrml.BlockGibbsSpec(blocks, [], {thrml.CategoricalNode: jax.ShapeDtypeStruct((), jnp.uint8)})
        samplers = [models.CategoricalGibbsConditional(4) for _ in blocks]
        return thrml.FactorSamplingProgram(spec, samplers, [factor], []), nodes, places, jnp.uint8
    blocks = [thrml.Block([nodes[i] for i in part]) for part in places]
    return spins(nodes, edges, weights, biases, blocks), nodes, places, jnp.bool_


def main() -> None:
    folder, name, sweeps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with np.load(folder / "thrml.npz") as given:
        data = dict(given)
    made, nodes, places, kind = program(name, data)
    start = [jnp.asarray(data["start"][:, part]).astype(kind) for part in places]
    schedule = thrml.SamplingSchedule(1, sweeps, 1)
    everything = [thrml.Block(nodes)]

    def chain(start: Any, key: Any) -> Any:
        return thrml.sample_states(key, made, schedule, start, [], everything)

    chains = len(data["start"])
    keys = jax.random.split(jax.random.key(1), chains)
    compiled = jax.jit(jax.vmap(chain)).lower(start, keys).compile()
    jax.block_until_ready(compiled(start, keys))
    print(json.dumps({"version": thrml.__version__}), flush=True)
    for line in sys.stdin:
        keys = jax.random.split(jax.random.key(int(line)), chains)
        cpu, began = time.process_time(), time.perf_counter()
        (drawn,) = jax.block_until_ready(compiled(start, keys))
        spent = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        states = np.asarray(drawn).reshape(chains, sweeps, len(nodes))
        reference = data["reference"].ravel()
        distance = (states[:, :, : len(reference)] != reference).sum(axis=2)
        np.savez(folder / "drawn.npz", distance=distance, last=states[:, :: max(1, sweeps // 20)].astype(np.int32))
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
