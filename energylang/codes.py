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


# --- text and syntax (E01) ----------------------------------------------------------------------------------------

_register(
    {
        "E0101": (
            "stray character",
            "A character that no name, number or operator contains. Names consist of the letters a to z and A to Z, digits and underscores; text copied from elsewhere may carry characters that cannot be seen.",
        ),
        "E0102": (
            "unclosed bracket",
            "A `(`, `[` or `{` without its partner: `normal(0, 1` lacks a `)`. The finding points at the bracket that was opened and at the place by which it should have been closed.",
        ),
        "E0103": (
            "wrong closing bracket",
            "A `)`, `]` or `}` that closes nothing, or another bracket than the one opened last: `f(x]`.",
        ),
        "E0104": (
            "broken string",
            'A string stands between double quotes on one line: `"data.json"`. Inside it, `\\\\` is a backslash and `\\"` a quote.',
        ),
        "E0105": (
            "malformed number",
            "Numbers are written `12`, `5_000`, `0.5`, `1e-3`. A point has a digit on both sides (`0.5`, not `.5`; `1.0`, not `1.`), an underscore stands between two digits.",
        ),
        "E0106": (
            "unexpected text",
            "Something stands where the grammar allows something else; the message says what was expected.",
        ),
        "E0107": (
            "chained comparison",
            "`0 < x < 1` is two comparisons: write `0 < x and x < 1`.",
        ),
        "E0108": (
            "`=` instead of `==`",
            "`=` gives a name or an option its value; two values are compared with `==`.",
        ),
        "E0109": (
            "operator of another language",
            "Powers are written `^`, logic `and`, `or`, `not`, the matrix product `@`; all other operators work element by element.",
        ),
        "E0110": ("transpose with `'`", "A quote after a value is easily overlooked: write `transpose(x)`."),
        "E0111": ("semicolon", "A new line ends a statement or a declaration; `;` is not needed and not allowed."),
        "E0112": ("comment of another language", "Comments start with `#` and go to the end of the line."),
        "E0113": (
            "`if` or `fn` without brackets",
            "`if … then … else …` and `fn(x): …` reach as far right as they can, so beside an operator they need brackets: `1 + (if c then a else b)`.",
        ),
        "E0114": (
            "reserved word as a name",
            "The words that begin declarations, tasks and statements cannot be names: `data`, `test`, `energy`, `from`… Choose another; `lambda`, `normal` and `sum` are free.",
        ),
        "E0115": (
            "statement of another language",
            "Models are declared, not programmed: variables are declared in the signature of an energy (`energy model(mu: real, tau: positive) { … }`), data with `data y: real[N]`, names with `let`; there are no loops and no assignments.",
        ),
        "E0116": (
            "in the wrong place",
            "`~`, `+=` and `report` stand in the block of an energy; declarations stand outside of blocks, each at the start of a line.",
        ),
        "E0117": (
            "something is missing between",
            "Items in brackets are separated by commas, statements and declarations by new lines, operands by an operator (`2 * x`, not `2x`).",
        ),
        "E0118": (
            "nested too deeply",
            "Brackets and expressions may be nested 100 levels deep; give the inner parts names with `let`. Long sums are not nested and may have any length.",
        ),
        "E0119": ("wrong quotes", 'Strings stand between straight double quotes: `"data.json"`.'),
        "E0121": (
            "not a text",
            "Model files are UTF-8 text. Save the file as UTF-8 in your editor; data files belong to `--data`.",
        ),
        "E0122": ("file too large", "A model file has at most 10 MB; large tables belong into a data file."),
    }
)

_register(
    {
        "E0120": (
            "unreadable file",
            "The file does not exist, is a folder, or may not be read. Check the path and its permissions.",
        ),
    },
    exit_code=2,
)


_register(
    {
        "E0238": (
            "extern net without a function",
            '`extern net f: real[2] -> real` is a function that Python gives: `energylang.load(path, bind = {"f": function})`. A model with extern nets can be checked on the command line, and run from Python; every extern net needs a function, and every function an extern net.',
        ),
    },
    exit_code=2,
)


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
        "E0209": (
            "too deep or too long",
            "Functions and distributions are expanded where they are called. Calls inside calls beyond a limit, or functions that call others twice and so double in size again and again, are refused before they exhaust memory.",
        ),
        "E0210": (
            "several values where one is needed",
            "A tuple, `(a, b)` or what a function or a `scan` over several states gives, is taken apart by `let (a, b) = …` and is no value by itself: no operator and no index takes it. An array is written `[a, b]`.",
        ),
        "E0211": (
            "a size that depends on a turn",
            "Arrays have one size, known before the model runs: in `[for i in n: sum(x[:i])]` the slice would have another length for every `i`. Take the whole array and select, `[for i in n: sum(for j in n: if j < i then x[j] else 0)]`, or index with an array of constant length, `x[i + range(3)]`.",
        ),
        "E0212": (
            "nothing to run over",
            "A generator runs over a size (`for i in n`: the indices 0 to n - 1) or over the first axis of an array (`for x in xs`). A number that is not known before the model runs is neither.",
        ),
        "E0213": (
            "names and values differ in number",
            "`let (a, b) = …` takes apart a tuple: `(1, 2)`, the states of a `scan` over several, or the value of a function that gives a tuple. It has as many names as values. An array is no tuple: index it.",
        ),
        "E0214": (
            "a function that does not fit",
            "`scan(f, init, xs)` and `fold(f, init, xs)` call f with every part of the state, then with one element of each sequence; `ode(f, y0, ts)` calls f with the time and the state. f is `fn(s, x): …`, or the name of an `fn` with as many parameters.",
        ),
        "E0215": (
            "unknown solver",
            "`tsit5` and `dopri5` are explicit Runge-Kutta methods of order 5, `kvaerno5` is an implicit one for stiff equations: those whose solution is smooth while its derivative is large.",
        ),
        "E0230": (
            "unknown module",
            "`import shapes.rings` is the file `shapes/rings.energy` below the model's folder; `import lattices` is `lattices.energy` in the model's folder, or a module of the standard library. A model that is only a text imports from the standard library alone.",
        ),
        "E0231": (
            "ambiguous module",
            "A file beside the model has the name of a module of the standard library. Neither hides the other: rename the file.",
        ),
        "E0232": (
            "module outside the folder",
            "A model reads files of its own folder and of folders below it. A link that leads elsewhere is not followed: copy the file.",
        ),
        "E0233": (
            "cycle of imports",
            "Modules may import each other in any order, but not in a circle. What two modules share belongs into a third, which both import.",
        ),
        "E0234": (
            "unknown name of a module",
            "`rings.radius` is the `radius` that the module `rings` declares, and the model has to import the module: `import shapes.rings`, or `import shapes.rings as r` for another name. What a module imports itself belongs to it alone.",
        ),
        "E0235": (
            "a module as a value",
            "A module is a place of names, neither a value nor a function: write `rings.radius` for what it declares.",
        ),
        "E0236": (
            "not a net",
            "A net is declared with its form: `net f: real[2] -> real = mlp([64, 64], act = tanh)`. The widths of the hidden layers come first, in brackets; `time = fourier(k)` replaces the last input, a number, by k frequencies.",
        ),
        "E0237": (
            "wrong type of a net",
            "A net takes numbers and vectors, `(real[2], real)`, and gives a real number or a vector of reals. Its dims are known from consts or data.",
        ),
        "E0239": (
            "wrong function of an extern net",
            "The function that was bound to an `extern net` takes one event of each declared input, as float arrays, and gives an array of the declared shape. It is written in JAX, so that it can be compiled and differentiated.",
        ),
        "E0240": (
            "not a schedule",
            "A schedule is declared with its family: `schedule noise = cosine(levels = 100)`. An energy at every level of it is written `energy ring(x: real[2] @ t: noise) = …`.",
        ),
        "E0241": (
            "not a level",
            "Levels run from 0, the data, to 1, the noise.",
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
        "E0310": (
            "a state that changes its shape",
            "The state of a `scan` or a `fold` has the same parts, of the same shapes, after every turn, and the derivative of an `ode` the shape of its state. An integer at the start becomes a real where the function makes it one; a number does not become an array: start with `zeros([n])`.",
        ),
        "E0311": (
            "times that do not increase",
            "`ode(f, y0, ts, t0 = 0)` gives the solution at the times `ts`, which increase and begin at `t0` or later.",
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
            "The name after `:` is not a space. The spaces are real, positive, unit, interval(a, b), simplex[k], ordered[k], positive_ordered[k], corr_cholesky[k], cov_cholesky[k], spin, binary, cat(k), count; int and bool are for data.",
        ),
        "E0404": (
            "wrong use of a space",
            "A space got the wrong number of arguments or dims, an empty interval, a `cat` of fewer than one value, or a data-only type as a variable.",
        ),
        "E0405": (
            "argument outside its space",
            "A distribution's argument can be shown to lie outside what it takes: a negative scale, a probability above one.",
        ),
        "E0420": (
            "truncated to another space",
            "The bounds of `truncate` are not those of the variable's space. The density ends where its bounds are, and a sampler that moves in a larger space would run into a wall, in a smaller one miss a part of the mass. Declare the variable with the space that the message names.",
        ),
        "E0421": (
            "nothing left by truncate",
            "The bounds of `truncate` leave nothing of the distribution's support: the lower one is not below the upper one, or both lie on one side of the support.",
        ),
        "E0422": (
            "distribution function not known",
            "`truncate` divides a density by its mass between the bounds, which needs the distribution function. Of a distribution `d` that is `fn d_log_cdf(x, …)` with the arguments of `d` after x, the log of the probability of values up to x; `fn d_log_ccdf` is that of values above x. Many distributions of the standard library have theirs; of your own, declare one.",
        ),
        "E0423": (
            "a distribution that is not normalised",
            "`check --verify` integrates or sums every `distribution` of the model at random arguments, in float64. This one misses one by more than the error of the rule, so what rests on its promise (normalised models, mixtures, log Z) would be wrong. The message says by how much and where.",
        ),
        "E0410": (
            "bound not known yet",
            "A bound of `interval(a, b)` may use consts, data, params, conditions and the variables declared before it in the signature. What comes after it has no value yet when the bound is needed, and two spaces cannot bound each other. Change the order of the declarations.",
        ),
        "E0411": (
            "shape of a bound",
            "Bounds broadcast to the shape of their space and never enlarge it: `interval(0, a)[N]` with `a: real[N]` bounds each entry by its own.",
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
        "E0510": (
            "not a composition of energies",
            "Without variables in brackets an energy is made of others: `energy both = product(a, b)`, with `condition`, `marginal`, `product`, `mixture`, `temper` or `rename`, inside each other too. An energy with a formula names its variables: `energy e(x: real) = x^2`.",
        ),
        "E0511": (
            "no such variable in a composition",
            "`marginal(e, over = z)`, `condition(e, y = 3)` and `rename(e, x = y)` name variables or conditions that the energy has.",
        ),
        "E0512": (
            "nothing left, or not a fixed value",
            "A composition must leave a variable random, and what it fixes variables at is made of consts, data and params.",
        ),
        "E0513": (
            "energies that do not fit together",
            "Variables of one name are one variable: in every energy of a composition it has the same space. The parts of a mixture have the same variables. `rename(e, x = y)` gives another name.",
        ),
        "E0514": (
            "a normaliser that is needed and not known",
            "A mixture of energies whose log Z is not known has no weights (`relative = true` weighs the unnormalised densities). A conditional energy whose normaliser varies with its condition cannot be a factor of a product.",
        ),
        "E0515": (
            "a sum that is too large",
            "Summing discrete variables out costs little where they factorise, or are coupled along chains or trees. Cycles cost tables over many sites at once: beyond a few million entries, or 65,536 configurations of a term without structure, the sum is refused with its cost.",
        ),
        "E0516": (
            "cannot be summed out",
            "`marginal` sums discrete variables out, and drops variables that nothing but their own density mentions. Integrals over other continuous variables have no closed form here: sample the whole energy and use its draws without the variable, fix it with `condition`, or estimate log Z with `evidence`.",
        ),
        "E0517": (
            "not a density",
            "Right of `~` stands a distribution or an energy that is known to be normalised. `+= e(x | c)` adds the energy of any other as it is.",
        ),
        "E0530": (
            "no draw from this",
            "`report a ~ d(…)` needs a distribution that can be drawn from: one of the standard library, one of the model's own over finitely many values, one of numbers whose distribution function is known between the bounds of `truncate`, or a mixture of these. A distribution that the model declares by a formula on the reals says how likely a value is, and not how one is drawn.",
        ),
        "E0531": (
            "nothing is observed",
            "`log_likelihood` and `predictive` are about data that the model observes by `~`, and this energy has none: it is an expression, or all its `~` are on variables. `report a ~ d(…)` draws predictions of any kind.",
        ),
        "E0532": (
            "data that cannot be drawn anew",
            "`predictive` draws each datum left of a `~` from its distribution, given the variables. It needs one density for the datum, of a distribution that can be drawn from, and data that do not depend on each other in a circle; entries may depend on those before them (`y[1:] ~ normal(y[:-1], s)`).",
        ),
        "E0533": (
            "no draws from the prior",
            "`prior` draws each variable from its own `~`, given the variables that it mentions. So every variable needs exactly one density, of a distribution that can be drawn from; energy added by `+=`, variables that are flat, and distributions that a space cuts (`sigma: positive`, `sigma ~ normal(0, 1)`; write `half_normal`) have no such draw.",
        ),
        "E0534": (
            "the prior needs no method",
            "Draws from the prior are exact and independent: no method has a part in them.",
        ),
        "E0535": (
            "entries without a density",
            "A variable whose parts have densities of their own (`z[0] ~ …`, `z[1:] ~ …`) can be drawn from where every entry has exactly one.",
        ),
        "E0560": (
            "not a flow",
            "A flow is a law of one variable, `real`, `positive` or `unit`, given as a base and the layers that move its draws: `flow f(z: real[2] | c: real[3]) = normal |> repeat(8, coupling(spline(bins = 8), [64, 64]))`. Layers stand in flows alone. Neither a bound of a space nor what a task binds goes through a flow.",
        ),
        "E0561": (
            "not a base",
            "A flow begins with a law that is known and lives on `real`, `positive` or `unit`: `normal`, `uniform` (between 0 and 1), `mixture(4)` (normals that are learned), or whatever may stand right of `~`, such as `student_t(4, 0, 1)` or a normalised energy of the file.",
        ),
        "E0562": (
            "not a layer",
            "After the base of a flow stand its layers, in the direction of sampling. `docs/flows.md` lists them.",
        ),
        "E0563": (
            "an argument of a layer",
            "A layer takes what its form in `docs/flows.md` shows, such as `coupling(spline(bins = 8), [64, 64])`: how entries are moved, the widths of the hidden layers of its net in brackets, options by name.",
        ),
        "E0564": (
            "a layer that does not fit",
            "Each layer takes what the one before it gives: vectors, of at least two entries for `coupling`; reals, unless it goes from one space to another as `exp`, `sigmoid`, `log` and `logit` do. The last one gives the space of the variable.",
        ),
        "E0600": ("unknown energy", "A task or `--of` names an energy that the file does not declare."),
        "E0601": ("unknown method", "No method of this name is in the catalog: `energylang methods` lists them."),
        "E0602": (
            "unknown option",
            "The method or the run has no such option: `energylang methods NAME` lists a method's.",
        ),
        "E0603": ("bad value of an option", "An option got a value of the wrong type or outside its range."),
        "E0851": (
            "unknown optimizer, or schedule of learning rates",
            "`optimizer = …` takes one of the optimizers of the catalog, and its learning rate a number or one of the schedules: `adamw(cosine(1e-3, warmup = 500), weight_decay = 1e-5)`. docs/train.md lists them; in Python a GradientTransformation of Optax may stand there too.",
        ),
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
        "E0660": (
            "not a constraint",
            "`constraint name(x: …) = left <= right` compares expressions in its variables, entry by entry, by `<=`, `>=` or `==`; several comparisons are joined by `and`, or are constraints of their own. Between integers `<`, `>` and `!=` may be used too.",
        ),
        "E0661": (
            "a constraint where an energy is needed",
            "A constraint says which points `optimize` may give: `optimize size, constraints = [independent]`. It is no energy, so nothing samples it, and no composition is made of it.",
        ),
        "E0662": (
            "a constraint without a distance",
            "`optimize` needs to know by how much a constraint is missed: `a <= b` by max(0, a - b), `a == b` by the distance of a and b. Truth values of discrete variables, `or`, `not` and `!=`, count one where they do not hold; for continuous ones they have no slope, and a strict `<` has no edge.",
        ),
        "E0664": (
            "annealing that heats",
            "`anneal(…, start = T, end = t)` lowers the temperature from `start` to `end`; without them both follow from the energy.",
        ),
        "E0665": (
            "a constraint that annealing cannot keep",
            "After annealing, points are repaired by single changes of discrete variables, and reals have none. Constraints of continuous variables are kept by `descent()`, where all variables are continuous; otherwise say it by the space of the variable, or add a term that grows outside.",
        ),
        "E0663": (
            "the constraint does not fit",
            "The variables and conditions of a constraint are those of the energy that is optimised, by name, and in the same spaces. Without `constraints = […]` a task takes every constraint of the file that is about a variable of its energy.",
        ),
    }
)

_register(
    {
        "E0412": (
            "bounds in the wrong order",
            "With these data the lower bound of an interval is not below the upper one, so the space is empty. For bounds that depend on variables or params the energy is infinite wherever that happens.",
        ),
    },
    exit_code=3,
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
        "E0711": (
            "a node out of range",
            "An edge of a graph names a node that is not there. Nodes of DIMACS and Matrix Market files are counted from 1, those of edge lists from 0 or, with `--data graph.txt,base=1` or a line `# base: 1` of the file, from 1; how many there are says the header, `nodes=N`, or the largest. In Python, edges are an array int[E, 2] with a weight for each or none.",
        ),
        "E0712": (
            "a self-loop",
            "An edge of a graph joins a node with itself: a constant in a spin model, a penalty on the node in others. `--data graph.txt,simplify=true` leaves self-loops out.",
        ),
        "E0713": (
            "an edge that is there twice",
            "Two lines of a graph join the same nodes, and both would count. `--data graph.txt,simplify=true` keeps the first. A file that lists every edge once in each direction, with one weight, is a whole symmetric matrix, and each is one edge.",
        ),
        "E0714": (
            "a graph file against its header",
            "The header of a graph file says another number of nodes or edges than there are: the file is cut off or was edited.",
        ),
        "E0715": (
            "a graph without edges",
            "Nothing would couple the nodes, and a model of independent nodes needs no graph: `x ~ bernoulli(p)`.",
        ),
        "E0716": (
            "nodes counted from 0 or 1",
            "An edge list without a node 0 counts from 1, or its node 0 has no edge; which of them is never guessed. Say `--data graph.txt,base=1` or `base=0`, or put a line `# base: 1` into the file.",
        ),
        "E0717": (
            "a wrong option of a graph file",
            "Behind the name of a graph file stand `base=0` or `base=1` (what the first node is called), `nodes=N` (how many there are) and `simplify=true` (leave out self-loops and edges that are there again), separated by commas.",
        ),
        "E0718": (
            "no such graph",
            "A generator of `energylang.graphs` was called with numbers that make no graph, or a networkx graph is directed.",
        ),
    },
    exit_code=3,
)

_register(
    {
        "E0901": ("usage", "An option of the command line has no such name or value."),
        "E0902": (
            "no such device",
            "`--device` names a kind of device that JAX cannot use on this machine. `energylang doctor` lists the devices there are; JAX needs a build for each kind, for example `pip install 'jax[cuda12]'`.",
        ),
        "E0904": (
            "an extra is not installed",
            "This command needs a package that a plain installation leaves out: `pip install 'energylang[plot]'` for pictures, `pip install 'energylang[lsp]'` for the language server, `pip install 'energylang[export]'` for exported energies, `pip install 'energylang[arviz]'` for `run.to_arviz()`.",
        ),
        "E0890": (
            "no such picture",
            "`energylang plot --kind` and `run.plot` know the kinds of pictures that the message lists.",
        ),
        "E0891": (
            "nothing to see",
            "A picture was asked for that this run has nothing for: ranks compare chains, a surface needs an energy of two real numbers, states need discrete arrays. Without `--kind`, `energylang plot` draws all that there is something for.",
        ),
        "E0892": (
            "no such variable",
            "The run has no variable, report or entry of this name; entries are named as in the summary, `theta[0]`.",
        ),
        "E0893": (
            "the report cannot be written",
            "A report is one HTML file. Give a path that ends in `.html`, in a folder that exists and is yours to write; a run that is only in memory has no file beside which it could go.",
        ),
        "E0903": (
            "the file is there already",
            "`energylang new` never overwrites a model: choose another name, or remove the file.",
        ),
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
        "L0103": (
            "a real where less is meant",
            "A distribution's argument must be positive, a probability, or on the simplex, and what is given is declared `real`: values outside would give an energy that is not a number, or a wrong one. Declare it with the space that is meant.",
        ),
        "L0104": (
            "an empty model",
            "The file has no declarations: comments at most. A model declares at least one energy: `energy e(x: real) = x^2`.",
        ),
        "L0105": (
            "a comment that allows nothing",
            "`# allow L0103` at the end of a line, or on a line of its own above it, silences that lint there. Nothing of this code is found there, so the comment has outlived its reason, stands at the wrong line, or names a code that cannot be allowed: errors cannot.",
        ),
        "L0106": (
            "declared and not used",
            "Nothing uses this data, const, param, function or `let`: remove it, or use it; it may be that another name was meant somewhere. A model without an energy is taken for a module, whose names are for others.",
        ),
        "L0107": (
            "a `let` that hides another name",
            "A `let` in a block has the name of something declared at the top level, so that the name means two things in one file. Rename one.",
        ),
        "L0108": (
            "a comparison that cannot vary",
            "A discrete variable is compared with a value that it never has: a spin is -1 or 1, `cat(3)` is 0, 1 or 2. The comparison is the same for every draw.",
        ),
        "L0102": (
            "flat variable",
            "No term mentions this variable, so it is flat on its space: on an unbounded space the energy cannot be normalised. Or `~` gives a density to `x[1]` and all entries after it, and `x[0]`, the first, has none.",
        ),
        "L0120": (
            "a distribution that was not verified",
            "`check --verify` integrates or sums distributions of one or two free entries that depend on nothing but their arguments. Whether this one is normalised is left to its author.",
        ),
    },
    severity="warning",
)

_register(
    {
        "N0715": (
            "params of another text",
            "`--params` takes what was learned with another text of the model. Names and shapes of the params fit; whether the energy means the same is for you to know. A changed task or comment does not matter.",
        ),
        "N0702": (
            "a default among given data",
            "Data were given, and some declarations were not among them: their defaults are used beside the given values.",
        ),
        "N0703": (
            "reports that are not kept",
            "A mixture of energies keeps no reports: which part a draw came from is not known.",
        ),
        "N0701": ("unused data", "Keys of a data file that the model does not declare; they are left alone."),
    },
    severity="note",
)


_register(
    {
        "N0711": (
            "a graph in several parts",
            "No path leads from some nodes of a graph to others, or some have no edge at all. That may be meant; it is also what a file looks like that counts from 1 and is read as if from 0.",
        ),
        "N0712": (
            "an edge from a node to itself",
            "Data that index one variable by both of their columns, `s[edges[:, 0]] * s[edges[:, 1]]`, are the edges of a graph, and one of them joins a node with itself. Such a term couples nothing: of a spin it is a constant, of a binary variable a field. In graph files it is an error (E0712).",
        ),
        "N0713": (
            "a graph without edges",
            "Data that index one variable by both of their columns are the edges of a graph, and there are none, so that the entries of the variable are independent. In graph files it is an error (E0715).",
        ),
        "N0714": (
            "a variable of one value",
            "The space `cat(1)` has the value 0 alone. A variable of it is 0 in every draw, and no method moves it. Often the number of categories comes from data or a const that are not meant.",
        ),
    },
    severity="warning",
)


_register(
    {
        "E0640": (
            "`blocks` binds a method to no variable",
            "In `blocks(z = gibbs(), nuts())` the name before `=` must be a variable of the energy that is sampled. "
            "Write the name of one, or leave it out: a method without a name moves all it can that no other took.",
        ),
        "E0641": (
            "`blocks` leaves a variable unmoved",
            "Every variable must be moved by one of the inner methods, or the draws of it would never change. "
            "`blocks(gibbs())` on a model with a continuous variable needs a second method: `blocks(gibbs(), nuts())`.",
        ),
        "E0642": (
            "a method of `blocks` has nothing to move",
            "A method without a name takes every variable it can move that no other took. In `blocks(nuts(), mala())` "
            "nothing continuous is left for `mala`. Bind methods to variables: `blocks(mu = nuts(), tau = mala())`.",
        ),
        "E0643": (
            "`blocks` binds a method to a variable it cannot move",
            "`nuts` and `mala` move continuous variables, `gibbs` and `gwg` discrete ones. "
            "In `blocks(z = nuts())` with `z: spin[n]`, bind `z` to `gibbs()` or `gwg()`.",
        ),
        "E0644": (
            "`blocks` binds a variable twice",
            "In `blocks(z = gibbs(), z = gwg())` the second method would undo nothing and cost twice. Keep one.",
        ),
        "E0645": (
            "too many configurations to list",
            "`enumerate` evaluates the energy of every configuration, and there are more than its `limit`: n spins have "
            "2^n. Sample with `gibbs` or `gwg`; or raise the limit, `enumerate(limit = 4_000_000)`, where memory allows.",
        ),
        "E0646": (
            "continuous variables cannot be listed",
            "`enumerate` is for energies of discrete variables only. Sample a continuous one with `nuts`, a mixed one "
            "with `blocks(gibbs(), nuts())`; or marginalise the continuous part.",
        ),
        "E0647": (
            "nothing to adapt",
            "`gwg(adaptive = true)` learns how many sites to draw a step, between 1 and `flips`, whose default is 1. "
            "Say how many it may draw: `gwg(flips = 32, adaptive = true)`.",
        ),
        "E0809": (
            "too few chains",
            "The chains of a method such as `chees` learn one step size, one metric and one length of trajectories together, from how they differ from one another; a few chains say too little. Without `chains` there are as many as it is for.",
        ),
        "E0810": (
            "`blocks` of chains that move together, and of chains that learn by themselves",
            "In `blocks(gibbs(), chees())` all chains share what they learn, and so no other method in it may learn something for each chain, as `nuts`, `metropolis` and `gwg(adaptive = true)` do. `gibbs` and `gwg` learn nothing.",
        ),
        "E0811": (
            "chains that move together, inside a method of one chain",
            "`tempering` moves copies of one chain at several temperatures, each with a tuning of its own. The chains of `chees` share one tuning, so `chees` cannot stand inside: take `nuts` or `hmc`.",
        ),
        "E0648": (
            "no method is chosen by itself for this task",
            "`auto` knows what to do for `sample`, `evidence` and `train`. Name a method for other tasks.",
        ),
        "E0650": (
            "too many joint values in a block",
            "`gibbs(block = b)` evaluates all joint values of b sites in every update, k^b of sites with k values, and "
            "`hamming_ball` those that differ from a point in at most `radius` of `block` sites. Give smaller ones.",
        ),
        "E0651": (
            "blocks have no colours",
            "`gibbs(scan = colour)` draws all sites of a colour at once, each by itself; with `block` above one sites are "
            "drawn jointly, one block after another. Leave `scan` out, or write `scan = systematic` or `scan = random`.",
        ),
        "E0652": (
            "nothing to propose",
            "Every discrete variable is `cat(1)`, which has the value 0 alone, so that no proposal could differ from where the "
            "chain is. Leave such variables out, or move them by `gibbs()`, which proposes nothing.",
        ),
        "E0655": (
            "no clusters of this energy",
            "`swendsen_wang` binds sites that are asked to agree, so the energy must couple sites in pairs and depend on a pair "
            "only by whether its values agree, each with a weight J >= 0: `-J * sum(s * roll(s, 1))` of spins, "
            "`-sum(J * (s[edges[:, 0]] == s[edges[:, 1]]))` of any values, beside terms of single sites. Rows of three sites, "
            "matrix products and frustrated couplings (a cycle whose pairs cannot all be met) need `gibbs`, `gwg` or `tempering`.",
        ),
        "E0656": (
            "couplings that need not be ferromagnetic",
            "Of sites of more than two values `swendsen_wang` needs J >= 0. Where J is made of a variable or a param, its space "
            "must say so: with `J: positive`, `-J * sum(s == roll(s, 1))` is fine, with `J: real` it is not.",
        ),
        "E0657": (
            "no trees to draw along",
            "`forward_backward` draws groups of sites jointly, each a forest of couplings in pairs given the rest: chains, trees, "
            "rows of a lattice, the chains of a factorial model. Where the terms couple every site with every other at once "
            "(a matrix product `dot(s, W @ s)`, a net, `sum(s)^2`), sites are only to be had one by one: use `gibbs` or `gwg`.",
        ),
        "E0658": (
            "a method that cannot stand inside another",
            "`blocks` and `tempering` take methods that move a point: `gibbs`, `nuts`, `hmc`… `auto` chooses a method, and "
            "`enumerate`, `importance` and `direct` make draws from nothing. `tempering` keeps copies of all variables, so it "
            "stands around the others: `tempering(blocks(gibbs(), nuts()))`, not `blocks(tempering(gibbs()), nuts())`. "
            "`data_augmentation` finds hidden variables of a whole energy at its own temperature, so it stands alone.",
        ),
        "E0659": (
            "no hidden variables to draw",
            "`data_augmentation` needs an energy that sums hidden variables out, `marginal(e, over = h)` or `-sum(softplus(a))`, and "
            "draws them again. All variables must be discrete, the energy with the hidden ones beside them must have exact gains (the "
            "`a` of degree one in the sites, say), and no two hidden sites may interact given the others, as those of a chain do. "
            "Where that is not so use `gwg` or `gibbs`, or declare the hidden variables and sample them too.",
        ),
    }
)

# --- runs and files (the drivers) ---------------------------------------------------------------------------------

_register(
    {
        "E0801": (
            "no place to start",
            "A hundred random points of each chain, from uniform(-2, 2) on the unconstrained space shrinking towards 0, all had an infinite or undefined energy, Jacobian or gradient. Usually a space is wider than the support of a term (`sigma: real` where `positive` is meant), or the energy has log(0), 0/0 or an overflow near the middle of its spaces.",
        ),
        "E0802": (
            "not finite",
            "A draw that was kept has an energy that is infinite or undefined, so nothing after it can be trusted. An energy without lower bound (a density that is infinite somewhere), or float32 overflow, does this; `--x64` tells the two apart.",
        ),
        "E0803": (
            "nothing was accepted",
            "Not one proposal of any chain was accepted during sampling: the draws are one point repeated. Give more warm-up, a smaller step, or a method that fits the model better (`energylang methods`).",
        ),
        "E0804": (
            "the disk is full",
            "The file system ran out of space. What was drawn before is kept and whole: free some space and give the same command with `--resume`, or write elsewhere with `--out`.",
        ),
        "E0805": (
            "not enough memory",
            "The draws alone would need more memory than this machine has. Give `--out` (draws then go to disk as they are made), fewer draws or chains, or keep less of a draw.",
        ),
        "E0806": (
            "the loss is not finite",
            "The loss of a training step, or its gradient, is infinite or undefined. The step is taken back to the last params whose loss was finite, and steps are halved; this is said when that has happened ten times, one upon the other. With `--out` the last good params are in the file. Usually the learning rate is too large, or the energy overflows on some row of the data.",
        ),
        "E0807": (
            "every weight is zero",
            "No particle landed where the target has any density, so there is no estimate. The base and the target do not overlap: use a path with more levels between them, or a Markov chain method.",
        ),
        "E0808": (
            "chains that move together, in several processes",
            "The chains of a method such as `chees` learn from one another in warm-up, and so stay in one process, on one device. Leave `--distributed` out, or take a method whose chains are independent: `nuts`, `hmc`.",
        ),
        "E0841": (
            "the processes could not be joined",
            "With `--distributed` every process waits for the others: process 0 listens at the address, the others call it, and all must come within the time allowed. Start all of them, each with its own `id`, and check that the address can be reached from every host and is not blocked. Without an address JAX looks for a cluster that it knows (Slurm, Open MPI, Kubernetes, Cloud TPU).",
        ),
        "E0842": (
            "the processes do different things",
            "Processes that share a run must have the same model, data, options and versions, and do the same runs in the same order; only the machine may be another. The message lists what differs.",
        ),
        "E0843": (
            "a process is gone",
            "A process of the run was killed, lost its network or failed, and the others ended rather than wait for ever. What was drawn before is kept by process 0: start all processes again with `--resume`.",
        ),
        "E0844": (
            "not with several processes",
            "`sample` and `evidence` share their chains and particles among processes that are joined. This task runs in one process: leave `--distributed` out; with several devices it needs no other process.",
        ),
    },
    exit_code=4,
)
_register(
    {
        "E0857": (
            "conditionals that are not known exactly",
            "`pseudo_likelihood` needs the exact change of the energy when a single site changes. Where a term is opaque (a net, say) that change is an estimate. Learn such an energy by particles, `pcd(sampler = gwg())`.",
        ),
        "E0855": (
            "nothing is held out",
            "`every` and `patience` are about the loss of rows that are held out of training: give `validation` too.",
        ),
        "E0856": (
            "a warm-up longer than the training",
            "The learning rate would still be rising at the last step. Give a shorter `warmup`, or more `steps`.",
        ),
    },
    exit_code=2,
)
_register(
    {
        "E0870": (
            "the budget ended before a draw",
            "The time of `budget` was over while the run was still in warm-up, whose steps are no draws: there is nothing to summarise. Compiling is part of the time. Give a longer `budget`, less `warmup` or a quicker method; a run with `--out` goes on with `--resume` and any budget.",
        ),
    },
    exit_code=4,
)
_register(
    {
        "E0820": (
            "cannot write there",
            "The file of a run, or the folder of its parts beside it, cannot be created or written. Check that the folder exists and is yours to write, or give another `--out`.",
        ),
        "E0821": (
            "the checkpoint is of another run",
            "`--resume` continues a run only if everything its draws depend on is the same: model sources, data, options, method, versions, lane width and device. The message lists what differs. Undo that, or run without `--resume` to start again.",
        ),
        "E0822": (
            "another run is writing there",
            "Two runs cannot write the same output. Wait for the other to end, or give another `--out`.",
        ),
        "E0882": (
            "no such variable in the notebook",
            "`%%energy --data NAME` takes data from a variable of the notebook, and no cell that was run made one of that name.",
        ),
        "E0881": (
            "no such platform",
            "An energy is exported for `cpu`, `cuda`, `rocm` and `tpu`, one or several of them.",
        ),
        "E0823": (
            "not a run",
            "The file named by `--out` is there and is something else, perhaps the model itself. A run replaces an earlier run, and nothing else.",
        ),
    },
    exit_code=2,
)
_register(
    {
        "E0830": (
            "the checkpoint is damaged",
            "A part of an interrupted run cannot be read back, or does not have the arrays of this model, and what follows it cannot be continued. Remove the folder and start again; the same seed gives the same draws.",
        ),
        "E0880": (
            "cannot be exported",
            "JAX cannot write this energy as StableHLO for every platform and batch size that was asked for: an operation of it (or of a function bound to an `extern net`) runs in Python, or has no form for a platform. Fewer platforms may do.",
        ),
        "E0831": (
            "not the file of a run",
            "The file is missing, cut off, or was not written by `energylang`.",
        ),
        "E0860": (
            "a start for what is no variable",
            "The values that chains are to start at (`init`) have a name that no variable of the energy has. A file of starts has variables only; the netCDF file of an earlier run may have more.",
        ),
        "E0861": (
            "a start of the wrong shape",
            "A starting value has the shape of its variable, or one more dim before it, as long as there are chains. An earlier run must have as many chains as are asked for.",
        ),
        "E0862": (
            "a start outside its space",
            "A starting value lies outside the space of its variable, or on its edge, which is infinitely far away on the unconstrained scale where chains move.",
        ),
        "E0863": (
            "a start whose bounds are unknown",
            "The bounds of a variable are made of another variable. Where the first is given a start, the second needs one too.",
        ),
        "E0864": (
            "a run without draws of these variables",
            "The earlier run that chains are to start from has no draws of any variable of this energy.",
        ),
        "E0865": (
            "a start that is not finite",
            "At the starting values that were given the energy, or its gradient, is infinite or undefined: they lie outside the support of some term.",
        ),
        "E0852": (
            "fewer rows than a minibatch has",
            "`batch = n` takes n rows a step, and there are fewer to train on. Give a smaller `batch`, or leave it out: then every step takes all rows.",
        ),
        "E0853": (
            "nothing is held out, or nothing is left",
            "`validation = 0.1` holds out a tenth of the rows, `validation = 500` five hundred of them, chosen by the seed. At least one row is held out, and at least one is left to train on.",
        ),
        "E0854": (
            "no rows to train on",
            "The data that `on (…)` binds have no rows.",
        ),
        "E0850": (
            "a run without draws",
            "`summary` is about draws, and the file is that of a training: its params are arrays, and `plot` shows its loss.",
        ),
    },
    exit_code=3,
)
_register(
    {
        "E0840": (
            "interrupted",
            "The run was stopped by Ctrl-C after its current chunk. With `--out` what was drawn is kept beside the output file, and the same command with `--resume` continues to the very draws that an uninterrupted run gives.",
        ),
    },
    exit_code=130,
)
