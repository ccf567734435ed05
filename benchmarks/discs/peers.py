"""What others would run on the targets of DISCS: log densities and sweeps by hand, and DISCS's algorithms.

States are int32[D]: values of binary sites (spins: 0 and 1), or of categorical ones. Log densities by hand are functions of float[D]
for two values, else of indicators float[D, C], as DISCS differentiates them.

DISCS's algorithms (Goshvadi et al. 2023) are written from the papers' formulas, with what enumeration showed to be wrong in the
published code put right: the probability of values in PAS, conflicts of draws in categorical GWG. A step takes the value and the gradient
of the log density at x and at the proposal, JAX's own random numbers, Gumbel noise for what is drawn from all sites.
The number of flips or the step size is a constant: nothing is adapted here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.discs.targets import Target

Step = Callable[[Array, Array], Array]
"""From a state and a key to the next state."""


@dataclass(frozen=True)
class ByHand:
    """values: of a site. log_density: up to a constant. sweeps: the samplers that one would write for it, by name."""

    sites: int
    values: int
    log_density: Callable[[Array], Array]
    sweeps: dict[str, Step]


# --- the models, and sweeps that know them ------------------------------------------------------------------------


def _coin(key: Array, log_odds: Array) -> Array:
    return (jax.random.uniform(key, log_odds.shape) < jax.nn.sigmoid(log_odds)).astype(jnp.int32)


def ising(target: Target, beta: float = 0.5) -> ByHand:
    n = target.shape[0]
    b = jnp.asarray(target.data["b"], jnp.float32)
    even = jnp.asarray(np.indices((n, n)).sum(axis=0) % 2 == 0)

    def log_density(x: Array) -> Array:
        s = (2.0 * x - 1.0).reshape(n, n)
        return beta * (jnp.sum(s[1:] * s[:-1]) + jnp.sum(s[:, 1:] * s[:, :-1])) - jnp.sum(b * s)

    def checkerboard(x: Array, key: Array) -> Array:
        uniform = jax.random.uniform(key, (n, n))
        s = (2.0 * x - 1.0).reshape(n, n)
        for colour in (even, ~even):
            p = jnp.pad(s, 1)
            field = beta * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]) - b
            s = jnp.where(colour, jnp.where(uniform < jax.nn.sigmoid(2 * field), 1.0, -1.0), s)
        return (s.reshape(-1) > 0).astype(jnp.int32)

    return ByHand(n * n, 2, log_density, {"checkerboard Gibbs": checkerboard})


def potts(target: Target, beta: float = 1.0) -> ByHand:
    n, k = target.shape[0], len(target.values)
    even = jnp.asarray(np.indices((n, n)).sum(axis=0) % 2 == 0)

    def log_density(x: Array) -> Array:
        s = x.reshape(n, n, k)
        return beta * (jnp.sum(s[1:] * s[:-1]) + jnp.sum(s[:, 1:] * s[:, :-1]))

    def checkerboard(x: Array, key: Array) -> Array:
        uniform = jax.random.uniform(key, (n, n))
        s = x.reshape(n, n)
        for colour in (even, ~even):
            p = jnp.pad(s, 1, constant_values=-1)
            around = (p[2:, 1:-1], p[:-2, 1:-1], p[1:-1, 2:], p[1:-1, :-2])
            weights = [jnp.exp(beta * sum((a == value).astype(jnp.float32) for a in around)) for value in range(k)]
            passed = [weights[0]]
            for weight in weights[1:]:
                passed.append(passed[-1] + weight)
            drawn = sum((uniform * passed[-1] >= p).astype(jnp.int32) for p in passed[:-1])
            s = jnp.where(colour, drawn, s)
        return s.reshape(-1)

    return ByHand(n * n, k, log_density, {"checkerboard Gibbs": checkerboard})


def rbm(target: Target) -> ByHand:
    W, b, c = (jnp.asarray(target.data[name], jnp.float32) for name in "Wbc")
    visible, hidden = W.shape
    joint = bool(target.joint)

    def log_density(x: Array) -> Array:
        if joint:
            v, h = x[:visible], x[visible:]
            return v @ (W @ h) + b @ v + c @ h
        return b @ x + jnp.sum(jax.nn.softplus(c + x @ W))

    def layers(x: Array, key: Array) -> Array:
        one, two = jax.random.split(key)
        h = _coin(one, c + x[:visible].astype(jnp.float32) @ W)
        v = _coin(two, b + W @ h.astype(jnp.float32))
        return jnp.concatenate([v, h]) if joint else v

    return ByHand(visible + hidden * joint, 2, log_density, {"layer Gibbs": layers})


def factorial_hmm(target: Target, sigma: float = 2.0, start: float = 0.1, stay: float = 0.8) -> ByHand:
    steps, chains = target.shape
    y, w = (jnp.asarray(target.data[name], jnp.float32) for name in "yw")
    coupling, first = np.log(stay / (1 - stay)), np.log(start / (1 - start))
    even = jnp.arange(steps) % 2 == 0

    def log_density(x: Array) -> Array:
        x = x.reshape(steps, chains)
        kept = x[1:] * x[:-1] + (1 - x[1:]) * (1 - x[:-1])
        return coupling * kept.sum() + first * x[0].sum() - 0.5 * jnp.sum(((y - x @ w) / sigma) ** 2)

    def over_chains(one: Callable[[Array, Array, Array], Array]) -> Step:
        """Chains in turn, the residual carried. one: from evidence of a chain, its states and uniforms to new states."""

        def step(x: Array, key: Array) -> Array:
            x = x.reshape(steps, chains).astype(jnp.float32)

            def turn(residual: Array, own: tuple[Array, Array, Array]) -> tuple[Array, Array]:
                old, weight, uniform = own
                residual = residual + weight * old
                evidence = (residual * weight - 0.5 * weight**2) / sigma**2
                new = one(evidence.at[0].add(first), old, uniform)
                return residual - weight * new, new

            uniforms = jax.random.uniform(key, (chains, steps))
            return jax.lax.scan(turn, y - x @ w, (x.T, w, uniforms))[1].T.reshape(-1).astype(jnp.int32)

        return step

    def sites(evidence: Array, x: Array, uniform: Array) -> Array:
        for colour in (even, ~even):
            s = jnp.pad(2.0 * x - 1.0, 1)
            s = evidence + coupling * (s[2:] + s[:-2])
            x = jnp.where(colour, (uniform < jax.nn.sigmoid(s)).astype(x.dtype), x)
        return x

    def path(evidence: Array, x: Array, uniform: Array) -> Array:
        """Forward filtering of odds, backward sampling."""

        def onward(odds: Array, own: Array) -> tuple[Array, Array]:
            odds = jnp.exp(own) * (1 - stay + stay * odds) / (stay + (1 - stay) * odds)
            return odds, odds

        begin = jnp.exp(evidence[0])
        _, rest = jax.lax.scan(onward, begin, evidence[1:])
        odds = jnp.concatenate([begin[None], rest])

        def back(after: Array, own: tuple[Array, Array]) -> tuple[Array, Array]:
            here, uniform = own
            here = here * jnp.exp(coupling * after)
            new = jnp.where(uniform * (1 + here) < here, 1.0, -1.0)
            return new, new

        _, drawn = jax.lax.scan(back, jnp.zeros(()), (odds, uniform), reverse=True)
        return (drawn > 0).astype(x.dtype)

    found = {
        "forward filtering, backward sampling": over_chains(path),
        "Gibbs, half a chain at once": over_chains(sites),
    }
    return ByHand(steps * chains, 2, log_density, found)


BY_HAND: dict[str, Callable[[Target], ByHand]] = {
    "ising": ising, "potts": potts, "rbm": rbm, "rbm_joint": rbm, "fhmm": factorial_hmm,
}  # fmt: skip
"""By the names of targets."""


# --- DISCS's algorithms -------------------------------------------------------------------------------------------


class Algorithms:
    """Steps of DISCS's samplers on a log density, all with the weight sqrt."""

    def __init__(self, model: ByHand):
        self.model = model
        self.both = jax.value_and_grad(model.log_density)

    def gains(self, x: Array) -> tuple[Array, Array]:
        """The log density, and of two values float[D], the gain of the other, else float[D, C]: by the gradient."""
        if self.model.values == 2:
            value, slope = self.both(x.astype(jnp.float32))
            return value, (1 - 2 * x) * slope
        indicators = jax.nn.one_hot(x, self.model.values)
        value, slope = self.both(indicators)
        return value, slope - (slope * indicators).sum(axis=-1, keepdims=True)

    def moves(self, x: Array) -> tuple[Array, Array, Array]:
        """The log density, log weights of sites float[D], and of values given the site, normalised (of two: zeros)."""
        value, gains = self.gains(x)
        if self.model.values == 2:
            return value, gains / 2, jnp.zeros_like(gains)
        logits = jnp.where(jax.nn.one_hot(x, self.model.values) > 0, -jnp.inf, gains / 2)
        sites = jax.nn.logsumexp(logits, axis=-1)
        return value, sites, logits - sites[:, None]

    def other(self, key: Array, x: Array, values: Array) -> tuple[Array, Array]:
        """A new value for every site, and its log probability."""
        if self.model.values == 2:
            return 1 - x, jnp.zeros(x.shape)
        new = jax.random.categorical(key, values)
        return new.astype(x.dtype), at(values, new)

    def gwg(self, flips: int) -> Step:
        """`flips` draws of sites with replacement; a site that is drawn changes once."""

        def step(x: Array, key: Array) -> Array:
            draw, value, decide = jax.random.split(key, 3)
            before, sites, values = self.moves(x)
            forward = jax.nn.log_softmax(sites)
            drawn = jax.random.categorical(draw, forward, shape=(flips,))
            new, log_new = self.other(value, x, values)
            changed = jnp.zeros(x.shape, bool).at[drawn].set(True)
            y = jnp.where(changed, new, x)
            after, sites, values = self.moves(y)
            backward = jax.nn.log_softmax(sites)
            log_old = jnp.zeros(x.shape) if self.model.values == 2 else at(values, x)
            ratio = after - before + jnp.sum(backward[drawn] - forward[drawn])
            return decided(decide, ratio + jnp.sum(jnp.where(changed, log_old - log_new, 0.0)), y, x)

        return step

    def pas(self, flips: int, most: int) -> Step:
        """`flips` sites without replacement by Gumbel noise, of `most` that are drawn, since an adaptive number is no constant.

        Plackett and Luce forward, in reverse order backward.
        """
        used = jnp.arange(most) < flips
        count = self.model.sites

        def ordered(logits: Array, chosen: Array, reverse: bool) -> Array:
            own = jnp.where(used, logits[chosen], -jnp.inf)
            rest = jax.nn.logsumexp(logits.at[jnp.where(used, chosen, count)].set(-jnp.inf, mode="drop"))
            left = jnp.logaddexp(rest, jax.lax.cumlogsumexp(own, reverse=not reverse))
            return jnp.sum(jnp.where(used, own - left, 0.0))

        def step(x: Array, key: Array) -> Array:
            draw, value, decide = jax.random.split(key, 3)
            before, forward, values = self.moves(x)
            _, chosen = jax.lax.top_k(forward + jax.random.gumbel(draw, (count,)), most)
            new, log_new = self.other(value, x, values)
            y = x.at[jnp.where(used, chosen, count)].set(new[chosen], mode="drop")
            after, backward, values = self.moves(y)
            log_old = jnp.zeros(x.shape) if self.model.values == 2 else at(values, x)
            ratio = after - before + ordered(backward, chosen, True) - ordered(forward, chosen, False)
            return decided(decide, ratio + jnp.sum(jnp.where(y != x, log_old - log_new, 0.0)), y, x)

        return step

    def factorised(self, move: Callable[[Array], Array], moves: Callable[[Array], Array]) -> Step:
        """Every site by itself. move: from gains to probabilities of the other value; moves: of all values but the current."""

        def two(x: Array, key: Array) -> Array:
            def log_proposal(chance: Array, changed: Array) -> Array:
                chance = jnp.clip(chance, 1e-12, 1 - 1e-7)
                return jnp.sum(jnp.where(changed, jnp.log(chance), jnp.log1p(-chance)))

            draw, decide = jax.random.split(key)
            before, gains = self.gains(x)
            forward = move(gains)
            changed = jax.random.bernoulli(draw, forward)
            y = jnp.where(changed, 1 - x, x)
            after, gains = self.gains(y)
            ratio = after - before + log_proposal(move(gains), changed) - log_proposal(forward, changed)
            return decided(decide, ratio, y, x)

        def laws(x: Array) -> tuple[Array, Array]:
            value, gains = self.gains(x)
            current = jax.nn.one_hot(x, self.model.values) > 0
            moving = jnp.where(current, 0.0, moves(gains))
            stay = 1.0 - moving.sum(axis=-1, keepdims=True)
            return value, jnp.log(jnp.clip(jnp.where(current, stay, moving), 1e-12, 1.0))

        def several(x: Array, key: Array) -> Array:
            draw, decide = jax.random.split(key)
            before, forward = laws(x)
            y = jax.random.categorical(draw, forward).astype(x.dtype)
            after, backward = laws(y)
            return decided(decide, after - before + jnp.sum(at(backward, x) - at(forward, y)), y, x)

        return two if self.model.values == 2 else several

    def dmala(self, tau: float) -> Step:
        def moves(gains: Array) -> Array:
            weights = tau * jnp.exp(gains / 2)
            # The current value, whose gain is zero, has weight one.
            return weights / (weights.sum(axis=-1, keepdims=True) - tau + 1.0)

        return self.factorised(lambda gain: jax.nn.sigmoid(jnp.log(tau) + gain / 2), moves)

    def dlmc(self, tau: float) -> Step:
        def jump(share: Array, gain: Array) -> Array:
            return share * (1 - jnp.exp(-tau * jnp.exp(gain / 2) / share))

        return self.factorised(
            lambda gain: jump(jax.nn.sigmoid(gain), gain), lambda gains: jump(jax.nn.softmax(gains), gains)
        )

    def dlmc_forward(self, tau: float) -> Step:
        return self.factorised(
            lambda gain: jnp.minimum(tau * jnp.exp(gain / 2), jax.nn.sigmoid(gain)),
            lambda gains: jnp.minimum(tau * jnp.exp(gains / 2), jax.nn.softmax(gains)),
        )


def at(table: Array, values: Array) -> Array:
    return jnp.take_along_axis(table, values[:, None], axis=1)[:, 0]


def decided(key: Array, log_ratio: Array, y: Array, x: Array) -> Array:
    return jnp.where(jnp.log(jax.random.uniform(key)) < log_ratio, y, x)
