"""Flows: every layer against its dense Jacobian, masses on grids, draws against densities, and what trains."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el
from energylang.catalog import LAYERS, Layer
from energylang.check import check_source
from energylang.cli.flow_layers import flow_layers, flow_lines
from energylang.diagnostics import DiagnosticError, Diagnostics
from energylang.lower.flows.bijection import Leaf, Moved
from energylang.lower.flows.chain import chain, own
from energylang.source import Source

LAYERS_TRIED = {
    "affine": "affine", "affine net": "affine([5])", "actnorm": "actnorm", "permute": "permute",
    "reverse": "permute(order = reverse)", "linear": "linear", "coupling affine": "coupling(affine, [6], act = tanh)",
    "coupling spline": "coupling(spline(bins = 4, bound = 3), [6])", "autoregressive": "autoregressive(affine, [7, 7])",
    "draws fast": "autoregressive(spline(bins = 3), [7], fast = draw)", "exp": "exp", "sigmoid": "sigmoid",
    "log": "exp |> log", "logit": "sigmoid |> logit", "repeat": "repeat(3, permute |> coupling(affine, [4]) |> actnorm)",
}  # fmt: skip
ENDS = {"exp": "positive", "sigmoid": "unit"}


def moved_params(energy, scale=0.5):
    """The energy with params that are nowhere zero."""
    random = np.random.default_rng(3)
    starts = energy.unconstrained_params
    kind = jnp.result_type(float)
    return energy.with_params({n: np.asarray(v + scale * random.normal(size=v.shape), kind) for n, v in starts.items()})


def at(energy, **values):
    """The energy, compiled: operation by operation it would take longer."""
    return float(jax.jit(lambda energy, values: energy(**values))(energy.compiled, values))


def flow_of(energy):
    return energy.compiled.program.moved[0].flow


@pytest.mark.parametrize("name", LAYERS_TRIED)
def test_layers(name):
    """There and back, and the log-determinants of both ways against dense Jacobians, in float64."""
    reads = name in ("affine net", "coupling spline", "autoregressive", "draws fast", "repeat")
    conditions = " | c: real[2], k: cat(3)" if reads else ""
    with jax.enable_x64(True):
        source = f"flow f(z: {ENDS.get(name, 'real')}[3]{conditions}) = normal |> {LAYERS_TRIED[name]}\n"
        energy = moved_params(el.compile(source)["f"])
        flow = flow_of(energy)
        made, params = chain(flow, {}), own(flow, {}, energy.params)
        beside = jnp.array([[0.3, -0.7, 0.0, 1.0, 0.0]] * 4).T if conditions else None
        z = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)) * 1.5)

        @jax.jit
        def both(params, z):
            there = made.forward(params, z, beside, None)
            back = made.inverse(params, there.value, beside, None)

            def one(row, i):
                given = None if beside is None else beside[:, i][:, None]
                return made.forward(params, row[:, None], given, None).value[:, 0]

            dense = jax.vmap(jax.jacfwd(one), in_axes=(1, 0))(z, jnp.arange(4))
            return there, back, jnp.linalg.slogdet(dense)[1]

        there, back, dense = both(params, z)
        np.testing.assert_allclose(back.value, z, atol=1e-9)
        np.testing.assert_allclose(there.log_det, dense, atol=1e-9)
        np.testing.assert_allclose(back.log_det, -dense, atol=1e-9)
        assert np.abs(np.asarray(dense)).max() > 0.05 or name in ("permute", "reverse", "log", "logit")


# --- one flow of two numbers, with everything that it must keep --------------------------------------------------

SPLINE = """
data c: real[2] = [0.5, -1]
flow f(z: real[2] | c: real[2]) = mixture(3) |> repeat(3, coupling(spline(bins = 5, bound = 4), [8])) |> linear |> affine([4])
energy e(x: real[2], y: real[2]) {
  x ~ f(c)
  y ~ normal(x, 1)
  report again ~ f(y)
}
sample f on (c = c)
"""


@cache
@cache
def spline():
    model = el.compile(SPLINE)
    return moved_params(model["e"], 0.1)


@cache
def density():
    """(float[B, 2] points) -> log density of x at params that are not those of the start, and the start's."""
    energy = spline()
    program = energy.compiled.program
    term = energy.node.laws[0].energy

    def energies(params, points):
        whole = energy.compiled.with_params(params)
        return jax.vmap(lambda x: whole.evaluated([term], {"x": x, "y": x})[0])(points)

    assert program.energy is energy.node
    return jax.jit(energies)


def grid(reach=11.0, count=160):
    ticks = np.linspace(-reach, reach, count)
    points = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(points, jnp.float32), (ticks[1] - ticks[0]) ** 2


def test_mass_is_one_trained_and_untrained():
    points, area = grid()
    start = el.compile(SPLINE)["e"].unconstrained_params
    for params in (start, spline().unconstrained_params):
        mass = float(np.exp(-np.asarray(density()(params, points), np.float64)).sum() * area)
        assert 0.999 < mass < 1.001


def moments_from_grid(sign=1.0):
    """Means of some functions by the grid. sign = -1: of a density whose log-determinants have the wrong sign."""
    energy = spline()
    points, area = grid()
    node = energy.compiled.program.moved[0]
    found = np.exp(-np.asarray(density()(energy.unconstrained_params, points), np.float64))
    if sign < 0:
        log_det = jax.jit(
            lambda points: jax.vmap(lambda x: energy.compiled.evaluated([_second(energy)], {"x": x, "y": x})[0])(points)
        )(points)
        found *= np.exp(-2.0 * np.asarray(log_det, np.float64))
        found /= found.sum() * area
    assert node.inverse
    return np.asarray([np.sum(found * f(np.asarray(points, np.float64))) * area for f in FUNCTIONS])


def _second(energy):
    """The log-determinant in the energy of x."""
    from energylang.ir.nodes import Output, walk

    return next(e for e in walk(energy.node.laws[0].energy) if isinstance(e, Output) and e.place == 1)


FUNCTIONS = (
    lambda x: x[:, 0], lambda x: x[:, 1], lambda x: np.tanh(x[:, 0]), lambda x: np.cos(x[:, 0] + x[:, 1]),
    lambda x: np.sin(2 * x[:, 1]), lambda x: np.exp(-0.5 * np.sum(x**2, axis=1)),
)  # fmt: skip


def test_draws_have_the_density():
    """Means over 60,000 exact draws within 5 standard errors of the grid's; wrong signs of log-determinants are seen."""
    energy = spline()
    seed = crc32(b"test_draws_have_the_density")
    run = energy.sample(method="direct", draws=15_000, chains=4, seed=seed)
    x = np.asarray(run["x"], np.float64).reshape(-1, 2)
    sampled = np.stack([f(x) for f in FUNCTIONS])
    error = sampled.std(axis=1) / np.sqrt(len(x))
    assert (np.abs(sampled.mean(axis=1) - moments_from_grid()) < 5 * error + 1e-4).all()
    assert (np.abs(sampled.mean(axis=1) - moments_from_grid(-1.0)) > 20 * error).any()
    assert run["again"].shape == (4, 15_000, 2)


def test_gradients_against_finite_differences():
    with jax.enable_x64(True):
        source = (
            "flow f(z: real[3] | c: real) = normal |> coupling(spline(bins = 3), [4]) |> autoregressive(affine, [5])"
        )
        energy = moved_params(el.compile(source)["f"], 0.3)
        points = {"z": np.random.default_rng(5).normal(size=(6, 3)), "c": np.linspace(-1, 1, 6)}
        loss = jax.jit(lambda params: jnp.mean(energy.with_params(params).compiled.rows(points)))
        params = energy.unconstrained_params
        slope = jax.jit(jax.grad(loss))(params)
        random = np.random.default_rng(6)
        way = {n: random.normal(size=v.shape) for n, v in params.items()}
        exact = sum(float(np.vdot(slope[n], way[n])) for n in params)
        ends = [float(loss({n: params[n] + h * way[n] for n in params})) for h in (1e-5, -1e-5)]
        assert exact == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
        # all rows as one batch, and every row by itself
        each = jax.jit(jax.vmap(lambda z, c: energy(z=z, c=c)))(points["z"], points["c"])
        np.testing.assert_allclose(energy.compiled.rows(points), each, rtol=1e-10)


# --- training -----------------------------------------------------------------------------------------------------


def test_training_beats_the_fitted_gaussian():
    """Eight Gaussians on a circle: below the entropy of the normal law with their moments, and the mass stays one."""
    random = np.random.default_rng(crc32(b"test_training_beats_the_fitted_gaussian"))
    angle = random.integers(0, 8, 2000) * np.pi / 4
    x = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.3 * random.normal(size=(2000, 2))
    model = el.compile(
        "data x: real[N, d]\nflow f(z: real[d]) = normal |> actnorm |> repeat(4, coupling(spline(bins = 8), [24]))\n"
        "train f on (z = x) with mle(), steps = 250, batch = 256",
        data={"x": x},
    )  # fmt: skip
    training = model.train()
    gaussian = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.cov(x.T)))
    assert training.loss < gaussian - 0.4
    # `actnorm` began at the first batch
    assert training.trace["loss"][0] < gaussian + 0.2
    learned = model["f"].with_params(training.params)
    points, area = grid(7.0, 160)
    energies = jax.jit(lambda points: learned.compiled.rows({"z": points}))(points)
    assert float(np.exp(-np.asarray(energies, np.float64)).sum() * area) == pytest.approx(1.0, abs=1e-3)


def test_actnorm_begins_from_the_batch():
    model = el.compile("flow f(z: real[2]) = normal |> affine |> repeat(2, actnorm |> permute)")
    x = np.random.default_rng(2).normal([3.0, -1.0], [0.5, 4.0], (500, 2)).astype(np.float32)
    begun = model["f"].compiled.begun({"z": x}, jax.random.key(0))
    flow = begun.program.moved[0].flow
    z = chain(flow, {}).inverse(own(flow, {}, begun.params), jnp.asarray(x.T), None, None).value
    np.testing.assert_allclose(z.mean(axis=1), 0.0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=1), 1.0, atol=1e-4)


# --- in the language ----------------------------------------------------------------------------------------------


def test_flows_are_energies():
    """Products, mixtures, fixed conditions, calls and `~` on data, against the density of the flow itself."""
    model = el.compile(
        "data x: real[N, 2] = [[0.1, 2], [-1, 0.5], [1, 1]]\n"
        "flow f(z: real[2]) = normal |> coupling(affine, [4])\n"
        "flow g(w: real[2] | z: real[2]) = normal |> affine([])\n"
        "flow h(z: real[2]) = f |> affine\n"
        "flow u(z: unit[2]) = uniform |> logit |> affine |> sigmoid\n"
        "energy pair = product(f, g)\n"
        "energy both = mixture(f, h, weights = [0.3, 0.7])\n"
        "energy fixed = condition(g, z = [1, 2])\n"
        "energy level(s: positive) {\n  s ~ exponential(1)\n  x ~ f()\n  += 2 * sum(f(x))\n}\n"
    )  # fmt: skip
    z, w = jnp.array([0.4, -0.3]), jnp.array([1.0, 0.2])
    f, g = moved_params(model["f"]), moved_params(model["g"])
    both = {**f.unconstrained_params, **g.unconstrained_params}

    def shared(name):
        energy = model[name]
        return energy.with_params({n: both.get(n, v) for n, v in energy.unconstrained_params.items()})

    near, far = at(f, z=z), at(g, w=w, z=z)
    assert at(shared("pair"), z=z, w=w) == pytest.approx(near + far, rel=1e-5)
    assert at(shared("fixed"), w=w) == pytest.approx(at(g, w=w, z=jnp.array([1.0, 2.0])), rel=1e-5)
    # `affine` starts at the identity, so `h` is `f`
    assert at(shared("h"), z=z) == pytest.approx(near, rel=1e-6)
    assert at(shared("both"), z=z) == pytest.approx(near, rel=1e-5)
    rows = sum(at(f, z=jnp.asarray(row, jnp.float32)) for row in model.data["x"])
    assert at(shared("level"), s=jnp.array(0.5)) == pytest.approx(3 * rows + 0.5, rel=1e-5)
    for name in ("f", "g", "h", "u", "pair", "both"):
        assert model.node(name).normalisation.value == "normalised"
    assert model["f"].evidence().log_z == 0.0
    unit = np.asarray(model["u"].sample(method="direct", draws=500, chains=2)["z"])
    assert ((unit > 0) & (unit < 1)).all()
    drawn = model["pair"].sample(method="direct", draws=50, chains=2)
    assert drawn["z"].shape == drawn["w"].shape == (2, 50, 2)


def test_one_flow_has_one_set_of_params():
    model = el.compile(
        "flow f(z: real[2]) = normal |> coupling(affine, [4])\n"
        "energy e(x: real[3, 2], y: real[2]) {\n  x ~ f()\n  y ~ f()\n}\n"
    )  # fmt: skip
    assert model["e"].params.keys() == model["f"].params.keys()
    assert model["f"].params["f.0.weight0"].shape == (1, 4)


def test_explain_names_layers_numbers_and_capabilities():
    energy = el.compile("flow f(z: real[2]) = mixture(2) |> repeat(3, permute |> coupling(affine, [4])) |> exp |> log")[
        "f"
    ]
    (found,) = flow_layers(energy.compiled.program)
    assert [layer["numbers"] for layer in found["layers"]] == [3 * (4 + 4 + 8 + 2), 0, 0]
    assert found["numbers"] == 54 + 2 + 4 + 4
    lines = "\n".join(flow_lines([found], 200))
    assert "from mixture(2) through" in lines
    assert "coupling(affine(bound = 3.0), [4], act = relu)" in lines
    assert "log-determinant exact, inverse closed" in lines


def test_too_few_entries_are_found_when_data_are_known():
    source = "data x: real[N, d]\nflow f(z: real[d]) = normal |> coupling(affine, [4])"
    with pytest.raises(DiagnosticError) as failed:
        el.compile(source, data={"x": np.zeros((3, 1))})["f"]
    assert [d.code for d in failed.value.diagnostics] == ["E0564"]


# --- layers from outside, as later ones are added -------------------------------------------------------------------


class Drifting:
    """A shift by a buffer that follows a learned number, and tells how far it moved: everything a layer may have."""

    tables = {}  # noqa: RUF012

    def __init__(self, place):
        self.leaves = {"aim": Leaf(place.event, 0.5), "shift": Leaf(place.event, learned=False)}

    def forward(self, params, z, conditions, key):
        return Moved(z + params["shift"][:, None], jnp.zeros(z.shape[-1]), {"distance": jnp.ones(z.shape[-1])})

    def inverse(self, params, x, conditions, key):
        return Moved(x - params["shift"][:, None], jnp.zeros(x.shape[-1]), {"distance": jnp.ones(x.shape[-1])})

    def settled(self, params):
        return {**params, "shift": 2.0 * params["aim"]}


@pytest.fixture
def drifting(monkeypatch):
    for kind in ("exact", "unbiased", "biased"):
        entry = Layer(kind, kind, "", "", factory=f"{__name__}:Drifting", log_determinant=kind)
        monkeypatch.setitem(LAYERS, kind, entry)


def test_a_layer_is_an_entry_and_a_class(drifting):
    compiled = el.compile("flow f(z: real[2]) = normal |> repeat(2, exact) |> exact")["f"].compiled
    assert compiled.buffers == ("f.0.shift", "f.1.shift")
    settled = compiled.settled()
    np.testing.assert_array_equal(settled.params["f.0.shift"], np.ones((2, 2)))
    assert settled({"z": jnp.array([3.0, 3.0])}) == pytest.approx(np.log(2 * np.pi), rel=1e-6)
    flow = compiled.program.moved[0].flow
    moved = chain(flow, {}).inverse(own(flow, {}, compiled.params), jnp.zeros((2, 4)), None, None)
    np.testing.assert_array_equal(moved.aux["distance"], 3.0)


@pytest.mark.parametrize(
    ("task", "refused"),
    [
        ("sample f with nuts()", True), ("sample f with importance()", True), ("evidence f with importance()", True),
        ("sample f with blocks(nuts(), nuts())", True), ("sample f with tempering(nuts())", True),
        ("sample g with hmc()", True), ("sample f with direct()", False), ("train f on (z = x) with mle()", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["exact", "unbiased", "biased"])
def test_estimates_never_make_a_ratio_or_a_weight(drifting, kind, task, refused):
    """An estimated log-determinant is refused where a Metropolis ratio or a weight would be made of it."""
    diagnostics = Diagnostics()
    source = (
        f"data x: real[N, 2]\nflow f(z: real[2]) = normal |> repeat(2, {kind}) |> affine\nflow a(z: real[2]) = normal\n"
        f"energy g = mixture(a, f)\n{task}"
    )
    check_source(Source("model.energy", source), diagnostics)
    codes = [d.code for d in diagnostics.found if d.severity == "error"]
    assert codes == (["E0604"] if refused and kind != "exact" else [])
    if codes:
        assert f"the {kind} log-determinant of `repeat` in `f`" in diagnostics.found[0].message


def test_auto_draws_from_a_flow_directly():
    model = el.compile("flow f(z: real[2]) = normal |> affine\nenergy e(z: real[2]) {\n  z ~ f()\n  += z[0]^4\n}")
    assert str(model.plan("sample", "f").method) == "direct()"
    assert str(model.plan("sample", "e").method) == "nuts()"
