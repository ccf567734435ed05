"""The rows of training: every one once an epoch, held out or trained on, the same whoever sends them."""

from __future__ import annotations

import jax
import numpy as np

from energylang.run import keys
from energylang.run.batches import Batches, split
from energylang.threefry import folded, permutation
from tests.support.invariance import seed

ROOT = keys.root_data(7)


def test_keys_are_folded_on_the_host_as_jax_does() -> None:
    key = jax.random.fold_in(jax.random.fold_in(keys.root_key(ROOT), 5), 123456)
    assert np.array_equal(folded(ROOT, 5, 123456), jax.random.key_data(key))


def test_permutations_are_permutations_and_all_are_as_likely() -> None:
    assert np.array_equal(np.sort(permutation(ROOT, 1000)), np.arange(1000))
    root = keys.root_data(seed("permutations"))
    drawn = [tuple(permutation(folded(root, number), 4).tolist()) for number in range(4800)]
    counts = np.array([drawn.count(each) for each in set(drawn)])
    assert len(counts) == 24
    # Chi-square of 23 degrees of freedom: above 84 once in 10^8.
    assert np.sum((counts - 200) ** 2) / 200 < 84
    # The twin that shifts one order by a keyed number has every row in every place as often, and no more than four orders.
    assert len({tuple(np.roll(np.arange(4), n).tolist()) for n in range(24)}) == 4


def test_an_epoch_has_every_row_once() -> None:
    data = {"x": np.arange(10.0) * 2}
    rows = Batches(data, np.arange(10)[1:], 4, ROOT)
    some = rows.some(0, 9)
    assert some.dtype == np.int32
    order = some[:9].ravel()
    epochs = order.reshape(4, 9)
    assert all(np.array_equal(np.sort(epoch), np.arange(9)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert np.array_equal(rows.some(5, 2)[:2], some[5:7]), "no step depends on those that are asked for with it"
    sent = Batches(data, np.arange(10)[1:], 4, ROOT, resident=False)
    for at in range(9):
        here = rows.taken(rows.stacked(rows.whole(), some, 9), at)["x"]
        assert np.array_equal(here, sent.taken(sent.stacked({}, sent.some(0, 9), 9), at)["x"])
        assert np.array_equal(here, 2 * (order.reshape(9, 4)[at] + 1))


def test_rows_are_held_out_or_trained_on() -> None:
    found = split(9001, 32, 5000, ROOT)
    assert [block.size for block in found.held] == [2500, 2500]
    assert np.array_equal(np.sort(np.concatenate([found.trained, *found.held])), np.arange(9001))
    assert split(100, None, 0.1, ROOT).trained.size == 90
    assert not np.array_equal(split(100, None, 0.1, ROOT).trained, split(100, None, 0.1, keys.root_data(8)).trained)
    assert split(100, None, None, ROOT).held == ()
