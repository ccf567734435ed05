"""What a run of chains, or of what is like them, has around its loop: processes, signals, lanes, parts, and the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from energylang.run import checks, output
from energylang.run.hosts import Hosts, hosts
from energylang.run.interrupt import Interruptible
from energylang.run.lanes import Lanes, width_of
from energylang.run.length import Ended, Length
from energylang.run.parts import Parts
from energylang.run.programs import Programs
from energylang.run.progress import Progress, Silent
from energylang.run.provenance import Provenance, closure, program_closure
from energylang.run.result import Run
from energylang.run.store import Elsewhere, Memory, Stage

if TYPE_CHECKING:
    from energylang.run.chains import Chains


def conduct(
    make: Callable[[Progress, Hosts], Chains],
    length: Length,
    options: dict[str, Any],
    *,
    lanes: Mapping[str, int],
    provenance: Provenance,
    out: Path | None,
    resume: bool,
    progress: Progress,
    threads: int,
    chunk: int | None,
    ensemble: bool = False,
) -> Run:
    """Run chains, or what is like them, from their programs to the file. options: those that decide the numbers."""
    chains, warmup, keep_warmup = options["chains"], length.warmup, options.get("keep_warmup", True)
    if ensemble:
        checks.require_one_process(jax.process_count())
    width = chains if ensemble else width_of(lanes, chains)
    closed = closure(provenance, {**options, **length.decisive}, width)
    together = hosts(closed)
    if not together.first:
        progress = Silent()
    with together, Interruptible(progress) as signals:
        if out is not None and (finished := output.finished_before(out, closed, resume, together, length.satisfied)):
            progress.note(f"`{out}` is whole already")
            return finished
        driver = make(progress, together)
        part = (together.index, together.count)
        with Lanes(chains, width, threads, part=part, together=ensemble) as group:
            programs = Programs(group, program_closure(provenance, {**options, "thinned": length.thin > 1}, width))
            options |= length.options

            def facts_of(ended: Ended) -> dict[str, Any]:
                said = output.facts(provenance, options, closed, ended.seconds, programs.compiled)
                return said | ended.facts() | driver.facts

            if out is None:
                memory = Memory()
                ended = driver.run(programs, memory, None, chunk, signals, out)
                counts: dict[Stage, int] = {"warmup": warmup, "sampling": ended.draws}
                data = output.in_memory(memory, provenance, counts, driver.more)
                run = Run.of(data, together.word(facts_of(ended)))
            elif together.first:
                with Parts(out, closed) as parts:
                    ended = driver.run(programs, parts, parts if resume else None, chunk, signals, out)
                    progress.phase("writing")
                    facts = facts_of(ended)
                    counts = {"warmup": warmup if keep_warmup else 0, "sampling": ended.draws}
                    output.write(out, parts, provenance, facts, chains, counts, driver.more)
                    parts.remove()
                run = Run.of(output.FileData(out), together.word(facts))
            else:
                driver.run(programs, Elsewhere(), None, chunk, signals, out)
                run = output.written_elsewhere(out, together.word(None))
    if together.first or out is None:
        checks.require_acceptance(run.data)
    return run
