"""What comes of `train`: params and the trace of the loss, in memory and as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from energylang.model import Params
from energylang.run import output
from energylang.run.data import PARAMS, FileData, safe_name
from energylang.run.netcdf import Writer
from energylang.run.params import named_leaves, read_params
from energylang.run.provenance import Provenance
from energylang.run.trainer import HELD_LOSS

TRACE = "training"


class Training:
    """The result of `train`: `params` (the model's tree, host arrays) and `trace` (float32[steps] by name).

    The trace has `loss`, `gradient_norm` and the metrics of the first player, and those of every other with `_<name>` after
    them; a step that a player sits out is NaN. `rolled_back` is 1 at the steps that were taken back, `validation_loss` NaN
    but at the steps after which what is held out was looked at.
    """

    def __init__(
        self, params: Params, trace: Mapping[str, np.ndarray], facts: Mapping[str, Any], path: Path | None
    ) -> None:
        self.params, self.trace, self.facts, self.path = params, dict(trace), dict(facts), path

    @classmethod
    def open(cls, path: str | Path, like: Params) -> Training:
        """What a training run wrote, the params in the tree of `like`; raises E0831 where they do not fit."""
        data = FileData(Path(path))
        trace = {name: data.read(TRACE, name) for name in data.names(TRACE)}
        return cls(read_params(data.path, like), trace, data.facts, data.path)

    @property
    def loss(self) -> float:
        """The mean loss of the last tenth of the steps, of those whose loss is finite; NaN where none is."""
        values = self.trace["loss"][-max(1, len(self.trace["loss"]) // 10) :]
        values = values[np.isfinite(values)]
        return float(np.mean(values, dtype=np.float64)) if values.size else np.nan

    @property
    def validation_loss(self) -> float | None:
        """The loss of what is held out: the lowest where training ended by it, else the last; None without any."""
        if HELD_LOSS not in self.trace:
            return None
        if self.options["patience"] is not None:
            return self.facts["best_loss"]
        seen = self.trace[HELD_LOSS][~np.isnan(self.trace[HELD_LOSS])]
        return float(seen[-1]) if seen.size else None

    @property
    def best_step(self) -> int | None:
        """After how many steps what is held out had its lowest loss; None without any."""
        return self.facts.get("best_step")

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        return len(self.trace["loss"])

    @property
    def ended(self) -> str:
        """By what it ended: `steps`, `patience`, or `diverged`."""
        return self.facts["ended"]

    @property
    def warnings(self) -> list[str]:
        """What is doubtful, a sentence each."""
        found = []
        back, scale = self.facts["rollbacks"], self.facts["step_scale"]
        if back:
            steps = "1 step had" if back == 1 else f"{back:,} steps had"
            left = f"steps are now {scale:.3g} of what was asked" if scale < 1 else "steps are whole again"
            found.append(
                f"{steps} a loss or a gradient that is not finite, and was taken back; {left}: try a smaller learning rate, or `clip = 1.0`"
            )
        if HELD_LOSS in self.trace and self.best_step is not None and self.ended == "steps" and self.steps:
            lowest, last = self.facts["best_loss"], self.validation_loss
            if (
                self.options["patience"] is None
                and last is not None
                and self.best_step <= self.steps // 2
                and lowest < last
            ):
                found.append(
                    f"the validation loss was lowest after {self.best_step:,} of {self.steps:,} steps ({lowest:.5g}, and {last:.5g} at last): `patience = 10` keeps the best params"
                )
        return found

    @property
    def method(self) -> str:
        return self.facts["method"]

    @property
    def options(self) -> dict[str, Any]:
        return json.loads(self.facts["options"])

    @property
    def programs(self) -> int:
        return self.facts["programs"]


def write(path: Path, training: Training, provenance: Provenance) -> None:
    """The netCDF-4 file of a training; it replaces `path` at the end."""
    with Writer(path) as writer:
        writer.group(PARAMS, {})
        for name, leaf in named_leaves(training.params).items():
            writer.whole(PARAMS, name, leaf)
        writer.group(TRACE, {}, step=training.steps)
        for name, values in training.trace.items():
            writer.whole(TRACE, safe_name(name), values, ("step",))
        output.write_origin(writer, provenance, training.facts)
