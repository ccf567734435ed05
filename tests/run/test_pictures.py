"""Pictures: the numbers in them against independent computations, and that each kind is drawn of what it can be."""

from __future__ import annotations

import sys
import zlib
from typing import Any

import numpy as np
import pytest
from scipy import stats

from energylang.diagnostics import DiagnosticError
from energylang.run.pictures import KINDS, picture, pictures
from energylang.run.pictures.chains import LEVEL, correlations, density, independent, rank_band, rank_counts
from energylang.run.pictures.choice import BLOCK_BYTES, Reader, in_turn
from energylang.run.pictures.pairs import by_divergence
from energylang.run.pictures.states import palette, summary_of
from energylang.run.result import Run
from tests.run.synthetic import RINGS, a_run, autoregressive, normal, of_rings, of_weights


def seed_of(request: pytest.FixtureRequest) -> int:
    return zlib.crc32(request.node.nodeid.encode())


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chains", "draws", "bins"), [(4, 1000, 20), (2, 50, 5), (8, 100, 10)])
def test_the_band_of_ranks_is_hypergeometric(chains: int, draws: int, bins: int) -> None:
    lower, upper = rank_band(chains, draws, bins)
    law, tail = stats.hypergeom(chains * draws, chains * draws // bins, draws), LEVEL / (2 * bins * chains)
    assert law.cdf(lower - 1) <= tail < law.cdf(lower)
    assert law.sf(upper) <= tail < law.sf(upper - 1)


def test_chains_that_agree_stay_in_the_band_and_others_do_not(request: pytest.FixtureRequest) -> None:
    generator = np.random.default_rng(seed_of(request))
    chains, draws, bins, times = 4, 200, 10, 1000
    lower, upper = rank_band(chains, draws, bins)
    left = 0
    for _ in range(times):
        counts = rank_counts(generator.normal(size=(chains, draws)), bins)
        left += bool(np.any((counts < lower) | (counts > upper)))
    assert stats.binomtest(left, times, LEVEL, alternative="greater").pvalue > 1e-4
    shifted = generator.normal(size=(chains, draws)) + 0.8 * (np.arange(chains) == 0)[:, None]
    assert np.any(rank_counts(shifted, bins) > upper)


def test_ranks_of_ties_are_shared_out() -> None:
    counts = rank_counts(np.zeros((4, 500)), 10)
    assert counts.sum() == 2000
    assert (counts.sum(axis=0) == 200).all()
    lower, upper = rank_band(4, 500, 10)
    assert ((counts >= lower) & (counts <= upper)).all()


def test_dependence_is_thinned_away_and_disagreement_is_not() -> None:
    phi = 0.8
    chains = autoregressive(4, 4000, phi)
    expected = (1 + phi) / (1 - phi)  # integrated autocorrelation time
    assert abs(independent(chains) - expected) < 0.35 * expected
    assert independent(normal(4, 1000) + 10 * np.arange(4)[:, None]) <= 2


def test_density_is_that_of_a_normal_and_does_not_fade_at_a_bound() -> None:
    x, height = density(normal(20_000))
    assert abs(np.trapezoid(height, x) - 1) < 0.01
    assert np.max(np.abs(height - stats.norm.pdf(x))) < 0.03
    x, height = density(np.random.default_rng(0).exponential(size=20_000))
    assert abs(height[0] - 1) < 0.1


def test_correlations_are_sums_of_products() -> None:
    values = autoregressive(2, 300, 0.5)
    found = correlations(values, 5)
    for chain, row in enumerate(values):
        centred = row - row.mean()
        for lag in range(6):
            direct = (centred[: 300 - lag] * centred[lag:]).sum() / (centred**2).sum()
            assert abs(found[chain, lag] - direct) < 1e-12


def test_divergences_point_to_the_scalar_that_makes_them() -> None:
    posterior = {"mu": normal(4, 200), "theta": normal(4, 200, 3, seed=1), "tau": np.exp(normal(4, 200, seed=2))}
    diverging = posterior["tau"] < np.quantile(posterior["tau"], 0.05)
    reader = Reader(a_run(posterior, stats={"diverging": diverging}))
    assert by_divergence(reader, list(posterior))[0] == "tau"
    assert by_divergence(Reader(a_run(posterior)), list(posterior)) == []


def test_what_a_lattice_is_like_on_average() -> None:
    spins = np.array([[[1, -1]], [[1, 1]], [[1, -1]], [[1, -1]]])
    mean, word = summary_of(spins, palette(-1, 1))
    assert (mean.tolist(), word) == ([[1.0, -0.5]], "mean")
    colours = np.array([[0, 2], [0, 2], [2, 1], [0, 2]])
    most, word = summary_of(colours, palette(0, 2))
    assert (most.tolist(), word) == ([0, 2], "most frequent")
    assert palette(0, 0).two
    assert palette(1, 1).two
    assert palette(0, 40).listed == ()


def test_the_surface_is_the_energy() -> None:
    from energylang.run.pictures.surface import model_of, surface

    run = of_rings()
    (x, y), found = surface(model_of(Reader(run)), run["z"].reshape(-1, 2))
    across, up = np.meshgrid(x, y)
    assert np.allclose(found, 8 * (np.hypot(across, up) - 3) ** 2, rtol=1e-4, atol=1e-4)
    assert x[0] < run["z"][..., 0].min()
    assert y[-1] > run["z"][..., 1].max()


def test_a_surface_ends_where_its_space_does() -> None:
    from energylang.run.pictures.surface import model_of, surface

    text = "data top: real = 2.0\nenergy rings(a: positive, b: interval(-1, top)) = a + b^2\n"
    values = {"a": np.abs(normal(2, 50)), "b": np.clip(normal(2, 50, seed=1), -0.99, 1.99)}
    run = a_run(values, {"m.energy": text}, observed={"top": np.array(2.0)})
    (x, y), found = surface(model_of(Reader(run)), np.stack([values["a"], values["b"]], 2).reshape(-1, 2))
    across, up = np.meshgrid(x, y)
    inside = (across > 0) & (up >= -1) & (up <= 2)
    assert 0 < inside.mean() < 1
    assert (np.isfinite(found) == inside).all()
    assert np.allclose(found[inside], (across + up**2)[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sources": {"rings.energy": RINGS.replace("8 *", "4 *")}}, "another energy"),
        ({"sources": {}}, "keeps no model"),
        ({"sources": {"rings.energy": "energy other(z: real[2]) = sum(z^2)"}}, "not all of one text"),
        ({"sources": {"rings.energy": "data k: real\n" + RINGS}}, "all the data"),
    ],
)
def test_no_surface_of_another_energy(change: dict[str, Any], why: str) -> None:
    run = of_rings()
    other = a_run({"z": run["z"]}, **{"sources": {"rings.energy": RINGS}, **change}, stats={"lp": run.stats("lp")})
    with pytest.raises(DiagnosticError) as error:
        other.plot("energy")
    assert (error.value.diagnostics[0].code, why in error.value.diagnostics[0].message) == ("E0891", True)


# --- what is chosen -------------------------------------------------------------------------------------------------


def test_no_array_pushes_others_out() -> None:
    assert in_turn([100, 1, 2], 6) == [3, 1, 2]
    assert in_turn([1, 1], 9) == [1, 1]
    run = a_run({"a": normal(2, 40, 50), "b": normal(2, 40)})
    chosen = Reader(run).scalars((), 4)
    assert [s.name for s in chosen.scalars] == ["lp", "a[0]", "a[1]", "b"]
    assert chosen.note == "48 more not shown unless named"
    assert [s.name for s in Reader(run).scalars(("a[7]", "lp"), 9).scalars] == ["a[7]", "lp"]


class Sliced:
    """An array that counts what is read of it at once."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype, self.most, self.read = shape, np.dtype(np.float32), 0, 0

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        draws = len(range(self.shape[1])[key[1]])
        part = np.broadcast_to(
            np.arange(self.shape[1], dtype=np.float32)[key[1]][None, :, None], (self.shape[0], draws, *self.shape[2:])
        )
        self.most, self.read = max(self.most, part.nbytes), self.read + draws
        return part


def test_a_long_run_is_read_in_pieces_and_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    run, stored = a_run({"x": normal(2, 10)}), Sliced((2, 1_000_000, 100))
    monkeypatch.setattr(Run, "view", lambda _run, _name: stored)
    reader = Reader(run)
    kept = reader.array("x")
    assert kept.shape[1] <= reader.most
    assert (np.diff(kept[0, :, 0]) == reader.stride).all()
    assert stored.read == 1_000_000
    assert stored.most <= BLOCK_BYTES


@pytest.mark.parametrize(
    ("kind", "names", "code"),
    [
        ("traec", (), "E0890"), ("trace", ("zz",), "E0892"), ("trace", ("z[2]",), "E0892"), ("trace", ("z[0,0]",), "E0892"),
        ("trace", ("z[0",), "E0892"), ("states", (), "E0891"), ("states", ("z",), "E0891"), ("weights", (), "E0891"),
        ("pair", ("z[0]",), "E0891"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn(kind: str, names: tuple[str, ...], code: str) -> None:
    with pytest.raises(DiagnosticError) as error:
        of_rings(2, 20).plot(kind, *names)
    assert [d.code for d in error.value.diagnostics] == [code]
    assert error.value.diagnostics[0].fix


# --- pictures -------------------------------------------------------------------------------------------------------


def odd() -> Run:
    """One constant, one with NaN, integers, a scalar over orders of magnitude, names with a dollar."""
    broken = normal(3, 60)
    broken[0, 3] = np.nan
    return a_run(
        {
            "constant": np.full((3, 60), 2.5),
            "broken": broken,
            "wide": np.exp(4 * normal(3, 60, seed=4)),
            "count": np.random.default_rng(0).poisson(3, (3, 60)),
        },
        facts={"method": "nuts() $x^2$"},
        stats={"diverging": normal(3, 60) > 1.5},
    )


def lattice(*shape: int, values: tuple[int, ...] = (-1, 1), chains: int = 3) -> Run:
    s = np.random.default_rng(0).choice(values, (chains, 30, *shape)).astype(np.int8)
    return a_run({"s": s}, stats={"lp": normal(chains, 30)})


RUNS: dict[str, tuple[Any, set[str]]] = {
    "rings": (of_rings, {"trace", "rank", "pair", "energy", "forest"}),
    "one chain": (lambda: of_rings(1, 100), {"trace", "pair", "energy", "forest"}),
    "three draws": (lambda: of_rings(4, 3), {"trace", "pair", "energy", "forest"}),
    "one draw": (lambda: of_rings(1, 1), {"trace", "forest"}),
    "weighted": (of_weights, {"trace", "weights"}),
    "odd": (odd, {"trace", "rank", "pair"}),
    "spins": (lambda: lattice(8, 6), {"trace", "rank", "states.s"}),
    "sequence": (lambda: lattice(20, values=(0, 1, 2, 3), chains=6), {"trace", "rank", "states.s"}),
    "layers of counts": (lambda: lattice(2, 4, 5, values=tuple(range(30))), {"trace", "rank", "states.s"}),
    "many": (
        lambda: a_run({f"v{i}": normal(2, 40, 40, seed=i) for i in range(6)}),
        {"trace", "rank", "pair", "forest"},
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_the_pictures_that_there_is_something_for(name: str) -> None:
    make, kinds = RUNS[name]
    before = "matplotlib.pyplot" in sys.modules
    found = dict(pictures(Reader(make())))
    assert set(found) == kinds
    for each in found.values():
        assert each.caption.endswith(".")
        width, height = each.get_size_inches()
        assert 3 < width <= 10
        assert 1.5 < height <= 15
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_picture_is_a_png_of_the_caller_s_matplotlib_untouched() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red", "text.parse_math": True}):
        before = dict(mpl.rcParams)
        figure = a_run({"x": autoregressive(4, 100, 0.9)}).plot("autocorrelation")
        assert dict(mpl.rcParams) == before
    png = figure.png()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 200_000
    assert {text.get_fontsize() for text in figure.axes[0].get_xticklabels()} == {7.5}


def test_every_kind_is_explained() -> None:
    import inspect

    doc = inspect.getdoc(Run.plot) or ""
    assert all(kind in doc for kind in KINDS)
    assert picture(Reader(of_rings(2, 20)), "trace").caption == "Densities and traces by chain of lp, z[0], z[1]."
