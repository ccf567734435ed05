"""How long chains run: so many draws, until an aim, or for a time."""

from __future__ import annotations

import math
import time
from typing import Any, Literal, NamedTuple

from energylang.diagnostics import Diagnostic, DiagnosticError
from energylang.run.looks import Looks
from energylang.run.result import Run
from energylang.run.store import Stage
from energylang.stopping import read_aim, spell

Stopped = Literal["draws", "until", "budget"]
"""The option that ended a run."""


class Length(NamedTuple):
    """At most `draws` draws a chain of `thin` steps each; an aim; seconds, and when they are over."""

    draws: int
    warmup: int
    thin: int = 1
    looks: Looks | None = None
    budget: float = math.inf
    deadline: float = math.inf

    @classmethod
    def of(cls, draws: int, warmup: int, thin: int, until: str | None, budget: float | None) -> Length:
        """By the options of a run; the time begins now."""
        looks = None if until is None else Looks(read_aim(until), draws)
        seconds = math.inf if budget is None else budget
        return cls(draws, warmup, thin, looks, seconds, time.monotonic() + seconds)

    @property
    def decisive(self) -> dict[str, Any]:
        """What of this decides which draws are made, beside their number and warm-up."""
        found: dict[str, Any] = {"thin": self.thin} if self.thin > 1 else {}
        return found | ({"until": str(self.looks.aim)} if self.looks is not None else {})

    @property
    def options(self) -> dict[str, Any]:
        """What of this was asked for. A budget decides only how many of the draws are made."""
        return self.decisive | ({"budget": self.budget} if self.budget < math.inf else {})

    def satisfied(self, run: Run) -> bool:
        """Whether a run of these draws is as long as this says."""
        return run.facts["stopped"] != "budget" or run.options["budget"] == self.budget

    @property
    def left(self) -> float:
        """Seconds until time is over."""
        return self.deadline - time.monotonic()

    @property
    def steps(self) -> int:
        return self.warmup + self.draws * self.thin

    @property
    def open(self) -> bool:
        """Whether the run may end before all its draws."""
        return self.looks is not None or self.deadline < math.inf

    def shown(self, step: int, stage: Stage, ess: float | None = None) -> tuple[int, int]:
        """How far a stage is, and how far it goes: steps from the start, or draws of a chain.

        With an aim that is as many draws as it takes where the ESS so far goes on to grow as it did.
        """
        if stage == "warmup":
            return step, self.warmup
        done = self.done(step)
        if self.looks is None or self.looks.aim.ess is None or not ess or done == self.draws:
            return done, self.draws
        return done, min(self.draws, max(self.looks.next(done), math.ceil(done * self.looks.aim.ess / ess)))

    def done(self, step: int) -> int:
        """The draws of a chain after so many steps."""
        return max(0, step - self.warmup) // self.thin

    def rows(self, step: int, warm: bool) -> int:
        """The rows of a chain that are kept after so many steps, with or without those of warm-up."""
        return self.done(step) + (min(step, self.warmup) if warm else 0)

    def stop(self, step: int) -> int:
        """The step at which the loop has something else to do: the end of warm-up, a look, or the end."""
        if step < self.warmup:
            return self.warmup
        return self.steps if self.looks is None else self.warmup + self.thin * self.looks.next(self.done(step))

    def late(self, step: int, resumable: bool) -> bool:
        """Whether time is over after so many steps. Raises E0870 where there is no draw yet."""
        if self.left > 0 or step >= self.steps:
            return False
        if self.done(step):
            return True
        where = (
            f"in warm-up, after {step:,} of {self.warmup:,} steps" if step < self.warmup else "before the first draw"
        )
        fix = "give a longer `budget` or less `warmup`"
        again = "; with `--resume` and any budget the same command goes on from there" if resumable else ""
        raise DiagnosticError(
            [
                Diagnostic(
                    "E0870",
                    f"the budget of {spell(self.budget)} ended {where}",
                    cause="compiling is part of it, and only what comes after warm-up is a draw",
                    fix=fix + again,
                )
            ]
        )


class Ended(NamedTuple):
    """How a run came to its end: seconds spent in steps, draws of a chain, and the option that ended it."""

    seconds: float
    draws: int
    stopped: Stopped

    def facts(self) -> dict[str, Any]:
        return {"draws": self.draws, "stopped": self.stopped}
