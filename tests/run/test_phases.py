"""Warm-up windows against Stan's and blackjax's."""

from __future__ import annotations

import numpy as np
import pytest
from blackjax.adaptation.window_adaptation import build_schedule

from energylang.run.phases import schedule, windows


def test_windows_of_a_thousand_steps_are_those_of_stan() -> None:
    assert windows(1000) == (75, 950, [99, 149, 249, 449, 949])


def test_short_warmups_scale_as_in_stan() -> None:
    assert windows(0) == (0, 0, [])
    assert windows(19) == (19, 19, [])
    assert windows(100) == (15, 90, [89])
    assert windows(20) == (3, 18, [17])


@pytest.mark.parametrize("warmup", [20, 21, 50, 100, 149, 150, 151, 174, 175, 199, 200, 333, 500, 1000, 2000, 5000])
def test_windows_are_those_of_blackjax(warmup: int) -> None:
    expected = np.array(build_schedule(warmup))
    phases = schedule(0, warmup, warmup)
    np.testing.assert_array_equal(phases.slow, expected[:, 0] == 1)
    np.testing.assert_array_equal(phases.window_end, expected[:, 1] == 1)


def test_a_schedule_can_begin_anywhere() -> None:
    whole, part = schedule(0, 1100, 1000), schedule(940, 100, 1000)
    for all_steps, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(all_steps[940:1040], some)
    assert np.flatnonzero(whole.last).tolist() == [999]
    assert whole.warming.sum() == 1000
    assert whole.progress[0] == pytest.approx(1e-3)
    assert whole.progress[999:].tolist() == [1.0] * 101
