"""The one registry of diagnostic codes; `energylang explain CODE` and the documentation read it.

Ranges: E01 text and syntax · E02 names · E03 types, shapes and indices · E04 spaces and supports ·
E05 normalisation and blocks · E06 tasks and methods · E07 data and parameters · E08 runs and files ·
E09 usage · L lints. A code is never reused for another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: `title` is a few words, `explanation` a paragraph with an example and its mend."""

    title: str
    explanation: str
    severity: Literal["error", "warning", "note"] = "error"
    exit_code: int = 1


CODES: dict[str, Code] = {}


def _register(
    table: dict[str, tuple[str, str]], *, severity: Literal["error", "warning", "note"] = "error", exit_code: int = 1
) -> None:
    for name, (title, explanation) in table.items():
        if name in CODES:
            raise KeyError(f"diagnostic code {name} is registered twice")
        CODES[name] = Code(title, explanation, severity, exit_code)


# --- names, types, spaces, blocks, tasks, data (the checker and the binding of data) ------------------------------

_register(
    {
        "E0201": (
            "unknown name",
            "A value is used that nothing declares. Variables and conditions of an energy, its `let`s, and the file's `const`, `data`, `let` and `param` can be used as values; check the spelling, or declare it.",
        ),
        "E0202": (
            "unknown function or distribution",
            "Something is called that neither the file, the standard library nor the language defines. Functions and distributions have a namespace of their own: `const beta` and `beta(2, 2)` are different things.",
        ),
        "E0203": ("declared twice", "Two declarations, or two names of one energy, have the same name. Rename one."),
        "E0204": (
            "cycle",
            "Declarations are order-free, but one may not depend on itself: `const a = b` with `const b = a` has no value.",
        ),
        "E0205": (
            "a reserved or built-in name",
            "This name belongs to the language (for example `pi`) and cannot be declared.",
        ),
        "E0206": (
            "wrong arguments",
            "A call gives too many, too few, unknown or doubled arguments. The message shows the signature.",
        ),
        "E0207": (
            "not a constant",
            "Here the value must be known when the model is checked: a number, a `const`, or arithmetic of these. `--set name=value` overrides a const.",
        ),
        "E0208": (
            "used as the wrong kind of thing",
            "A value is called, or a function, distribution or energy is used where a value is needed.",
        ),
        "E0301": (
            "shapes that do not fit",
            "Two arrays meet whose dims differ. Axes are aligned from the last; an axis of size 1 stretches; two different dim names never match, even when the data happen to give them one size.",
        ),
        "E0302": (
            "wrong kind of value",
            "bool, int and real are promoted in this order and never back: a number is not a condition (write `x == 1`), a real is not an index.",
        ),
        "E0303": (
            "wrong number of axes",
            "An operation got an array with a number of axes, or of entries, that it does not take.",
        ),
        "E0304": (
            "index or slice",
            "An index has more items than the array has axes, a slice runs outside it, or an index cannot be shown to stay inside. Nothing is ever clamped.",
        ),
        "E0305": (
            "a dim that cannot be solved",
            "A dim is a number, a const, an int from data, or a name that some data has as one of its dims. A name found nowhere else has no value.",
        ),
        "E0306": (
            "not a dim",
            "A size is an integer or arithmetic (+, -, *) of integers, consts and dim names, and never negative.",
        ),
        "E0307": (
            "a term that is not a number",
            "`+=` and the body of an energy take one number: sum an array first, with `sum(…)`.",
        ),
        "E0401": (
            "support too small",
            "The target of `~` can take values that the distribution gives no density: `x: real` with `exponential`. Declare the variable with the space that the message names.",
        ),
        "E0402": (
            "truncation with varying arguments",
            "The variable's space is smaller than the distribution's support, and the distribution's arguments vary: the missing normalising constant would change the model silently. Use a distribution on that space.",
        ),
        "E0403": (
            "unknown space",
            "The name after `:` is not a space. The spaces are real, positive, unit, interval(a, b), simplex[k], ordered[k], positive_ordered[k], spin, binary, cat(k), count; int and bool are for data.",
        ),
        "E0404": (
            "wrong use of a space",
            "A space got the wrong number of arguments or dims, an empty interval, a `cat` of fewer than one value, or a data-only type as a variable.",
        ),
        "E0405": (
            "argument outside its space",
            "A distribution's argument can be shown to lie outside what it takes: a negative scale, a probability above one.",
        ),
        "E0500": ("not in this version", "The language has this, and this version of EnergyLang does not do it yet."),
        "E0501": (
            "target of `~`",
            "Only a variable, data, a data-only `let`, or an index or slice of one can stand left of `~`: no Jacobian is ever invented. For anything else write `+= d(e | arguments)`.",
        ),
        "E0502": ("not a distribution", "The right of `~` is a distribution with its arguments: `normal(0, 1)`."),
        "E0503": (
            "data needed",
            "A top-level `let` is computed once from data alone: it cannot use variables or params.",
        ),
        "E0504": ("an energy without variables", "An energy needs at least one random variable before the bar."),
        "E0600": ("unknown energy", "A task or `--of` names an energy that the file does not declare."),
        "E0601": ("unknown method", "No method of this name is in the catalog: `energylang methods` lists them."),
        "E0602": (
            "unknown option",
            "The method or the run has no such option: `energylang methods NAME` lists a method's.",
        ),
        "E0603": ("bad value of an option", "An option got a value of the wrong type or outside its range."),
        "E0604": (
            "the method does not fit",
            "The method needs something that this energy lacks. Nothing was compiled; the message names methods that fit.",
        ),
        "E0605": (
            "the method does not do this task",
            "Each method serves some of the tasks sample, evidence, train, test and optimize.",
        ),
        "E0606": (
            "several energies",
            "The file declares several energies and no task says which one is meant: add a task, or give `--of NAME`.",
        ),
        "E0607": (
            "wrong binding",
            "`on (name = value)` binds the conditions of the energy; `train` binds its variables too.",
        ),
        "E0608": (
            "condition without a value",
            "The energy has conditions, and nothing binds them: add `on (name = value)` to the task, or give the value in Python.",
        ),
        "E0609": ("nothing to do", "The file declares no energy."),
    }
)

_register(
    {
        "E0701": (
            "data missing",
            "A `data` declaration has no value: not from `--data`, not from a file named with `from`, and no default.",
        ),
        "E0702": (
            "data of the wrong type",
            "A value cannot be read as what its declaration says: text for a number, a real for an int.",
        ),
        "E0703": (
            "data of the wrong shape",
            "A value has another number of axes or other sizes than its declaration, or two data disagree about a dim they share.",
        ),
        "E0704": (
            "data outside its space",
            "A value lies outside the space of its declaration; the message says where the first one is.",
        ),
        "E0705": ("data not finite", "A value is NaN or infinite; the message says where the first one is."),
        "E0706": (
            "unknown data name",
            "`--data name=…` or `data={name: …}` names something that the model does not declare.",
        ),
        "E0707": (
            "data file unreadable",
            "A data file is missing, is not of its format, or is of a format that is not known (JSON, NPZ, NPY, CSV, netCDF).",
        ),
        "E0708": (
            "too large",
            "The arrays of this model would need more memory than there is. Sizes are estimated before anything is allocated.",
        ),
        "E0709": (
            "index outside its axis",
            "Data used as an index points outside the array it indexes. Indices count from 0.",
        ),
        "E0710": ("wrong values in a call", "A compiled energy was called with missing, unknown or misshapen values."),
    },
    exit_code=3,
)

_register(
    {
        "E0901": ("usage", "An option of the command line has no such name or value."),
    },
    exit_code=2,
)

_register({"E0999": ("internal error", "A defect of EnergyLang. Please report it with the model.")}, exit_code=125)

_register(
    {
        "L0101": (
            "density up to a constant",
            "The variable's space is smaller than the distribution's support. With constant arguments the missing constant does not matter to draws, but log Z shifts by it; `half_normal` or another distribution on that space says what is meant.",
        ),
        "L0102": (
            "flat variable",
            "No term mentions this variable, so it is flat on its space: on an unbounded space the energy cannot be normalised.",
        ),
    },
    severity="warning",
)

_register(
    {
        "N0701": ("unused data", "Keys of a data file that the model does not declare; they are left alone."),
    },
    severity="note",
)
