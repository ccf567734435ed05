"""`energylang sample`, `evidence` and `train`: one body, options from the catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from energylang.catalog import RUN_OPTIONS, Verb
from energylang.cli.failures import FAILED, POOR, as_data, fail, print_json, say
from energylang.cli.join import DETECT, is_first, joined, read_meeting
from energylang.cli.options import (
    Checked,
    bind_model,
    catalog_options,
    check_model,
    data_option,
    json_option,
    of_option,
    params_option,
    read_bindings,
    read_data,
    set_option,
)

if TYPE_CHECKING:
    from energylang.api import Plan
    from energylang.cli.progress import Console
    from energylang.cli.start import Device


@dataclass(frozen=True)
class Command:
    """What the command line says besides the options of the run."""

    verb: Verb
    model: str
    of: str | None
    data: tuple[str, ...]
    settings: tuple[str, ...]
    on: tuple[str, ...]
    method: str | None
    out: str | None
    device: Device | None
    resume: bool
    x64: bool
    as_json: bool
    strict: bool
    quiet: bool
    distributed: str | None = None
    threads: int = 0
    params: str | None = None
    report: str | None = None
    """An HTML file; empty for one beside the run."""

    def path(self, prior: bool = False) -> Path:
        """Where the run is written: `--out`, else after the model and what is done, in the current folder."""
        if self.out is not None:
            return Path(self.out)
        what = "prior" if prior else self.verb
        return Path(Path(self.model).stem + ("" if what == "sample" else f".{what}") + ".nc")


def _report_place(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Ends the command before it runs where its report could not be written."""
    if value:
        from energylang.run.report import report_path

        report_path(value, None)
    return value


def _command(verb: Verb, description: str) -> click.Command:
    def call(**values: Any) -> int:
        own = {option.name: values.pop(option.name) for option in RUN_OPTIONS[verb]}
        return _run(Command(verb, **values), {name: value for name, value in own.items() if value is not None})

    call.__doc__ = description
    shared: list[Callable[..., Any]] = [
        click.argument("model", metavar="MODEL"),
        of_option,
        data_option,
        set_option,
        params_option,
        click.option("--on", multiple=True, metavar="NAME=VALUE", help="A value, or a data file, for a condition."),
        click.option("--method", metavar="METHOD", help="For example 'nuts(target_acceptance = 0.9)'; see `methods`."),
        catalog_options(RUN_OPTIONS[verb]),
        click.option("--out", metavar="FILE", help="The netCDF file to write; otherwise named after the model."),
        click.option("--device", type=click.Choice(["cpu", "gpu", "tpu"]), help="Where to compute."),
        click.option("--resume", is_flag=True, help="Continue the interrupted run of the same command."),
        click.option("--x64", is_flag=True, help="Compute in float64 instead of float32."),
        json_option,
        click.option("--strict", is_flag=True, help="Exit code 5 where the run has warnings."),
        click.option("--quiet", is_flag=True, help="No progress on standard error."),
    ]
    meeting = "Share the run with other processes: address=HOST:PORT,count=N,id=I[,timeout=S]; alone: what JAX detects."
    shared.append(
        click.option(
            "--distributed", is_flag=False, flag_value=DETECT, metavar="[WHERE]", help=meeting, hidden=verb == "train"
        )
    )
    if verb != "train":
        threads = "Threads that chains or particles share; 0 for one a core."
        report = "Also write the run as one HTML page, FILE or otherwise beside the run; after MODEL."
        shared.append(
            click.option(
                "--report", is_flag=False, flag_value="", metavar="[FILE.html]", callback=_report_place, help=report
            )
        )
        shared.append(click.option("--threads", type=click.IntRange(0), metavar="N", default=0, help=threads))
    function: Any = call
    for decorate in reversed(shared):
        function = decorate(function)
    return click.command(verb)(function)


sample_command = _command(
    "sample",
    """Draw from an energy.

    The model's own `sample` task has the defaults; what is given here wins. Draws are written as netCDF that ArviZ
    opens, and summarised on standard output. Ctrl-C keeps what was drawn, `--resume` goes on.
    """,
)
evidence_command = _command(
    "evidence",
    """Estimate log Z, the log of the energy's normaliser, with its standard error.

    For a model with `~` on data this is the log marginal likelihood.
    """,
)
train_command = _command(
    "train",
    """Learn the params of an energy from rows of data, as its `train` task says.

    The learned params and the trace of the loss are written as netCDF.
    """,
)

optimize_command = _command(
    "optimize",
    """Find the point of the lowest energy that satisfies the model's constraints.

    Restarts run side by side; the best point of each and the trace of the objective are written as netCDF. The lowest
    energy is that of the space as declared: no Jacobian is in it. Ctrl-C keeps what was found, `--resume` goes on.
    """,
)


def _run(command: Command, options: dict[str, Any]) -> int:
    meeting = None if command.distributed is None else read_meeting(command.distributed)
    if meeting is not None and command.verb == "train":
        fail(
            "E0844",
            "training runs in one process",
            fix="leave `--distributed` out; `sample` and `evidence` run with it",
        )
    quiet = command.quiet or command.as_json
    if not quiet and meeting is None:
        say(f"checking {command.model}")
    checked = check_model(command.model, command.settings)
    values = read_data(checked, command.data)
    if not quiet and meeting is None:
        say("importing JAX")
    from energylang.cli.start import start_jax

    start_jax(command.device, command.x64, meeting)
    with joined(meeting):
        return _run_here(command, options, checked, values, quiet, meeting is None or is_first())


def _run_here(
    command: Command, options: dict[str, Any], checked: Checked, values: dict[str, Any], quiet: bool, speaks: bool
) -> int:
    """speaks: whether this process prints anything at all; of several, one does."""
    from energylang.cli.progress import Console

    console = Console(quiet=quiet or not speaks)
    console.phase("lowering")
    model = bind_model(checked, values, int(options.get("seed", 0)), command.params)
    name, _ = model.choose(command.verb, command.of)
    bindings = read_bindings(checked, model.node(name), command.on)
    plan = model.plan(command.verb, name, command.method, bindings, options)
    if not command.as_json and speaks:
        console.end()
        _show_findings(checked.diagnostics.found)
    try:
        outcome = _train(plan, command, console) if command.verb == "train" else _draw(plan, command, console, speaks)
    finally:
        console.end()
    if not speaks:
        return outcome.code
    if command.as_json:
        print_json({"exit_code": outcome.code, **outcome.data, "diagnostics": as_data(checked.diagnostics.found)})
    else:
        click.echo(outcome.text)
    return outcome.code


def _show_findings(found: list[Any]) -> None:
    from energylang.render import render

    click.echo(render(found), err=True, nl=False)


@dataclass(frozen=True)
class Outcome:
    code: int
    data: dict[str, Any]
    text: str


def _draw(plan: Plan, command: Command, console: Console, speaks: bool) -> Outcome:
    from energylang.cli.report import run_data, run_text
    from energylang.run.optimum import Optimum

    run = plan.run(command.path(bool(plan.options.get("prior"))), command.resume, console, command.threads)
    data, text = run_data(run), run_text(run, console.seconds)
    if command.report is not None:
        console.phase("writing the report")
        place = run.report(command.report or None)
        data["report"] = str(place)
        text += f"\nreport in {place}"
    console.end()
    if not speaks:
        return Outcome(0, {}, "")
    code = POOR if command.strict and run.warnings else 0
    if isinstance(run, Optimum) and not run.feasible:
        code = FAILED
    return Outcome(code, data, text)


def _train(plan: Plan, command: Command, console: Console) -> Outcome:
    from energylang.cli.report import training_data, training_text

    training = plan.train(command.path(), command.resume, console)
    console.end()
    code = POOR if command.strict and training.warnings else 0
    import jax

    # One program for all params; op by op there would be one for each operation and shape.
    values = jax.jit(lambda free: plan.energy.with_params(free).params)(training.params)
    return Outcome(code, training_data(training, values), training_text(training, values, console.seconds))
