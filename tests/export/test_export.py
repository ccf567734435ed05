"""Exported energies give the numbers of the energies they were made of, in a process that has no EnergyLang."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import energylang as el
from energylang.export import artefact, load_energy
from energylang.export.load_energy import EnergyFileError, load
from tests.cli.conftest import EXAMPLES, Cli, cli

__all__ = ["cli"]

pytest.importorskip("flatbuffers", reason="needs the extra `export`")

MIXED = """
data x: real[N] = [1.0, 2.0, 4.0, 7.0]
data y: real[N] = [0.5, 1.0, 2.5, 3.0]
data group: cat(2)[N] = [0, 1, 1, 0]
data trials: count[N] = [3, 1, 4, 1]
let scaled = (x - mean(x)) / sqrt(mean((x - mean(x))^2))
param slope: positive = 0.5
param offset: real[2] = [0.1, -0.2]

## Everything at once.
energy mixed(a: real, b: interval(a, a + 2), z: spin[3] | c: real[2]) {
  a ~ normal(0, 1)
  y ~ normal(a + slope * scaled + offset[group], exp(b))
  += sum(z) * b + 0.1 * sum(trials) + sum(c) * z[0] * z[2]
}
"""
ISING = """
data J: real[3] = [0.5, -1.0, 2.0]
energy chain(s: spin[4], k: cat(3)) = -sum(J * s[:3] * s[1:]) + 0.3 * k * s[0]
"""
FOREIGN = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "energylang":
            raise ImportError("no EnergyLang here")
sys.meta_path.insert(0, Blocked())
try:
    import energylang
    sys.exit("EnergyLang can be imported")
except ImportError:
    pass
sys.path.append(sys.argv[1] + "/schools.energyx")
import numpy as np
from load_energy import load
given = dict(np.load(sys.argv[1] + "/given.npz"))
found = {}
for n in (1, 7):
    one = {name: value[:n] for name, value in given.items()}
    schools = load(sys.argv[1] + "/schools.energyx")
    found[f"density{n}"], found[f"slope{n}"] = schools.log_density_and_gradient(one["flat"])
    values = schools.constrain(one["flat"])
    found |= {f"{name}{n}": value for name, value in values.items()}
    found[f"back{n}"] = schools.unconstrain(**values)
    found[f"schools{n}"] = schools(**values)
    chain = load(sys.argv[1] + "/chain.energyx")
    found[f"chain{n}"] = chain(s=one["s"], k=one["k"])
    mixed = load(sys.argv[1] + "/mixed.energyx")
    found[f"mixed{n}"], by = mixed.energy_and_gradient(a=one["a"], b=one["b"], z=one["z"], c=np.ones(2))
    found[f"by_b{n}"] = by["b"]
assert not [name for name in sys.modules if name.startswith("energylang")]
assert not {"scipy.stats", "lark", "click", "blackjax", "optax"} & set(sys.modules)
np.savez(sys.argv[1] + "/found.npz", **found)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three exported energies: of reals, of discrete variables, and of both with all there is beside."""
    place = tmp_path_factory.mktemp("exported")
    el.load(EXAMPLES / "eight_schools.energy")["schools"].export(place / "schools.energyx")
    el.compile(MIXED)["mixed"].export(place / "mixed.energyx")
    el.compile(ISING)["chain"].export(place / "chain.energyx")
    return place


def near(found: Any, wanted: Any, units: float = 4.0) -> None:
    """Equal but for the last places: XLA orders sums of a batch as it likes."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    scale = np.maximum(np.abs(wanted), 1.0)
    assert np.max(np.abs(found - wanted) / scale) <= units * np.finfo(found.dtype).eps


def test_the_same_numbers_without_energylang(folder: Path) -> None:
    random = np.random.default_rng(1)
    a = random.normal(size=7).astype(np.float32)
    given = {
        "flat": random.normal(size=(7, 10)).astype(np.float32), "a": a, "b": (a + 0.7).astype(np.float32),
        "z": random.choice([-1, 1], size=(7, 3)), "s": random.choice([-1, 1], size=(7, 4)), "k": random.integers(0, 3, 7),
    }  # fmt: skip
    np.savez(folder / "given.npz", **given)
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN, str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = dict(np.load(folder / "found.npz"))
    schools = el.load(EXAMPLES / "eight_schools.energy")["schools"]
    mixed, chain = el.compile(MIXED)["mixed"], el.compile(ISING)["chain"]
    for n in (1, 7):
        one = {name: jnp.asarray(value[:n]) for name, value in given.items()}
        density, slope = jax.jit(jax.vmap(jax.value_and_grad(schools.log_density)))(one["flat"])
        near(found[f"density{n}"], density)
        near(found[f"slope{n}"], slope)
        values = jax.jit(jax.vmap(schools.constrain))(one["flat"])
        for name, value in values.items():
            near(found[f"{name}{n}"], value)
        near(found[f"back{n}"], one["flat"])
        near(found[f"schools{n}"], jax.jit(jax.vmap(lambda v: schools(**v)))(values))
        near(found[f"chain{n}"], jax.jit(jax.vmap(lambda s, k: chain(s=s, k=k)))(one["s"], one["k"]))
        energy = jax.value_and_grad(lambda b, a, z: mixed(a=a, b=b, z=z, c=jnp.ones(2)))
        value, by_b = jax.jit(jax.vmap(energy))(one["b"], one["a"], one["z"])
        near(found[f"mixed{n}"], value)
        near(found[f"by_b{n}"], by_b)


def test_values_against_scipy(folder: Path) -> None:
    energy = load(folder / "schools.energyx")
    mu, tau, eta = 1.5, 2.5, np.linspace(-1, 1, 8)
    y, sigma = energy.data["y"], energy.data["sigma"]

    def by_scipy(mu: float, tau: float, eta: np.ndarray) -> float:
        prior = stats.norm.logpdf(mu, 0, 5) + stats.halfcauchy.logpdf(tau, 0, 5) + stats.norm.logpdf(eta).sum()
        return -float(prior + stats.norm.logpdf(y, mu + tau * eta, sigma).sum())

    # An energy may leave constants out: differences are free of them.
    wanted = by_scipy(mu, tau, eta) - by_scipy(0.0, 1.0, np.zeros(8))
    found = energy(mu=mu, tau=tau, eta=eta) - energy(mu=0.0, tau=1.0, eta=np.zeros(8))
    assert float(found) == pytest.approx(wanted, abs=2e-5)
    flat = energy.unconstrain(mu=mu, tau=tau, eta=eta)
    # tau is exp of its number, so the log-Jacobian is log tau.
    assert float(energy.log_density(flat) + energy(mu=mu, tau=tau, eta=eta)) == pytest.approx(np.log(tau), abs=1e-5)


def test_transformations_of_jax(folder: Path) -> None:
    energy = load(folder / "schools.energyx")
    flat = jax.random.normal(jax.random.key(2), (3, 5, 10))
    density, slope = energy.log_density_and_gradient(flat)
    assert density.shape == (3, 5)
    assert slope.shape == flat.shape
    near(jax.jit(jax.vmap(jax.vmap(energy.log_density)))(flat), density)
    near(jax.jit(jax.vmap(jax.vmap(jax.grad(energy.log_density))))(flat), slope)
    near(jax.grad(lambda x: jnp.sum(energy.log_density(x)))(flat), slope)
    ends = jax.lax.scan(lambda x, _: (x + 0.01 * jax.grad(energy.log_density)(x), None), flat[0, 0], length=3)[0]
    x = flat[0, 0]
    for _ in range(3):
        x = x + 0.01 * energy.log_density_and_gradient(x)[1]
    near(ends, x, units=16)


def test_derivatives_by_conditions_and_params(folder: Path) -> None:
    exported, energy = load(folder / "mixed.energyx"), el.compile(MIXED)["mixed"]
    point = {"a": jnp.float32(0.3), "b": jnp.float32(1.1), "z": jnp.array([1, -1, 1])}
    by_c = jax.grad(lambda c: exported(**point, c=c))(jnp.ones(2))
    near(by_c, jax.grad(lambda c: energy(**point, c=c))(jnp.ones(2)))
    density = jax.grad(lambda c: exported.log_density(jnp.array([0.1, 0.2]), z=point["z"], c=c))(jnp.ones(2))
    near(density, -by_c)
    weights = jnp.array([1.0, -2.0])
    batch = {"a": jnp.array([0.3, 0.1]), "b": jnp.array([1.1, 0.9]), "z": jnp.ones((2, 3), int), "c": jnp.ones((2, 2))}
    found = exported.params_gradient(weights, **batch)

    def total(slope: Any, offset: Any) -> Any:
        moved = energy.with_params({"slope": jnp.log(slope), "offset": offset})
        return jnp.sum(weights * jax.vmap(lambda v: moved(**v))(batch))

    wanted = jax.grad(total, argnums=(0, 1))(exported.params["slope"], exported.params["offset"])
    near(found["slope"], wanted[0], units=16)
    near(found["offset"], wanted[1], units=16)


def test_other_data_and_params(folder: Path) -> None:
    exported = load(folder / "mixed.energyx")
    point = {"a": 0.3, "b": 1.1, "z": np.array([1, -1, 1]), "c": np.zeros(2)}
    other = {"x": [3.0, 1.0, 1.0, 2.0], "group": [1, 1, 0, 0], "trials": [9, 9, 9, 9]}
    near(exported.with_data(**other)(**point), el.compile(MIXED, data=other)["mixed"](**point))
    energy = el.compile(MIXED)["mixed"].with_params({"slope": jnp.log(2.0), "offset": jnp.array([3.0, 4.0])})
    near(exported.with_params(slope=2.0, offset=[3.0, 4.0])(**point), energy(**point))
    assert float(exported(**point)) != float(exported.with_data(x=other["x"])(**point))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": [1.0, 2.0]}, "has shape [4], and this has [2]"),
        ({"x": [1.0, 2.0, np.nan, 1.0]}, "not finite"),
        ({"group": [0, 1, 2, 0]}, "from 0 to 1"),
        ({"group": [0, 1, 0.5, 0]}, "whole numbers"),
        ({"trials": [-1, 0, 0, 0]}, "from 0 to"),
        ({"trials": [2**30, 2**30, 0, 0]}, "from 0 to 1.67772e"),
        ({"w": 1}, "no data `w`; it has x, y, group, trials"),
    ],
)
def test_data_that_do_not_fit(folder: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(EnergyFileError, match=said.replace("[", r"\[")):
        load(folder / "mixed.energyx").with_data(**given)


def test_data_that_are_built_in(tmp_path: Path) -> None:
    model = el.compile(
        "data site: int[3] = [0, 0, 1]\ndata y: count[3] = [4, 0, 7]\n"
        "energy joint(z: binary[2], rate: positive) {\n  rate ~ exponential(1)\n  z ~ bernoulli(0.4)\n"
        "  y ~ poisson(rate * (1 + 2 * z[site]))\n}\nenergy summed = marginal(joint, over = z)\n"
    )
    exported = load(model["summed"].export(tmp_path / "summed.energyx"))
    flat = jnp.zeros(1)
    near(exported.log_density(flat), model["summed"].log_density(flat))
    # What is observed may differ; which site is looked up decides how the sum is done.
    other = el.compile(model.program.source.text, data={"y": [1, 2, 3]})["summed"]
    near(exported.with_data(y=[1, 2, 3]).log_density(flat), other.log_density(flat))
    exported.with_data(site=[0, 0, 1])
    # A category that is observed is looked up too, and any of its values will do.
    kinds = el.compile("data k: cat(3)[4] = [0, 1, 1, 0]\nenergy e(p: simplex[3]) {\n  k ~ categorical(p)\n}")
    other = el.compile(kinds.program.source.text, data={"k": [2, 2, 2, 1]})["e"]
    given = load(kinds["e"].export(tmp_path / "kinds.energyx")).with_data(k=[2, 2, 2, 1])
    near(given(p=np.array([0.2, 0.3, 0.5])), other(p=np.array([0.2, 0.3, 0.5])))
    with pytest.raises(EnergyFileError, match="from 0 to 2"):
        given.with_data(k=[0, 1, 2, 3])
    with pytest.raises(EnergyFileError, match="decides how variables are summed out"):
        exported.with_data(site=[0, 1, 1])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"s": np.ones(4, int)}, "needs a value for `k`"),
        ({"s": np.ones(3, int), "k": 0}, "has shape \\[4\\], and this has \\[3\\]"),
        ({"s": np.ones(4), "k": 0}, "give integers"),
        ({"s": np.ones((2, 4), int), "k": np.zeros(3, int)}, "do not fit together"),
        ({"s": np.ones((0, 4), int), "k": 0}, "is empty"),
        ({"s": np.ones(4, int), "k": 0, "j": 1}, "no variable or condition here `j`; it has s, k"),
    ],
)
def test_values_that_do_not_fit(folder: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(EnergyFileError, match=said):
        load(folder / "chain.energyx")(**values)


def test_what_an_energy_has_not(folder: Path) -> None:
    chain = load(folder / "chain.energyx")
    with pytest.raises(EnergyFileError, match="no log density: no variable is continuous"):
        chain.log_density(np.zeros(0))
    with pytest.raises(EnergyFileError, match="no params gradient: it has no params"):
        chain.params_gradient(np.ones(1), s=np.ones((1, 4), int), k=np.zeros(1, int))
    mixed = load(folder / "mixed.energyx")
    point = {"a": 0.3, "b": 1.1, "z": np.array([1, -1, 1]), "c": np.zeros(2)}
    with pytest.raises(EnergyFileError, match="cannot be mapped over"):
        jax.vmap(lambda s: mixed.with_params(slope=s)(**point))(jnp.ones(2))


def test_files_that_are_damaged_or_foreign(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (folder / "schools.energyx").read_bytes()
    path = tmp_path / "odd.energyx"
    cases: dict[str, tuple[bytes, str]] = {
        "cut": (whole[: len(whole) // 2], "damaged, or no exported energy"),
        "text": (b"energy e(x: real) = x^2", "damaged, or no exported energy"),
        "empty": (b"", "damaged, or no exported energy"),
        "flipped": (whole[:300] + bytes(b ^ 255 for b in whole[300:400]) + whole[400:], "damaged"),
    }
    for content, said in cases.values():
        path.write_bytes(content)
        with pytest.raises(EnergyFileError, match=said):
            load(path)
    with pytest.raises(EnergyFileError, match="cannot be read: No such file"):
        load(tmp_path / "none.energyx")

    def changed(name: str, content: str | bytes | None) -> Path:
        with zipfile.ZipFile(folder / "schools.energyx") as old, zipfile.ZipFile(path, "w") as new:
            for entry in old.namelist():
                if entry != name:
                    new.writestr(entry, old.read(entry))
                elif content is not None:
                    new.writestr(entry, content)
        return path

    with pytest.raises(EnergyFileError, match="no manifest"):
        load(changed("manifest.json", None))
    with pytest.raises(EnergyFileError, match="has format energyx 9, and this loader reads energyx 1"):
        load(changed("manifest.json", '{"format": "energyx", "version": 9, "precision": "float32"}'))
    with pytest.raises(EnergyFileError, match="is damaged"):
        load(changed("manifest.json", '{"format": "energyx", "version": 1, "precision": "float32"}'))
    with pytest.raises(EnergyFileError, match="is damaged"):
        load(changed("arrays/0.npy", b"no array"))
    with pytest.raises(EnergyFileError, match=r"`log_density` of .* cannot be read"):
        load(changed("functions/log_density", b"no function")).log_density(np.zeros(10))
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(EnergyFileError, match="pip install flatbuffers"):
        load(folder / "schools.energyx").log_density(np.zeros(10))


def test_platforms(folder: Path, tmp_path: Path) -> None:
    exported = load(folder / "schools.energyx")
    assert exported.platforms == ["cpu", "cuda", "tpu"]
    model = el.compile("energy e(x: real) = x^2")
    elsewhere = load(model["e"].export(tmp_path / "e.energyx", platforms=["tpu"]))
    with pytest.raises(EnergyFileError, match="was exported for tpu, and JAX uses the cpu here"):
        elsewhere(x=1.0)
    with pytest.raises(el.DiagnosticError) as raised:
        model["e"].export(tmp_path / "e.energyx", platforms=["gpu"])
    assert raised.value.diagnostics[0].code == "E0881"


def test_the_same_model_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = el.compile(ISING)["chain"].export(tmp_path / "chain.energyx")
    assert again.read_bytes() == (folder / "chain.energyx").read_bytes()
    with zipfile.ZipFile(again) as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist() if name.startswith("functions/"))
    assert b".py" not in inside, "no paths of this machine"


def test_in_float64(tmp_path: Path) -> None:
    with jax.enable_x64(True):
        energy = el.load(EXAMPLES / "eight_schools.energy")["schools"]
        path = energy.export(tmp_path / "wide.energyx")
        flat = np.linspace(-1, 1, 10)
        found = load(path).log_density(flat)
        near(found, energy.log_density(flat))
        assert found.dtype == np.float64
    with pytest.raises(EnergyFileError, match="jax_enable_x64"):
        load(path)


def test_what_jax_cannot_export(tmp_path: Path) -> None:
    def outside(x: Any) -> Any:
        return jax.pure_callback(
            lambda v: np.asarray(v), jax.ShapeDtypeStruct((), x.dtype), x, vmap_method="expand_dims"
        )

    model = el.compile("extern net f: real -> real\nenergy e(x: real) = f(x)^2", bind={"f": outside})
    with pytest.raises(el.DiagnosticError) as raised:
        model["e"].export(tmp_path / "e.energyx")
    assert raised.value.diagnostics[0].code == "E0880"
    assert not list(tmp_path.iterdir())


def test_conditions_fixed_as_data(tmp_path: Path) -> None:
    model = el.compile("energy line(x: real | n: int, t: real[n]) {\n  x ~ normal(sum(t) / n, 1)\n}")
    path = model.export("line", tmp_path / "line.energyx", on={"n": 2, "t": [1.0, 4.0]})
    exported = load(path)
    assert float(exported(x=2.5) - exported(x=3.5)) == pytest.approx(-0.5)
    assert float(exported.with_data(t=[2.0, 4.0])(x=3.0) - exported(x=2.5)) == pytest.approx(0.0)


def test_commands(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cli("export", EXAMPLES / "normal_mle.energy", "--loader", "load_energy.py", "--platforms", "cpu")
    assert (made.code, made.out) == (0, "written to load_energy.py\nwritten to height.energyx\n")
    assert Path("load_energy.py").read_bytes() == Path(load_energy.__file__).read_bytes()
    asked = [sys.executable, "height.energyx"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'energy = load("height.energyx")' in done.stdout
    assert done.stdout.startswith("energy height\n")
    said = cli("export", EXAMPLES / "normal_mle.energy", "--out", "h.energyx", "--platforms", "cpu", "--json")
    assert said.data == {"exit_code": 0, "out": "h.energyx"}
    assert cli("export", "--json").codes == ["E0901"]
    assert cli("export", EXAMPLES / "normal_mle.energy", "--platforms", "gpu", "--json").codes == ["E0881"]
    assert cli("export", EXAMPLES / "normal_mle.energy", "--out", "no/h.energyx", "--json").codes == ["E0820"]
    monkeypatch.setattr(artefact, "find_spec", lambda name: None)
    missing = cli("export", EXAMPLES / "normal_mle.energy")
    assert "pip install 'energylang[export]'" in missing.err
    assert missing.code == 2
