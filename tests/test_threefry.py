"""Threefry written out, against `jax.random` and against the uniform law."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from energylang.threefry import block, normals, two_uniforms, uniforms


def test_the_published_vectors() -> None:
    """Those of the authors' library (Random123, kat_vectors: threefry2x32, 20 rounds)."""
    for key, counter, expected in (
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ):
        words = block(jnp.asarray(key, jnp.uint32), *jnp.asarray(counter, jnp.uint32))
        assert tuple(int(word) for word in words) == expected


def test_uniforms_are_uniform_and_apart_from_folded_keys() -> None:
    """Kolmogorov-Smirnov at 1e-6, no two alike beyond chance, none a word of a key folded from the same key."""
    key, count = jax.random.key(11), 20_001
    drawn = np.asarray(jax.jit(uniforms, static_argnums=1)(key, count), np.float64)
    assert drawn.shape == (count,)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-6
    assert abs(np.corrcoef(drawn[:10_000], drawn[10_001:])[0, 1]) < 0.05
    folded = jax.vmap(lambda n: jax.random.key_data(jax.random.fold_in(key, n)))(jnp.arange(count // 2))
    words = np.asarray(folded).reshape(-1) >> 8
    assert len(np.intersect1d(words, (drawn * 2**24).astype(np.uint32))) < 2 * count**2 / 2**24


def test_normals_are_normal_and_streams_apart() -> None:
    """Kolmogorov-Smirnov at 1e-6 on the whole and on both tails; numbers of one stream say nothing of another's."""
    key, count = jax.random.key(12), 200_000
    drawn = np.asarray(jax.jit(normals, static_argnums=(1, 2))(key, count, 2), np.float64)
    assert stats.kstest(drawn, "norm").pvalue > 1e-6
    for tail in (drawn[drawn > 2], -drawn[drawn < -2]):
        assert stats.kstest(tail, stats.truncnorm(2, np.inf).cdf).pvalue > 1e-6
    assert np.isfinite(drawn).all()
    other = np.asarray(normals(key, count, 3), np.float64)
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 5 / np.sqrt(count)


def test_pairs_drawn_one_by_one_are_uniform_and_independent() -> None:
    key, count = jax.random.key(13), 20_000
    first, second = (np.asarray(v, np.float64) for v in jax.vmap(lambda n: two_uniforms(key, 4, n))(jnp.arange(count)))
    for drawn in (first, second):
        assert stats.kstest(drawn, "uniform").pvalue > 1e-6
        assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 5 / np.sqrt(count)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(count)


def test_another_generator_serves_too() -> None:
    key = jax.random.key(14, impl="rbg")
    assert stats.kstest(np.asarray(normals(key, 5000, 2)), "norm").pvalue > 1e-6
    assert stats.kstest(np.asarray(uniforms(key, 5000)), "uniform").pvalue > 1e-6
    pairs = np.asarray([two_uniforms(key, 3, jnp.asarray(n)) for n in range(200)])
    assert stats.kstest(pairs.ravel(), "uniform").pvalue > 1e-6
