"""`energylang lsp`: the language server."""

from __future__ import annotations

from importlib.util import find_spec

import click

from energylang.cli.failures import fail


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Speak over standard input and output; there is no other way.")
def lsp_command(stdio: bool) -> None:
    """The language server, for editors to start: it speaks the Language Server Protocol over stdin and stdout.

    docs/editors.md says how to set up VS Code, Neovim, Emacs and Helix.
    """
    if find_spec("pygls") is None or find_spec("lsprotocol") is None:
        fail("E0904", "the language server needs pygls, which is not installed", fix="`pip install 'energylang[lsp]'`")
    from energylang.lsp.server import serve

    serve()
