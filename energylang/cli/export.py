"""`energylang export`: an energy as a file that runs with JAX alone, and the loader of such files."""

from __future__ import annotations

from pathlib import Path

import click

from energylang.cli.failures import fail_usage, print_json, say
from energylang.cli.options import (
    bind_model,
    check_model,
    data_option,
    json_option,
    of_option,
    params_option,
    read_bindings,
    read_data,
    set_option,
)


@click.command("export")
@click.argument("model", metavar="MODEL", required=False)
@of_option
@data_option
@set_option
@params_option
@click.option(
    "--on", multiple=True, metavar="NAME=VALUE", help="Fix the conditions: all of them, as values or data files."
)
@click.option("--out", metavar="FILE", help="The file to write; otherwise NAME.energyx, after the energy.")
@click.option(
    "--platforms", metavar="NAMES", default="cpu,cuda,tpu", show_default=True,
    help="Where it can run: some of cpu, cuda, rocm, tpu, with commas.",
)  # fmt: skip
@click.option("--x64", is_flag=True, help="In float64 instead of float32.")
@click.option("--loader", metavar="FILE", help="Write the loader, a Python file, for those who have no EnergyLang.")
@json_option
def export_command(
    model: str | None, of: str | None, data: tuple[str, ...], settings: tuple[str, ...], params: str | None,
    on: tuple[str, ...], out: str | None, platforms: str, x64: bool, loader: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write an energy of MODEL as one file that needs JAX and no EnergyLang.

    It has the energy and the log density on the flat unconstrained vector with their gradients, the map between the two,
    and data and params that can be changed, for batches of any size. The loader is inside: `python NAME.energyx` says
    what is in a file, and how to use it.
    """
    if model is None and loader is None:
        fail_usage("`energylang export` needs a model", "`energylang export model.energy`")
    written: dict[str, str] = {}
    if loader is not None:
        written["loader"] = str(_write_loader(Path(loader)))
    if model is not None:
        written["out"] = str(_write(model, of, data, settings, params, on, out, platforms, x64, quiet=as_json))
    if as_json:
        print_json({"exit_code": 0, **written})
        return
    for path in written.values():
        click.echo(f"written to {path}")


def _write_loader(path: Path) -> Path:
    from energylang.cli.start import start_jax

    start_jax(None, False)
    from energylang.export.artefact import write_loader

    return write_loader(path)


def _write(
    path: str, of: str | None, data: tuple[str, ...], settings: tuple[str, ...], params: str | None,
    on: tuple[str, ...], out: str | None, platforms: str, x64: bool, quiet: bool,
) -> Path:  # fmt: skip
    checked = check_model(path, settings)
    values = read_data(checked, data)
    if not quiet:
        say("importing JAX")
    from energylang.cli.start import start_jax

    start_jax(None, x64)
    if not quiet:
        say("exporting")
    model = bind_model(checked, values, params=params)
    name, _ = model.choose("sample", of)
    bindings = read_bindings(checked, model.node(name), on)
    names = [part.strip() for part in platforms.split(",") if part.strip()]
    target = out if out is not None else f"{name}.energyx"
    return model.export(name, target, on=bindings or None, platforms=names)
