"""The server: requests of the protocol to the functions that answer them, over stdin and stdout."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from energylang import __version__
from energylang.lsp import features
from energylang.lsp.analysis import Analysis
from energylang.lsp.completion import complete
from energylang.lsp.documents import Document, make_worker
from energylang.lsp.report import actions, report

log = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """Answers also the requests that have not the form they should have; pygls only logs these."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


class Server(LanguageServer):
    """One session with one editor."""

    def __init__(self) -> None:
        # Texts come whole: a model is short, and a client's idea of what ends a line does not matter then.
        super().__init__("energylang", __version__, types.TextDocumentSyncKind.Full, protocol_cls=Protocol)
        self.documents: dict[str, Document] = {}
        self._look = make_worker()

    @property
    def encoding(self) -> str:
        """What the client counts in a line."""
        return str(types.PositionEncodingKind(self.workspace.position_encoding or "utf-16").value)

    def open(self, uri: str, text: str, version: int | None) -> None:
        """A text was opened or changed."""
        if uri not in self.documents:
            self.documents[uri] = Document(uri, self._look, self.encoding, self._publish)
        self.documents[uri].changed(text, version)

    def close(self, uri: str) -> None:
        """A text was closed; what was said of it goes."""
        document = self.documents.pop(uri, None)
        if document is not None:
            document.close()
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    async def analysis(self, uri: str) -> Analysis | None:
        """The look at the newest text; None where none is open there."""
        document = self.documents.get(uri)
        return None if document is None else await document.analysis()

    def _publish(self, document: Document, analysis: Analysis, version: int | None) -> None:
        found = report(analysis, document.uri, document.encoding)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.uri, found, version=version))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Into the log, not into a window of the editor."""
        log.error("%s: %s", getattr(source, "__name__", source), error, exc_info=error)


def make_server() -> Server:
    """A server with every feature."""
    server = Server()
    feature = server.feature

    @feature(types.TEXT_DOCUMENT_DID_OPEN)
    def _(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        server.open(document.uri, document.text, document.version)

    @feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def _(params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.open(uri, server.workspace.get_text_document(uri).source, params.text_document.version)

    @feature(types.TEXT_DOCUMENT_DID_SAVE)
    def _(params: types.DidSaveTextDocumentParams) -> None:
        # Other open texts may import what was saved.
        for document in server.documents.values():
            document.changed(document.source.text, document.version)

    @feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def _(params: types.DidCloseTextDocumentParams) -> None:
        server.close(params.text_document.uri)

    @feature(types.TEXT_DOCUMENT_HOVER)
    async def _(params: types.HoverParams) -> types.Hover | None:
        found = await server.analysis(params.text_document.uri)
        return None if found is None else features.hover(found, params.position)

    @feature(types.TEXT_DOCUMENT_DEFINITION)
    async def _(params: types.DefinitionParams) -> types.Location | None:
        uri = params.text_document.uri
        found = await server.analysis(uri)
        return None if found is None else features.definition(found, params.position, uri, server.encoding)

    @feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def _(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol] | None:
        found = await server.analysis(params.text_document.uri)
        return None if found is None else features.symbols(found)

    @feature(types.TEXT_DOCUMENT_FORMATTING)
    async def _(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        found = await server.analysis(params.text_document.uri)
        return None if found is None else features.formatting(found)

    @feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    async def _(params: types.CodeActionParams) -> list[types.CodeAction] | None:
        uri = params.text_document.uri
        found = await server.analysis(uri)
        return None if found is None else list(actions(found, uri, server.encoding, params.range))

    @feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["~", ":", "(", ",", "."]))
    async def _(params: types.CompletionParams) -> types.CompletionList | None:
        found = await server.analysis(params.text_document.uri)
        if found is None:
            return None
        items = complete(found.source.text, found.positions.offset(params.position), found)
        return types.CompletionList(is_incomplete=False, items=items)

    return server


def serve() -> None:
    """Serve one editor over stdin and stdout until it leaves. The log goes to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A message and a look at a text share the interpreter; the message should not wait for long.
    sys.setswitchinterval(0.001)
    # Trees and graphs of a look go by reference counts. Cycles are collected when nobody types (see `documents`), or
    # when very many have come together: that takes as long as several looks.
    gc.freeze()
    gc.set_threshold(1_000_000)
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # What anything prints must not get between the messages.
    make_server().start_io(incoming, outgoing)
