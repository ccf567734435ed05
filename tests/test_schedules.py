"""Schedules against their papers' formulas in fifty digits; energies with levels."""

from __future__ import annotations

import jax
import mpmath as mp
import numpy as np
import pytest

import energylang as el
from energylang.lower.evaluate import evaluate

LEVELS = [1e-4, 0.03, 0.5, 0.97, 0.9999]


def cosine(t, offset=0.008):
    def f(t):
        return mp.cos((t + offset) / (1 + mp.mpf(offset)) * mp.pi / 2) ** 2

    return f(t) / f(mp.mpf(0))


def linear(t, low=0.1, high=20.0):
    return mp.exp(-low * t - (high - low) * t**2 / 2)


def sigmoid(t, start=-3.0, end=3.0, temperature=1.0):
    def logistic(x):
        return 1 / (1 + mp.exp(-x / temperature))

    ends = logistic(mp.mpf(end)) - logistic(mp.mpf(start))
    return (logistic(mp.mpf(end)) - logistic(start + t * (mp.mpf(end) - start))) / ends


def geometric(t, low=0.01, high=50.0):
    return 1 / (1 + (low * (mp.mpf(high) / low) ** t) ** 2)


SCHEDULES = {
    "cosine()": cosine,
    "cosine(offset = 0.1, levels = 20)": lambda t: cosine(t, mp.mpf(0.1)),
    "linear()": linear,
    "linear(beta_min = 1, beta_max = 5)": lambda t: linear(t, 1, 5),
    "sigmoid()": sigmoid,
    "sigmoid(start = 0, temperature = 0.7)": lambda t: sigmoid(t, 0.0, 3.0, mp.mpf(0.7)),
    "geometric()": geometric,
    "geometric(sigma_min = 0.1, sigma_max = 2)": lambda t: geometric(t, mp.mpf(0.1), 2),
}


@pytest.mark.parametrize("written", SCHEDULES)
def test_formulas(written):
    """To 1e-5 in single precision, at both ends too: no difference of nearly equal numbers, but of logs."""
    model = el.compile(
        f"schedule noise = {written}\ndata ts: real[N]\nlet a = noise.alpha_bar(ts)\nlet s = noise.sigma(ts)\n"
        "let r = noise.log_snr(ts)\nenergy e(x: real @ t: noise) {\n  += x^2\n  report alpha = noise.alpha_bar(t)\n"
        "  report sigma = noise.sigma(t)\n  report ratio = noise.log_snr(t)\n}",
        data={"ts": LEVELS},
    )
    node = model["e"].node
    values = [report.value for report in node.reports]
    reports = jax.jit(lambda t: evaluate(values, {node.level: t}, {}))
    with mp.workdps(50):
        for i, t in enumerate(LEVELS):
            # The level as single precision has it.
            for x, tolerance, found in (
                (t, 1e-12, [model.bound.values[n][i] for n in "asr"]),
                (float(np.float32(t)), 1e-5, reports(np.float32(t))),
            ):
                alpha = SCHEDULES[written](mp.mpf(x))
                wanted = [alpha, mp.sqrt(1 - alpha), mp.log(alpha / (1 - alpha))]
                rounding = 0.0
                if tolerance > 1e-9:
                    # What the rounding of 1 - t to single precision does where almost nothing is left of the data.
                    rounding = 1e-7 / (1 - x)
                for a, b in zip(found, wanted, strict=True):
                    assert float(a) == pytest.approx(float(b), rel=tolerance + 2 * rounding, abs=tolerance)


def test_ends():
    """At the data there is no noise, and at the noise no data, where a schedule goes all the way."""
    for written in ("cosine()", "linear()", "sigmoid()"):
        model = el.compile(
            f"schedule noise = {written}\nlet a = noise.alpha_bar(0)\nlet s = noise.sigma(0)\nlet z = noise.alpha_bar(1)\n"
            "energy e(x: real) = x^2"
        )
        values = model.bound.values
        assert (float(values["a"]), float(values["s"])) == (1.0, 0.0)
        assert float(values["z"]) < 1e-4


GAUSSIAN = """
schedule noise = cosine(levels = 50)
const s = 3

# The diffused energy of a normal of deviation s around 1.
energy one(x: real[2] | shift: real @ t: noise) {
  let a = noise.alpha_bar(t)
  += sum((x - shift - sqrt(a))^2) / (2 * (a * s^2 + noise.sigma(t)^2))
}

energy sum_of_two(x: real[2], y: real[3, 2] @ t: noise) =
  one(x | 0, t = t) + sum(one(y | [0, 1, 2], t = 0.5 * t)) + 100 * one(x, t = 0.25 | shift = 1)

sample one on (shift = 1, t = 0.5) with nuts()
"""


def by_hand(x, shift, t):
    a = float(cosine(mp.mpf(t)))
    return np.sum((np.asarray(x) - np.asarray(shift) - np.sqrt(a)) ** 2, axis=-1) / (2 * (a * 9 + 1 - a))


def test_levels_of_calls():
    model = el.compile(GAUSSIAN)
    x, y = np.array([0.5, 2.0]), np.array([[0.1, 1.0], [2.0, -1.0], [0.3, 0.2]])
    for t in (0.0, 0.3, 1.0):
        wanted = by_hand(x, 0, t) + np.sum(by_hand(y, np.array([[0], [1], [2]]), 0.5 * t)) + 100 * by_hand(x, 1, 0.25)
        assert float(model["sum_of_two"](x=x, y=y, t=t)) == pytest.approx(float(wanted), rel=2e-5)
    assert float(model["one"](x=x, shift=0.0)) == pytest.approx(float(by_hand(x, 0, 0)), rel=1e-5)


def test_tasks_take_a_level():
    """The variance of the draws says at which level they were drawn; without a level it is the data's."""
    model = el.compile(GAUSSIAN)
    exact = {t: float(cosine(mp.mpf(t)) * 9 + 1 - cosine(mp.mpf(t))) for t in (0.0, 0.5, 1.0)}
    for on, t in (({}, 0.5), ({"t": 1.0}, 1.0)):
        plan = model.plan("sample", "one", on=on)
        target = plan.energy.compiled.target()
        assert plan.bindings["t"] == t
        curvature = jax.hessian(lambda x, target=target: -target.log_density(x))(
            el.model.Point(np.zeros(2, np.float32), ())
        )
        assert float(curvature.real.real[0, 0]) == pytest.approx(1 / exact[t], rel=1e-5)
    plan = model.plan("evidence", "sum_of_two")
    assert plan.bindings["t"] == 0.0
    with pytest.raises(el.DiagnosticError, match="E0704"):
        model.plan("sample", "one", on={"t": 1.5})


def test_a_level_as_a_condition_of_a_normalised_energy():
    model = el.compile(
        "schedule noise = geometric()\n"
        "distribution blurred(x: real | mu: real @ t: noise) =\n"
        "  0.5 * ((x - mu) / (1 + noise.sigma(t)))^2 + log(1 + noise.sigma(t)) + 0.5 * log(2 * pi)\n"
        "energy e(x: real[3] @ t: noise) {\n  x ~ blurred(2, t = t)\n}"
    )
    assert model["e"].node.traits.normalised
    sigma = 1 + np.sqrt(float(1 - geometric(mp.mpf(0.4))))
    wanted = 3 * (0.5 * (1 / sigma) ** 2 + np.log(sigma) + 0.5 * np.log(2 * np.pi))
    assert float(model["e"](x=[3.0, 3.0, 1.0], t=0.4)) == pytest.approx(wanted, rel=1e-5)


def test_schedules_are_equal_by_what_they_are():
    model = el.compile(
        "schedule a = cosine(levels = 10)\nschedule b = cosine(offset = 0.008, levels = 10)\nschedule c = cosine()\n"
        "energy e(x: real @ t: a) = x^2\nenergy f(x: real @ t: b) = x^2\nenergy g(x: real @ t: c) = x^2"
    )
    e, f, g = (model.program.energies[n].level.schedule for n in "efg")
    assert e == f
    assert e != g


def test_schedules_of_modules(tmp_path):
    (tmp_path / "noises.energy").write_text(
        "schedule noise = linear()\nenergy e(x: real @ t: noise) = noise.alpha_bar(t) * x^2\n"
    )
    (tmp_path / "model.energy").write_text(
        "import noises\nenergy f(x: real @ s: noises.noise) = noises.e(x, t = s) + 1\n"
    )
    assert float(el.load(tmp_path / "model.energy")["f"](x=2.0, s=0.3)) == pytest.approx(
        1 + 4 * float(linear(mp.mpf(0.3))), rel=1e-5
    )


def test_compositions_share_a_level():
    """Equal schedules are one level, renamed where the names differ; factors are those of the level."""
    model = el.compile(
        "schedule noise = cosine()\nschedule same = cosine()\n"
        "energy a(x: real @ t: noise) = x^2 * noise.alpha_bar(t)\nenergy b(x: real @ s: same) = 3 * x * s\n"
        "energy both = temper(product(a, rename(b, s = t)), 2)\nenergy one(x: real) = both(x, t = 0.5)"
    )
    wanted = 2 * (4 * float(cosine(mp.mpf(0.25))) + 3 * 2 * 0.25)
    assert model["both"].node.level.name == "t"
    assert float(model["both"](x=2.0, t=0.25)) == pytest.approx(wanted, rel=1e-5)
    assert float(model["one"](x=2.0)) == pytest.approx(2 * (4 * float(cosine(mp.mpf(0.5))) + 3), rel=1e-5)
