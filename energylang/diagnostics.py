"""Diagnostics: what is wrong, where, why, and how to mend it. Collected, never thrown one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from energylang.codes import CODES
from energylang.source import Source, Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that matters, with what it has to do with the error."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement that mends the model: `span` becomes `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` is one sentence saying what is wrong in the user's own names. `label` is the short text under the
    underlined `span`; `related` are other underlined places; `cause` says why it is wrong; `fix` what to do next;
    `edit` is the fix as a replacement where one is certain. `span` is None for findings outside any text
    (a missing file, a wrong option).
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Label, ...] = ()
    cause: str = ""
    fix: str = ""
    edit: Edit | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"diagnostic code {self.code} is not in the registry (energylang/codes.py)")

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    @property
    def exit_code(self) -> int:
        return CODES[self.code].exit_code


class DiagnosticError(Exception):
    """Raised at the end of a stage that found errors; carries every diagnostic, notes and warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))

    @property
    def exit_code(self) -> int:
        return min((d.exit_code for d in self.diagnostics if d.severity == "error"), default=1)


@dataclass
class Diagnostics:
    """A sink that every stage adds to."""

    found: list[Diagnostic] = field(default_factory=list)
    said: int = 0
    """How often something was added, what had been added before included."""
    _added: set[Diagnostic] = field(default_factory=set, repr=False)

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        related: Iterable[Label] = (),
        cause: str = "",
        fix: str = "",
        edit: Edit | None = None,
    ) -> None:
        """Record a finding; the same one is recorded once."""
        self.said += 1
        diagnostic = Diagnostic(code, message, span, label, tuple(related), cause, fix, edit)
        if diagnostic not in self._added:
            self._added.add(diagnostic)
            self.found.append(diagnostic)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.found)

    def raise_if_failed(self) -> None:
        """Raise a `DiagnosticError` with everything found if any of it is an error."""
        if self.failed:
            raise DiagnosticError(self.found)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """As they are read: what has no place first, then each text from its top to its end."""
    found = list(diagnostics)
    texts: dict[Source, int] = {}
    for diagnostic in found:
        if diagnostic.span is not None:
            texts.setdefault(diagnostic.span.source, len(texts))
    return sorted(found, key=lambda d: (-1, 0) if d.span is None else (texts[d.span.source], d.span.start))


ELSEWHERE: dict[str, tuple[str, ...]] = {
    # Distributions of Stan, PyMC, NumPyro and SciPy.
    "gaussian": ("normal",),
    "norm": ("normal",),
    "multi_normal": ("multi_normal", "multivariate_normal"),
    "mvn": ("multi_normal", "multivariate_normal"),
    "multivariate_normal": ("multi_normal",),
    "multi_normal_cholesky": ("multi_normal_cholesky", "multi_normal"),
    "bernoulli_logit_glm": ("bernoulli_logit",),
    "neg_binomial_2": ("neg_binomial", "negative_binomial"),
    "negative_binomial": ("neg_binomial",),
    "expon": ("exponential",),
    "student": ("student_t",),
    "t": ("student_t",),
    "double_exponential": ("laplace",),
    "lkj_corr_cholesky": ("lkj_corr_cholesky", "lkj_cholesky", "lkj"),
    "multinoulli": ("categorical",),
    # Functions.
    "ln": ("log",),
    "fabs": ("abs",),
    "sigmoid": ("inv_logit",),
    "expit": ("inv_logit",),
    "log_sum_exp": ("logsumexp",),
    "dot_product": ("dot",),
    "inner": ("dot",),
    "matmul": ("dot",),
    "fmin": ("minimum",),
    "fmax": ("maximum",),
    "cumulative_sum": ("cumsum",),
    "gammaln": ("lgamma",),
    "loggamma": ("lgamma",),
    "arange": ("range",),
    "concat": ("concatenate",),
    "append": ("concatenate",),
    "Phi": ("std_normal_cdf",),
    # Spaces and types.
    "float": ("real",),
    "double": ("real",),
    "number": ("real",),
    "integer": ("int",),
    "boolean": ("bool",),
    "categorical": ("categorical", "cat"),
    "probability": ("unit",),
    # Options.
    "adapt_delta": ("target_acceptance",),
    "target_accept": ("target_acceptance",),
    "delta": ("target_acceptance",),
    "max_treedepth": ("max_tree_depth",),
    "iter": ("draws",),
    "iterations": ("draws",),
    "samples": ("draws",),
    "num_samples": ("draws",),
    "n_samples": ("draws",),
    "iter_sampling": ("draws",),
    "tune": ("warmup",),
    "burn_in": ("warmup",),
    "burnin": ("warmup",),
    "num_warmup": ("warmup",),
    "iter_warmup": ("warmup",),
    "num_chains": ("chains",),
    "lr": ("learning_rate",),
    "epochs": ("steps",),
    "batch_size": ("batch",),
    "hmc": ("hmc", "nuts"),
    "metropolis": ("mala",),
}
"""What other systems call things, and what they are here: the first that is among the candidates is meant."""


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a name most likely means, or None where none is near."""
    listed = list(candidates)
    elsewhere = ELSEWHERE.get(name) or ELSEWHERE.get(name.lower(), ())
    certain = [c for c in elsewhere if c in listed] or [c for c in listed if c.lower() == name.lower()]
    # A name that means something elsewhere is no misspelling of what merely looks a little like it.
    close = certain or get_close_matches(name, listed, n=1, cutoff=0.85 if elsewhere else 0.6)
    return close[0] if close else None
