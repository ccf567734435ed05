"""`gwg`, `pas`, `dmala`, `dlmc` and `dlmc_forward` against faithful JAX versions of the algorithms of DISCS (2023).

`python -m benchmarks.against_discs`. The target is DISCS's hot Ising model: 50x50, open boundary, coupling 0.5, fields
1.5 U(-1, 1) + 0.5 inside a circle and - 0.5 outside. Each peer is written from the paper's formulas as DISCS computes them: the
value and the gradient of the log density at x and at the proposal, Gumbel noise over all sites for `gwg` and `pas`, JAX's own
random numbers. It has the number of flips or the step size that our warm-up found, as constants, so that nothing is adapted on
its side, and for `pas` our bound on the number of flips. (The published code is slower than these; discrete.md of the project's notes has figures.)

Both sides are kernels in a loop, compiled before the clock starts, 16 lanes, in turn. ESS is that of the number of sites that
differ from one random configuration, by one estimator, of one long run of each side: of 1,000 steps it scatters by a third.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import energylang
from energylang.methods.dlmc import Dlmc, DlmcForward
from energylang.methods.dmala import Dmala
from energylang.methods.gwg import Gwg
from energylang.methods.pas import Pas
from energylang.model import Phase, Point, fold
from energylang.run.executables import CPU_OPTIONS
from energylang.run.mixing import effective_size, split_chains

SIDE, CHAINS = 50, 16
SITES = SIDE * SIDE
TEXT = f"""
data b: real[{SIDE}, {SIDE}]
energy e(s: spin[{SIDE}, {SIDE}]) = -0.5 * (sum(s[1:, :] * s[:-1, :]) + sum(s[:, 1:] * s[:, :-1])) + sum(b * s)
"""


def fields() -> np.ndarray:
    random = np.random.default_rng(0)
    row, column = np.meshgrid(*(np.linspace(-1, 1, SIDE),) * 2, indexing="ij")
    return 1.5 * random.uniform(-1, 1, (SIDE, SIDE)) + np.where(row**2 + column**2 < 0.5, 0.5, -0.5)


# --- the peers: steps of int32[SITES] in {0, 1} -------------------------------------------------------------------


def _log_density(x: Any) -> Any:
    s = (2.0 * x - 1.0).reshape(SIDE, SIDE)
    pairs = jnp.sum(s[1:] * s[:-1]) + jnp.sum(s[:, 1:] * s[:, :-1])
    return 0.5 * pairs - jnp.sum(jnp.asarray(fields(), jnp.float32) * s)


def _flips(x: Any) -> tuple[Any, Any]:
    """The log density and the gain of flipping each site."""
    value, slope = jax.value_and_grad(_log_density)(x.astype(jnp.float32))
    return value, (1 - 2 * x) * slope


def _decide(key: Any, log_ratio: Any, y: Any, x: Any) -> Any:
    return jnp.where(jnp.log(jax.random.uniform(key)) < log_ratio, y, x)


def gwg(flips: int) -> Callable[[Any, Any], Any]:
    """`flips` draws with replacement; what is drawn is flipped once."""

    def step(x: Any, key: Any) -> Any:
        draw, decide = jax.random.split(key)
        before, gains = _flips(x)
        forward = jax.nn.log_softmax(gains / 2)
        drawn = jax.random.categorical(draw, forward, shape=(flips,))
        y = jnp.where(jnp.zeros(SITES, bool).at[drawn].set(True), 1 - x, x)
        after, gains = _flips(y)
        backward = jax.nn.log_softmax(gains / 2)
        return _decide(decide, after - before + jnp.sum(backward[drawn] - forward[drawn]), y, x)

    return step


def pas(flips: int, most: int) -> Callable[[Any, Any], Any]:
    """`flips` sites without replacement by Gumbel noise, of `most` that are drawn, since an adaptive number is no constant.

    Plackett and Luce forward, in reverse order backward.
    """
    used = jnp.arange(most) < flips

    def ordered(logits: Any, chosen: Any, reverse: bool) -> Any:
        own = jnp.where(used, logits[chosen], -jnp.inf)
        rest = jax.nn.logsumexp(logits.at[jnp.where(used, chosen, SITES)].set(-jnp.inf, mode="drop"))
        left = jnp.logaddexp(rest, jax.lax.cumlogsumexp(own, reverse=not reverse))
        return jnp.sum(jnp.where(used, own - left, 0.0))

    def step(x: Any, key: Any) -> Any:
        draw, decide = jax.random.split(key)
        before, gains = _flips(x)
        _, chosen = jax.lax.top_k(gains / 2 + jax.random.gumbel(draw, (SITES,)), most)
        y = x.at[jnp.where(used, chosen, SITES)].set(1 - x[chosen], mode="drop")
        after, back = _flips(y)
        return _decide(
            decide, after - before + ordered(back / 2, chosen, True) - ordered(gains / 2, chosen, False), y, x
        )

    return step


def factorised(move: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Every site flips by itself. move: from gains to probabilities."""

    def log_proposal(chance: Any, changed: Any) -> Any:
        chance = jnp.clip(chance, 1e-12, 1 - 1e-7)
        return jnp.sum(jnp.where(changed, jnp.log(chance), jnp.log1p(-chance)))

    def step(x: Any, key: Any) -> Any:
        draw, decide = jax.random.split(key)
        before, gains = _flips(x)
        forward = move(gains)
        changed = jax.random.bernoulli(draw, forward)
        y = jnp.where(changed, 1 - x, x)
        after, gains = _flips(y)
        return _decide(
            decide, after - before + log_proposal(move(gains), changed) - log_proposal(forward, changed), y, x
        )

    return step


def dmala(tau: float) -> Callable[[Any, Any], Any]:
    return factorised(lambda gain: jax.nn.sigmoid(jnp.log(tau) + gain / 2))


def dlmc(tau: float) -> Callable[[Any, Any], Any]:
    def move(gain: Any) -> Any:
        share = jax.nn.sigmoid(gain)
        return share * (1 - jnp.exp(-tau * jnp.exp(gain / 2) / share))

    return factorised(move)


def dlmc_forward(tau: float) -> Callable[[Any, Any], Any]:
    return factorised(lambda gain: jnp.minimum(tau * jnp.exp(gain / 2), jax.nn.sigmoid(gain)))


PAIRS: dict[str, tuple[Any, Callable[[Any], Callable[[Any, Any], Any]]]] = {
    "gwg": (Gwg(), lambda tune: gwg(1)),
    "gwg, adaptive": (Gwg(flips=32, adaptive=True), lambda tune: gwg(max(1, round(float(tune.flips.mean()))))),
    "pas": (Pas(), lambda tune: pas(max(1, round(float(tune.flips.mean()))), Pas().longest(SITES))),
    "dmala": (Dmala(), lambda tune: dmala(float(tune.step_size.mean()))),
    "dlmc": (Dlmc(), lambda tune: dlmc(float(tune.step_size.mean()))),
    "dlmc_forward": (DlmcForward(), lambda tune: dlmc_forward(float(tune.step_size.mean()))),
}


# --- measuring ----------------------------------------------------------------------------------------------------


def warmed(kernel: Any, target: Any, steps: int) -> tuple[Any, Any]:
    """Tuning and state of every lane after warm-up."""

    def lane(target: Any, code: Any, number: Any) -> tuple[Any, Any]:
        key = fold(jax.random.key(0), number)
        off = jnp.asarray(False)

        def step(at: Any, carry: Any) -> Any:
            tune, memory, state = carry
            state, info = kernel.step(target, tune, state, fold(key, at))
            phase = Phase(~off, off, off, at == steps - 1, (at + 1) / steps)
            return (*kernel.adapt(phase, tune, memory, state, info), state)

        start = (*kernel.tuning(target), kernel.init(target, Point(jnp.zeros(0), (code,)), key))
        tune, _, state = jax.lax.fori_loop(0, steps, step, start)
        return tune, state

    code = jax.random.randint(jax.random.key(3), (CHAINS, SITES), 0, 2, dtype=jnp.int32)
    return jax.jit(jax.vmap(lane, in_axes=(None, 0, 0)))(target, code, jnp.arange(CHAINS, dtype=jnp.uint32))


def looped(advance: Callable[..., Any], where: Callable[[Any], Any], given: Any, start: Any, most: int) -> Any:
    """A call with a seed and a number of steps, at most `most`, that gives float[CHAINS, steps] of all lanes from `start`."""
    probe = jax.random.randint(jax.random.key(99), (SITES,), 0, 2, dtype=jnp.int32)

    def lane(given: Any, own: Any, number: Any, seed: Any, steps: Any) -> Any:
        key = fold(jax.random.key(seed), number)

        def step(at: Any, carry: Any) -> Any:
            state, series = carry
            state = advance(given, own[0], state, fold(key, at))
            return state, series.at[at].set((where(state) != probe).sum().astype(jnp.float32))

        return jax.lax.fori_loop(0, steps, step, (own[1], jnp.zeros(most)))[1]

    lanes = jnp.arange(CHAINS, dtype=jnp.uint32)
    program = jax.jit(jax.vmap(lane, in_axes=(None, 0, 0, None, None)))
    compiled = program.lower(given, start, lanes, np.int32(0), np.int32(1)).compile(compiler_options=CPU_OPTIONS)

    def go(seed: int, steps: int) -> Any:
        return jax.block_until_ready(compiled(given, start, lanes, np.int32(seed), np.int32(steps)))[:, :steps]

    return go


def compare(name: str, warmup: int, length: int, steps: int, rounds: int) -> None:
    """One line for each side and one for the ratio."""
    kernel, peer = PAIRS[name]
    target = energylang.compile(TEXT, data={"b": fields()})["e"].target()
    tune, state = warmed(kernel, target, warmup)
    reference = peer(tune)
    sides = {
        "energylang": looped(lambda t, u, s, k: kernel.step(t, u, s, k)[0], lambda s: s.x.code[0], target, (tune, state), length),
        "faithful": looped(lambda _, u, x, k: reference(x, k), lambda x: x, (), (jnp.zeros(CHAINS), state.x.code[0]), length),
    }  # fmt: skip
    size = {}
    for side, go in sides.items():
        series = np.asarray(go(0, length), np.float64)
        size[side] = float(effective_size(split_chains(series[None]))[0]) / series.size
    walls: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, go in sides.items():
            began = time.perf_counter()
            go(1 + number, steps)
            walls[side].append(time.perf_counter() - began)
    made = CHAINS * steps
    rates = {side: made / median(found) for side, found in walls.items()}
    gain = size["energylang"] / size["faithful"]
    ratios = sorted(gain * b / a for a, b in zip(walls["energylang"], walls["faithful"], strict=True))
    settings = ", ".join(f"{field} {float(value.mean()):.3g}" for field, value in tune._asdict().items())
    print(
        f"| `{name}` | {settings} | {rates['energylang']:,.0f} / {rates['faithful']:,.0f} | "
        f"{1000 * size['energylang']:.1f} / {1000 * size['faithful']:.1f} | "
        f"{rates['energylang'] * size['energylang']:,.0f} / {rates['faithful'] * size['faithful']:,.0f} | "
        f"{median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("methods", nargs="*", default=list(PAIRS), help="which of them")
    options.add_argument("--warmup", type=int, default=1000)
    options.add_argument(
        "--length", type=int, default=8000, help="steps for the ESS of each side, which no clock counts"
    )
    options.add_argument("--steps", type=int, default=500, help="steps of a timed round")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    print("| method | tuning | steps a second, ours / faithful | ESS per 1,000 steps | ESS a second | ratio |")
    print("|---|---|---|---|---|---|")
    for name in chosen.methods:
        compare(name, chosen.warmup, max(chosen.length, chosen.steps), chosen.steps, chosen.rounds)


if __name__ == "__main__":
    main()
