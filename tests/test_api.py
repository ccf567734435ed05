"""The Python face: energies as functions and pytrees, conditions, params, tasks, names that meet."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import energylang as el

SCHOOLS = """
data y: real[J] = [28, 8, -3, 7, -1, 1, 18, 12]
data sigma: positive[J] = [15, 10, 16, 11, 9, 11, 10, 18]
energy schools(mu: real, tau: positive, eta: real[J]) {
  mu ~ normal(0, 5)
  tau ~ half_cauchy(5)
  eta ~ normal(0, 1)
  y ~ normal(mu + tau * eta, sigma)
}
"""


def code_of(error: pytest.ExceptionInfo[el.DiagnosticError]) -> list[str]:
    return [d.code for d in error.value.diagnostics if d.severity == "error"]


def test_an_energy_is_a_function():
    energy = el.compile(SCHOOLS)["schools"]
    eta = jnp.linspace(-1, 1, 8)
    value = energy(mu=0.0, tau=1.0, eta=eta)
    assert value == pytest.approx(float(jax.jit(lambda e, eta: e(mu=0.0, tau=1.0, eta=eta))(energy, eta)), rel=1e-6)
    batch = jax.vmap(lambda eta: energy(mu=0.0, tau=1.0, eta=eta))(jnp.stack([eta, 2 * eta]))
    assert batch.shape == (2,)
    assert batch[0] == pytest.approx(float(value), rel=1e-6)
    slope = jax.grad(lambda mu: energy(mu=mu, tau=1.0, eta=eta))(0.5)
    step = (energy(mu=0.51, tau=1.0, eta=eta) - energy(mu=0.49, tau=1.0, eta=eta)) / 0.02
    assert slope == pytest.approx(float(step), rel=1e-3)


def test_data_come_from_a_file(tmp_path):
    """What the model does not declare is a note, as on the command line."""
    file = tmp_path / "data.json"
    file.write_text('{"y": [1, 2], "sigma": [1, 4], "J": 2}')
    model = el.compile(SCHOOLS, data=file)
    assert [d.code for d in model.diagnostics] == ["N0701"]
    given = el.compile(SCHOOLS, data={"y": [1, 2], "sigma": [1, 4]})
    values = {"mu": 0.3, "tau": 1.0, "eta": jnp.ones(2)}
    assert model["schools"](**values) == given["schools"](**values)
    with pytest.raises(el.DiagnosticError) as error:
        el.compile(SCHOOLS, data=str(tmp_path / "nothing.json"))
    assert code_of(error)


def test_an_energy_is_a_pytree():
    energy = el.compile(SCHOOLS)["schools"]
    leaves, tree = jax.tree.flatten(energy)
    assert len(leaves) == 2
    again = jax.tree.unflatten(tree, [2 * leaf for leaf in leaves])
    assert again(mu=0.0, tau=1.0, eta=jnp.zeros(8)) != energy(mu=0.0, tau=1.0, eta=jnp.zeros(8))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"mu": 0.0, "tau": 1.0}, "E0710"),
        ({"mu": 0.0, "tau": 1.0, "eta": np.zeros(7)}, "E0710"),
        ({"mu": 0.0, "tau": 1.0, "eta": np.zeros(8), "x": 1.0}, "E0710"),
    ],
)
def test_wrong_calls(values, code):
    energy = el.compile(SCHOOLS)["schools"]
    with pytest.raises(el.DiagnosticError) as error:
        energy(**values)
    assert code_of(error) == [code]


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        ({"z": 1}, ["E0706"]),
        ({"y": [1.0, 2.0]}, ["E0703"]),
        ({"y": 3.0}, ["E0703"]),
        ({"y": [[1.0] * 8]}, ["E0703"]),
        ({"y": ["a"] * 8}, ["E0702"]),
        ({"y": ["1"] * 8}, ["E0702"]),
        ({"y": [1.0, 2, 3, 4, 5, 6, 7, "8"]}, ["E0702"]),
        ({"y": [1.0] * 7 + [float("nan")]}, ["E0705"]),
        ({"sigma": [1.0] * 7 + [-1.0]}, ["E0704"]),
        ({"sigma": [0.0] * 8, "y": [float("inf")] * 8}, ["E0704", "E0705"]),
    ],
)
def test_wrong_data(data, codes):
    with pytest.raises(el.DiagnosticError) as error:
        el.compile(SCHOOLS, data=data)
    assert sorted(code_of(error)) == codes
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("data i: int[N]\ndata a: real[3] = [1, 2, 3]\nenergy e(x: real) = x * sum(a[i])", {"i": [0, 3]}, "E0709"),
        ("data a: real[N]\nenergy e(x: real) = x * a[2]", {"a": [1.0, 2.0]}, "E0709"),
        ("data a: real[N]\nenergy e(x: real) = x * sum(a[2:])", {"a": [1.0]}, "E0304"),
        ("data z: cat(3)[2]\nenergy e(x: real) = x * sum(z)", {"z": [0, 3]}, "E0704"),
        ("data n: int\nenergy e(x: real[n]) = norm2(x)", {"n": -1}, "E0306"),
        ("const n = 1_000_000\nenergy e(x: spin[n, n]) = sum(x)", {}, "E0708"),
        ("data n: int\nenergy e(x: real) = x * n", {"n": 1.5}, "E0702"),
        (
            "data a: real[N]\ndata b: real[N]\nenergy e(x: real) = x * sum(a * b)",
            {"a": [1.0], "b": [1.0, 2.0]},
            "E0703",
        ),
    ],
)
def test_data_that_do_not_fit_the_model(text, data, code):
    with pytest.raises(el.DiagnosticError) as error:
        el.compile(text, data=data)["e"]
    assert code_of(error) == [code]


def test_conditions_bring_values_and_dims():
    model = el.compile("energy e(x: real[K] | q: real[K]) = 0.5 * norm2(x - q)")
    run = model.sample(on={"q": [5.0, -5.0, 0.0]}, draws=200, warmup=200, chains=2)
    assert run["x"].shape == (2, 200, 3)
    np.testing.assert_allclose(run["x"].mean((0, 1)), [5, -5, 0], atol=0.6)
    with pytest.raises(el.DiagnosticError) as error:
        model.sample(draws=10)
    assert code_of(error) == ["E0608"]


def test_names_that_meet_are_different_things():
    """A function reads the data `y`; the energy's own `y` is a variable, and another energy's a condition."""
    model = el.compile("""
data y: real = 3
fn shifted(a) = a - y
energy e(y: real) = shifted(y)^2
energy f(x: real | y: real) = (x - y)^2 + shifted(x)^2
""")
    assert float(model["e"](y=5.0)) == 4.0
    assert float(model["f"](x=4.0, y=1.0)) == 10.0


def test_large_counts_do_not_overflow():
    """(sum s)^2 of 70,000 spins is beyond int32."""
    model = el.compile("const n = 70_000\nenergy e(s: spin[n]) = (sum(s))^2 + sum(s) * sum(s)")
    assert float(model["e"](s=np.ones(70_000, np.int8))) == pytest.approx(2 * 70_000.0**2, rel=1e-6)


def test_params_are_learned_in_their_spaces():
    x = np.random.default_rng(0).normal(3, 2, 500)
    model = el.compile(
        """
data x: real[N]
param mu: real = 0
param sigma: positive = 1
energy m(y: real) {
  y ~ normal(mu, sigma)
}
train m on (y = x) with mle(), steps = 1500, optimizer = adam(0.02)
""",
        data={"x": x},
    )
    trained = model["m"].with_params(model.train().params)
    assert float(trained.params["mu"]) == pytest.approx(x.mean(), abs=1e-3)
    assert float(trained.params["sigma"]) == pytest.approx(x.std(), abs=1e-3)
    assert float(model["m"].params["sigma"]) == pytest.approx(1.0)


def test_methods_and_options_are_checked_before_anything_runs():
    energy = el.compile("energy e(s: spin[4]) = -sum(s * roll(s, 1))")["e"]
    for arguments, code in [
        ({"method": "nuts"}, "E0604"),
        ({"method": "gwgg()"}, "E0601"),
        ({"method": "gwg(weight = cube)"}, "E0603"),
        ({"draws": 0}, "E0603"),
        ({"drws": 10}, "E0602"),
        ({"on": {"q": 1}}, "E0607"),
    ]:
        with pytest.raises(el.DiagnosticError) as error:
            energy.sample(**arguments)
        assert code_of(error) == [code]


def test_auto_says_why():
    run = el.compile("energy e(s: spin[4]) = -sum(s * roll(s, 1))")["e"].sample(draws=50)
    assert run.method == "enumerate()"
    assert "16 configurations" in run.reason
    assert run.log_z == pytest.approx(float(np.log(2 * np.exp(4) + 2 * np.exp(-4) + 12)), abs=1e-5)


def test_several_energies_need_a_name():
    model = el.compile("energy a(x: real) = x^2\nenergy b(x: real) = x^4")
    with pytest.raises(el.DiagnosticError) as error:
        model.sample()
    assert code_of(error) == ["E0606"]
    with pytest.raises(el.DiagnosticError) as error:
        model["c"]
    assert code_of(error) == ["E0600"]
    assert list(model) == ["a", "b"]


def test_a_default_beside_given_data_is_noted():
    model = el.compile(SCHOOLS, data={"y": np.zeros(8)})
    assert [(d.code, d.severity) for d in model.diagnostics] == [("N0702", "note")]
    assert el.compile(SCHOOLS).diagnostics == ()


def test_a_real_where_a_scale_is_meant_is_noted():
    text = "data s: real = 1\nenergy e(x: real, t: real) {\n  x ~ normal(0, s)\n  x ~ normal(0, exp(t))\n  t ~ normal(0, 1)\n}"
    assert [d.code for d in el.compile(text).diagnostics] == ["L0103"]
    assert el.compile(text.replace("s: real", "s: positive")).diagnostics == ()


def test_only_a_run_is_replaced(tmp_path):
    model = el.compile("energy e(s: spin[3]) = sum(s)")
    (tmp_path / "model.energy").write_text("precious")
    with pytest.raises(el.DiagnosticError) as error:
        model.sample(out=tmp_path / "model.energy", draws=5)
    assert code_of(error) == ["E0823"]
    assert (tmp_path / "model.energy").read_text() == "precious"
    for _ in range(2):
        model.sample(out=tmp_path / "run.nc", draws=5)


def test_sizes_beyond_memory_are_refused_before_anything_is_allocated():
    with pytest.raises(el.DiagnosticError) as error:
        el.compile("const n = 10_000_000_000\nenergy e(s: spin[n]) = -sum(s[1:] * s[:-1])")["e"]
    assert code_of(error) == ["E0708"]


def test_an_energy_shows_its_signature():
    assert repr(el.compile(SCHOOLS)["schools"]) == "Energy(schools(mu: real, tau: positive, eta: real[J]))"
