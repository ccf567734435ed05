"""An editor for tests: speaks the protocol in raw JSON to a server of its own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

URI = "file:///nowhere/model.energy"


class Client:
    """Starts `energylang lsp`; every wait ends after `timeout` seconds with an error."""

    def __init__(self, timeout: float = 60.0, encodings: tuple[str, ...] | None = None, program: str | None = None):
        command = [sys.executable, "-m", "energylang", "lsp"] if program is None else [sys.executable, "-c", program]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
        )
        self.timeout = timeout
        self.log: list[str] = []
        self._received: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue()
        self._kept: list[tuple[float, dict[str, Any]]] = []
        self._number = 0
        self._version = 0
        for work in (self._read, self._read_log):
            threading.Thread(target=work, daemon=True).start()
        general = {} if encodings is None else {"general": {"positionEncodings": list(encodings)}}
        self.capabilities = self.request("initialize", processId=None, rootUri=None, capabilities=general)[
            "capabilities"
        ]
        self.notify("initialized")

    # --- messages ------------------------------------------------------------------------------------------------

    def send_raw(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self.process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send_raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    def ask(self, method: str, **params: Any) -> int:
        """Send a request; the number its answer will have."""
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.send_raw(json.dumps(message).encode())
        return self._number

    def answer(self, number: int) -> dict[str, Any]:
        """The whole answer to a request."""
        return self._wait(lambda message: message.get("id") == number and "method" not in message)[1]

    def request(self, method: str, **params: Any) -> Any:
        """The result of a request; raises where the server answers with an error."""
        found = self.answer(self.ask(method, **params))
        if "error" in found:
            raise RuntimeError(found["error"])
        return found["result"]

    def _wait(self, wanted: Any) -> tuple[float, dict[str, Any]]:
        end = time.monotonic() + self.timeout
        while True:
            for place, (at, message) in enumerate(self._kept):
                if wanted(message):
                    del self._kept[place]
                    return at, message
            try:
                self._kept.append(self._received.get(timeout=max(end - time.monotonic(), 0.001)))
            except queue.Empty:
                raise TimeoutError(f"the server is silent; its log: {''.join(self.log)}") from None

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not line:
                return
            content = stream.read(length)
            self._received.put((time.perf_counter(), json.loads(content)))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.decode(errors="replace"))

    # --- documents -----------------------------------------------------------------------------------------------

    def open(self, text: str, uri: str = URI) -> list[dict[str, Any]]:
        """Open a text; its diagnostics."""
        self._version += 1
        document = {"uri": uri, "languageId": "energy", "version": self._version, "text": text}
        self.notify("textDocument/didOpen", textDocument=document)
        return self.diagnostics(uri)

    def change(self, text: str, uri: str = URI) -> None:
        """Replace a text, without waiting."""
        self._version += 1
        self.notify(
            "textDocument/didChange",
            textDocument={"uri": uri, "version": self._version},
            contentChanges=[{"text": text}],
        )

    def diagnostics(self, uri: str = URI) -> list[dict[str, Any]]:
        """What is reported of the newest version."""
        return self.diagnostics_at(uri)[1]

    def diagnostics_at(self, uri: str = URI) -> tuple[float, list[dict[str, Any]]]:
        """The same, and when it came."""

        def newest(message: dict[str, Any]) -> bool:
            params = message.get("params", {})
            return (
                message.get("method") == "textDocument/publishDiagnostics"
                and params["uri"] == uri
                and params.get("version") == self._version
            )

        at, message = self._wait(newest)
        return at, message["params"]["diagnostics"]

    def at(self, method: str, line: int, character: int, uri: str = URI, **more: Any) -> Any:
        """A request about a place, counted from 0."""
        position = {"line": line, "character": character}
        return self.request(f"textDocument/{method}", textDocument={"uri": uri}, position=position, **more)

    # --- the end -------------------------------------------------------------------------------------------------

    def stop(self) -> int:
        """Say goodbye; the exit code."""
        self.request("shutdown")
        self.notify("exit")
        code = self.process.wait(self.timeout)
        self._close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
