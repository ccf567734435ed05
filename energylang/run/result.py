"""A run as Python sees it: its draws, its summary, and what is known about it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from energylang.run import checks
from energylang.run.data import LIKELIHOOD, OBSERVED, POSTERIOR, PREDICTIVE, PRIOR, STATS, WEIGHTED, Data, FileData
from energylang.run.html import run_html
from energylang.run.summary import Summary, summarise, summarise_weighted

if TYPE_CHECKING:
    from energylang.run.pictures.style import Picture


class Run(Mapping[str, np.ndarray]):
    """The result of `sample` or `evidence`: a mapping from variables and reports to their draws [chain, draw, …].

    Draws are read from memory, or from the run's file when they are asked for. Weighted draws were resampled to equal
    weights; as they were drawn they are in the group `weighted_posterior`.
    """

    def __init__(self, data: Data, facts: Mapping[str, Any]) -> None:
        self.data, self.facts = data, dict(facts)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """The run in a netCDF file that a run wrote; raises E0831 where it is not one."""
        data = FileData(Path(path))
        return cls.of(data, data.facts)

    @staticmethod
    def of(data: Data, facts: Mapping[str, Any]) -> Run:
        """The run of these data, as its task wants it."""
        if facts.get("task") == "optimize":
            from energylang.run.optimum import Optimum

            return Optimum(data, facts)
        return Run(data, facts)

    def group(self, name: str) -> str:
        """The name of a group in this run, which may be of the prior."""
        return PRIOR.get(name, name) if self.is_prior else name

    @property
    def is_prior(self) -> bool:
        """Whether the draws are those of the prior (`prior = true`)."""
        return PRIOR[STATS] in self.data.groups()

    @cached_property
    def _places(self) -> dict[str, str]:
        """The group of each variable and report; data drawn anew have the names of data, and are not among them."""
        main, predictive = self.group(POSTERIOR), self.group(PREDICTIVE)
        places = dict.fromkeys(self.data.names(main), main)
        observed = self.data.names(OBSERVED)
        return places | {n: predictive for n in self.data.names(predictive) if n not in observed and n not in places}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.data.read(self._places[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def view(self, name: str) -> Any:
        """A variable or report as `draws` gives it, read slice by slice where it is in a file; raises KeyError."""
        return self.data.view(self._places[name], name)

    def draws(self, name: str) -> np.ndarray:
        """[chain, draw, …] of a variable or report; raises KeyError for a name that is not there."""
        return self[name]

    def predictive(self, name: str) -> np.ndarray:
        """[chain, draw, …] of data drawn anew (`predictive = true`), or of a `report a ~ d(…)`; KeyError where none is."""
        return self.data.read(self.group(PREDICTIVE), name)

    def log_likelihood(self, name: str) -> np.ndarray:
        """[chain, draw, …], minus the energy of each observation of a datum (`log_likelihood = true`); KeyError."""
        return self.data.read(LIKELIHOOD, name)

    def stats(self, name: str) -> np.ndarray:
        """[chain, draw] of a statistic of the sampler, such as `lp`; raises KeyError where there is none."""
        return self.data.read(self.group(STATS), name)

    def summary(self) -> Summary:
        """A row for `lp` and each scalar of each variable; computed once."""
        return self._summary

    @cached_property
    def _summary(self) -> Summary:
        if self.weighted:
            variables = ((name, self.data.view(WEIGHTED, name)) for name in self.data.names(WEIGHTED))
            return summarise_weighted(variables, self.stats("log_weight"))
        lp = [("lp", self.stats("lp"))] if "lp" in self.data.names(self.group(STATS)) else []
        return summarise(
            pair
            for pairs in (lp, ((n, self.data.view(group, n)) for n, group in self._places.items()))
            for pair in pairs
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What is doubtful, each in one sentence that says what to do."""
        if self.weighted:
            count = self.stats("log_weight").size
            return checks.weight_warnings(self.facts["pareto_k"], self.facts["weight_ess"], count)
        summary = self.summary()
        return [
            *checks.chain_warnings(self.data, summary),
            *checks.length_warnings(self.facts, self.options, self.data, summary),
        ]

    @property
    def optimised(self) -> bool:
        """Whether it has best points of restarts (`optimize`), and no draws."""
        return False

    @property
    def weighted(self) -> bool:
        return WEIGHTED in self.data.groups()

    @property
    def path(self) -> Path | None:
        """The netCDF file, or None for a run in memory."""
        return self.data.path if isinstance(self.data, FileData) else None

    @property
    def method(self) -> str:
        return self.facts["method"]

    @property
    def reason(self) -> str:
        """Why this method, one sentence."""
        return self.facts["reason"]

    @property
    def options(self) -> dict[str, Any]:
        """The resolved options of the run."""
        return json.loads(self.facts["options"])

    @property
    def programs(self) -> int:
        """How many programs were compiled."""
        return self.facts["programs"]

    @property
    def sampling_time(self) -> float:
        """Seconds spent in steps, compiling left out."""
        return self.facts["sampling_time"]

    @property
    def log_z(self) -> float | None:
        """The log of the normaliser, where the method estimates it."""
        return self.facts.get("log_z")

    @property
    def log_z_error(self) -> float | None:
        """The standard error of `log_z`, by the delta method."""
        return self.facts.get("log_z_error")

    @property
    def elbo(self) -> float | None:
        """The mean log weight, a lower bound of log Z in expectation."""
        return self.facts.get("elbo")

    @property
    def weight_ess(self) -> float | None:
        """How many equally weighted draws the weighted ones are worth."""
        return self.facts.get("weight_ess")

    @property
    def pareto_k(self) -> float | None:
        """The shape of the tail of the weights; above 0.7 no estimate is reliable. None where all are equal."""
        value = self.facts.get("pareto_k")
        return None if value is None or math.isnan(value) else value

    @property
    def sources(self) -> dict[str, str]:
        """The texts of the model by the names of their files, its own first."""
        return self.data.sources()

    def plot(self, kind: str = "trace", *names: str) -> Picture:
        """A picture, as a Matplotlib figure: `run.plot("pair", "mu", "theta[0]").savefig("pair.png")`.

        kind: trace, rank, pair, energy, states, forest, weights, autocorrelation or objective. names: variables, reports,
        or entries of them; without names a few of each. Needs the extra `plot`. Raises DiagnosticError: E0890 for an
        unknown kind, E0891 where this run has nothing of it, E0892 for an unknown name, E0904 without Matplotlib.
        """
        from energylang.run.pictures import picture
        from energylang.run.pictures.choice import Reader

        return picture(Reader(self), kind, names)

    def report(self, path: str | Path | None = None) -> Path:
        """Write all there is to know of this run as one HTML file, which needs nothing else; its path.

        path: without one, beside the run's file. Raises DiagnosticError E0893 where it cannot be written.
        """
        from energylang.run.report import write_report

        return write_report(self, path)

    def to_arviz(self) -> Any:
        """An InferenceData (ArviZ below 1.0) or a DataTree; needs the extra `arviz`."""
        import arviz

        groups = {
            group: {name: self.data.read(group, name) for name in self.data.names(group)}
            for group in self.data.groups()
            if group not in ("run", WEIGHTED)
        }
        warmup = any(group.startswith("warmup_") for group in groups)
        make: Any = arviz.from_dict
        if arviz.__version__.split(".")[0] == "0":
            return make(**groups, save_warmup=warmup)
        return make(groups, save_warmup=warmup)

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<Run of `{self.facts['energy']}` with {self.method}{where}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        return run_html(self)
