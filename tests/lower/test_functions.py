"""Functions of the language against scipy and numpy: values in float64 and float32 and on the host, and derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sc

import energylang
from energylang.check.suggestions import ELSEWHERE
from energylang.lower.evaluate import evaluate
from energylang.lower.operations import NUMPY

U = np.array([0.03, 0.3, 0.62, 0.97])
P = np.array([0.07, 0.9, 2.5, 31.0])
X = np.array([-3.1, -0.4, 0.6, 2.2])

ELEMENTWISE = {
    "trigamma(p)": sc.polygamma(1, P), "log1m_exp(-p)": np.log(-np.expm1(-P)), "log1m_exp(-p / 1000)": np.log(-np.expm1(-P / 1000)),
    "log_diff_exp(x + p, x)": X + np.log(np.expm1(P)), "log1m(u)": np.log1p(-U), "log1p_exp(x)": np.logaddexp(0, X),
    "inv_cloglog(x)": -np.expm1(-np.exp(X)), "std_normal_quantile(u)": sc.ndtri(U), "erfinv(2 * u - 1)": sc.erfinv(2 * U - 1),
    "xlogy(p, u)": sc.xlogy(P, U), "xlog1py(p, u)": sc.xlog1py(P, U), "square(x)": X**2, "cbrt(x)": np.cbrt(X), "expit(x)": sc.expit(X),
    "asinh(x)": np.arcsinh(X), "acosh(1 + p)": np.arccosh(1 + P), "atanh(2 * u - 1)": np.arctanh(2 * U - 1), "log2(p)": np.log2(P),
    "log10(p)": np.log10(P), "gammainc(p, 2 * u)": sc.gammainc(P, 2 * U), "gammaincc(p, 2 * p)": sc.gammaincc(P, 2 * P),
    "betainc(p, p + 1, u)": sc.betainc(P, P + 1, U), "log_bessel_i1(p)": np.log(sc.i1e(P)) + P, "log_choose(p + 2, u)": np.log(sc.binom(P + 2, U)),
    "log_mix(u, x, p)": np.log(U * np.exp(X) + (1 - U) * np.exp(P)), "clip(x, -1, 1)": np.clip(X, -1, 1), "cumprod(x)": np.cumprod(X),
    "sort(x * p)": np.sort(X * P), "diff(x^2)": np.diff(X**2),
}  # fmt: skip
STEPS = {
    "trunc(x)": np.trunc(X), "step(x)": [0, 0, 1, 1], "step(0 * x)": [1, 1, 1, 1], "argmax(x * p)": 3, "argmin(abs(x))": 1,
    "xlogy(0 * p, 0 * p)": np.zeros(4), "[for i in 2: argmax([x, p][i])]": [3, 3],
}  # fmt: skip
ARRAYS = {
    "variance(x)": X.var(ddof=1), "sd(x)": X.std(ddof=1), "variance([x, p], axis = 1)": np.var([X, P], axis=1, ddof=1),
    "sd([x, p], axis = 0)": np.std([X, P], axis=0, ddof=1), "sd(for i in J: x[i])": X.std(ddof=1), "norm(x)": np.linalg.norm(X),
    "cross(x[:3], p[:3])": np.cross(X[:3], P[:3]), "squared_distance(x, p)": (X[:, None] - P) ** 2,
    "squared_distance(A, A[:2])": ((A := np.array([[2.0, 0.3, 0.1, -0.2], [0.3, 1.5, 0.2, 0.4], [0.1, 0.2, 1.8, 0.0], [-0.2, 0.4, 0.0, 2.4]]))[:, None] - A[:2]).__pow__(2).sum(-1),
    "exp_quad(x, 1.5, 0.7)": 1.5**2 * np.exp(-0.5 * (X[:, None] - X) ** 2 / 0.7**2), "quadratic_form(A, x)": X @ A @ X,
    "solve(A + outer(x, x) / 3, p)": np.linalg.solve(A + np.outer(X, X) / 3, P), "solve(A, outer(x, p))": np.linalg.solve(A, np.outer(X, P)),
    "inverse(A * u[0])": np.linalg.inv(A * U[0]), "determinant(A * u[0])": np.linalg.det(A * U[0]), "log_determinant(A * p[0])": np.linalg.slogdet(A * P[0])[1],
    "trace(A * p[0])": np.trace(A) * P[0], "diagonal_matrix(x) @ p": X * P, "identity(J) * x": np.diag(X), "cholesky(A * p[0])": np.linalg.cholesky(A * P[0]),
    "triangular_solve(cholesky(A), x)": np.linalg.solve(np.linalg.cholesky(A), X), "diagonal(A * x)": np.diag(A) * X,
    "[A, A * p[0]] @ x": [A @ X, P[0] * A @ X], "[A, transpose(A)] @ [A, A]": [A @ A, A.T @ A], "x @ [A, A * p[0]]": [X @ A, P[0] * X @ A],
    "[for row in A: cholesky(diagonal_matrix(row^2 + 1))[1]]": [np.diag([np.sqrt(r[1] ** 2 + 1) if i == 1 else 0 for i in range(4)])[1] for r in A],
}  # fmt: skip
GRADIENTS = [*(e for e in ELEMENTWISE if not e.startswith(("sort", "clip"))), *ARRAYS]


@pytest.fixture(scope="module")
def program():
    cases = [*ELEMENTWISE, *STEPS, *ARRAYS]
    lets = "".join(f"  report r{i} = {text}\n" for i, text in enumerate(cases))
    source = f"data A: real[J, J]\nenergy e(x: real[J], p: positive[J], u: unit[J]) {{\n  += sum(x) + sum(p) + sum(u)\n{lets}}}"
    compiled = energylang.compile(source, data={"A": A})["e"].compiled
    roots = [r.value for r in compiled.program.energy.reports]
    x, p, u = compiled.program.energy.variables
    environment = compiled.program.environment(compiled.arrays, {})

    def run(values, *backend):
        given = {s: A if backend else jnp.asarray(A) for s in environment}
        return dict(
            zip(
                cases,
                evaluate(roots, given | dict(zip((x, p, u), values, strict=True)), compiled.program.dims, *backend),
                strict=True,
            )
        )

    return run


def test_values(program):
    """The host agrees with scipy, JAX in float64 to 1e-9, in float32 to 2e-4 of the largest entry."""
    wanted = ELEMENTWISE | STEPS | ARRAYS
    host = program((X, P, U), NUMPY)
    single = jax.jit(lambda v: program(v))(
        (jnp.asarray(X, jnp.float32), jnp.asarray(P, jnp.float32), jnp.asarray(U, jnp.float32))
    )
    with jax.enable_x64(True):
        double = jax.jit(lambda v: program(v))((jnp.asarray(X), jnp.asarray(P), jnp.asarray(U)))
    for text, value in wanted.items():
        np.testing.assert_allclose(host[text], value, rtol=1e-9, atol=1e-12, err_msg=text)
        np.testing.assert_allclose(double[text], value, rtol=1e-7, atol=1e-9, err_msg=text)
        size = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(single[text], value, rtol=2e-4, atol=2e-5 * size, err_msg=text)


def test_gradients(program):
    """Of a fixed mix of all entries along a fixed direction, against central differences in float64."""
    mix = np.random.default_rng(11).normal(size=64)
    direction = [np.array([0.3, -0.7, 0.2, 0.5]), np.array([0.02, 0.3, -0.5, 1.0]), np.array([0.01, -0.1, 0.2, -0.005])]

    def at(step):
        found = program([v + step * d for v, d in zip((X, P, U), direction, strict=True)])
        return jnp.stack([jnp.sum(jnp.ravel(found[t]) * mix[: np.size(found[t])]) for t in GRADIENTS])

    def slopes(step):
        _, along = jax.jvp(at, (step,), (1.0,))
        return along, jax.grad(lambda s: jnp.sum(at(s)))(step), (at(step + 1e-5) - at(step - 1e-5)) / 2e-5

    with jax.enable_x64(True):
        along, total, differences = (np.asarray(v) for v in jax.jit(slopes)(0.0))
    for text, slope, difference in zip(GRADIENTS, along, differences, strict=True):
        assert slope == pytest.approx(difference, rel=2e-5, abs=1e-6), text
    assert total == pytest.approx(along.sum(), rel=1e-9)


def test_eigenvalues_and_eigenvectors():
    model = energylang.compile(
        "data A: real[J, J]\nlet (w, V) = eigh(A)\nenergy e(x: real[J]) = sum(V @ (w * x))", data={"A": A}
    )
    w, v = model.bound.values["w"], model.bound.values["V"]
    np.testing.assert_allclose(v @ np.diag(w) @ v.T, A, atol=1e-12)
    assert (np.diff(w) > 0).all()


def test_a_singular_matrix_is_not_a_number():
    """On the host as under JAX, and no exception."""
    model = energylang.compile("let z = sum(inverse(zeros([2, 2])) + cholesky(-identity(2)))\nenergy e(x: real) = x")
    assert np.isnan(model.bound.values["z"])


@pytest.mark.parametrize("name", ["fabs", "pow", "log_sum_exp", "inv", "rep_vector", "diag_matrix"])
def test_names_of_other_systems(name):
    with pytest.raises(energylang.DiagnosticError) as caught:
        energylang.compile(f"energy e(x: real) = {name}(x)")
    (found,) = caught.value.diagnostics
    assert found.fix == f"here it is `{ELSEWHERE[name]}`"


def test_suggestions_are_ours():
    """A suggestion that is one word is a function; none stands for a name of the language."""
    from energylang.check.functions import FUNCTIONS

    assert not ELSEWHERE.keys() & FUNCTIONS.keys()
    words = {w for w in ELSEWHERE.values() if w.isidentifier()}
    assert words <= FUNCTIONS.keys() | {"infinity"}
