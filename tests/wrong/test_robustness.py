"""Whatever a file contains, the command line answers in time and within memory, with diagnostics or an answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SECONDS = 240
"""Far above what any of these takes; what hangs is what is found."""
BYTES = 3 * 2**30

_ENERGY = b"energy e(x: real) = "
_DEEP = 10_000
_LONG = 100_000

MODELS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "L0104"),
    "comments only": (b"# one\n# two\n", "L0104"),
    "every byte": (bytes(range(256)) * 4, "E0121"),
    "UTF-16": ("energy e(x: real) = x^2\n".encode("utf-16"), "E0121"),
    "UTF-16 without its mark": ("energy e(x: real) = x^2\n".encode("utf-16-le"), "E0121"),
    "Latin-1": ("# café\n".encode("latin-1"), "E0121"),
    "a zero byte": (_ENERGY + b"x\0^2\n", "E0121"),
    "a byte order mark, CRLF": (b"\xef\xbb\xbf" + _ENERGY + b"x^2\r\n", ""),
    "lines without end": (_ENERGY + b"x^2" + b" " * _LONG + b"# c", ""),
    "100,000 lines": (b"".join(b"const a%d = %d\n" % (n, n) for n in range(_LONG)), "no errors"),
    "100,000 wrong lines": (b"const = 1\n" * _LONG, "E0106"),
    "a table of 100,000 numbers": (b"data y: real[N] = [" + b"1, " * _LONG + b"1]\n", ""),
    "a sum of 5,000 terms": (_ENERGY + b" + ".join([b"x^2"] * 5000), "no errors"),
    "a name of 1 MB": (_ENERGY + b"y" * 10**6, "E0201"),
    "a number of 1 MB": (b"const a = " + b"9" * 10**6, "E0105"),
    "brackets": (_ENERGY + b"(" * _DEEP + b"x" + b")" * _DEEP, "E0118"),
    "brackets that are not closed": (_ENERGY + b"[" * _DEEP, "E0118"),
    "if in if": (_ENERGY + b"if x > 0 then " * _DEEP + b"x" + b" else x" * _DEEP, "E0118"),
    "signs": (_ENERGY + b"-" * _DEEP + b"x", "E0118"),
    "powers": (_ENERGY + b"x" + b"^x" * _DEEP, "E0118"),
    "calls": (_ENERGY + b"exp(" * _DEEP + b"x" + b")" * _DEEP, "E0118"),
    "comprehensions": (_ENERGY + b"sum(for i in 2: " * _DEEP + b"x" + b")" * _DEEP, "E0118"),
    "functions": (_ENERGY + b"fn(x): " * _DEEP + b"x", "E0118"),
    "blocks": (b"energy e(x: real) {" * _DEEP, "E0116"),
    "consts in reverse": (b"".join(b"const a%d = a%d\n" % (n, n + 1) for n in range(3000)) + b"const a3000 = 1\n", "E0209"),
    "lets that double": (
        b"energy e(x: real) {\n let a0 = x\n"
        + b"".join(b" let a%d = a%d + a%d\n" % (n + 1, n, n) for n in range(60))
        + b" += a60\n}\n",
        "no errors",
    ),
}  # fmt: skip

_SIZE = b"const n = 10^12\n"
_LINE = b"data x: real[N, 3]\n" + b"energy e(m: real) = m^2 + sum(x)\n"
DATA: dict[str, tuple[bytes, bytes, str, str]] = {
    "a variable of 10^12 reals": (_SIZE + b"energy e(x: real[n]) = norm2(x)\n", b"", "", "E0708"),
    "a cat of 10^12 values": (_SIZE + b"energy e(z: cat(n)) = 1.0 * z\n", b"", "", "E0708"),
    "an array of 10^12 numbers": (_SIZE + b"energy e(x: real) = x^2 + sum(range(n))\n", b"", "", "E0708"),
    "a loop of 10^12 turns": (_SIZE + b"energy e(x: real) = sum(for i in n: x * i)\n", b"", "", "E0708"),
    "10^6 numbers of the wrong shape": (_LINE, b'{"x": [' + b"1, " * 10**6 + b"1]}", "json", "E0703"),
    "a key twice": (_LINE, b'{"x": [[1, 2, 3]], "x": 1}', "json", "E0707"),
    "NaN": (_LINE, b'{"x": [[1, NaN, Infinity]]}', "json", "E0705"),
    "nulls in nulls": (_LINE, b'{"x": [[null, [null], null]]}', "json", "E0702"),
    "lists without end": (_LINE, b'{"x": ' + b"[" * 10**5, "json", "E0707"),
    "an integer without end": (_LINE, b'{"x": ' + b"9" * 10**5 + b"}", "json", "E07"),
    "ragged rows": (_LINE, b"a,b,c\n1,2,3\n4\n", "csv", "E0707"),
    "a quote that is not closed": (_LINE, b'a,b\n"1,2\n', "csv", "E07"),
}


_COMMANDS = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
from energylang.cli import failures
from energylang.cli.main import energylang
for number, arguments in enumerate({commands!r}):
    print("begin", number, flush=True)
    print("begin", number, file=sys.stderr, flush=True)
    code = failures.guarded(lambda: energylang.main(arguments, standalone_mode=False), [])
    print("exit", code, file=sys.stderr, flush=True)
"""


def answers(folder: Path, commands: list[list[str]], limit: int) -> list[tuple[int, str]]:
    """Exit code and everything that is shown, of each command; all in one process, whose memory and time are limited."""
    program = _COMMANDS.format(limit=limit, commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    out, err = (re.split(r"^begin \d+\n", text, flags=re.MULTILINE)[1:] for text in (done.stdout, done.stderr))
    found = []
    for said, errors in zip(out, err, strict=True):
        shown, _, code = errors.rpartition("exit ")
        shown += said
        assert "Traceback" not in shown
        assert "E0999" not in shown, shown
        assert len(shown) < 20_000
        found.append((int(code), shown))
    return found


def test_models(tmp_path: Path) -> None:
    for number, (content, _) in enumerate(MODELS.values()):
        (tmp_path / f"m{number}.energy").write_bytes(content)
    found = answers(tmp_path, [["check", f"m{number}.energy"] for number in range(len(MODELS))], BYTES)
    for (name, (_, said)), (code, shown) in zip(MODELS.items(), found, strict=True):
        assert said in shown, (name, shown)
        assert code == (1 if said.startswith("E") else 0), (name, shown)


def test_formatting(tmp_path: Path) -> None:
    names = ["every byte", "a sum of 5,000 terms", "brackets", "a name of 1 MB", "empty", "a byte order mark, CRLF"]
    for number, name in enumerate(names):
        (tmp_path / f"m{number}.energy").write_bytes(MODELS[name][0])
    found = answers(tmp_path, [["fmt", "--check", f"m{number}.energy"] for number in range(len(names))], BYTES)
    assert [code for code, _ in found] == [1, 1, 1, 1, 0, 1]


def test_data(tmp_path: Path) -> None:
    commands = []
    for number, (model, data, suffix, _) in enumerate(DATA.values()):
        (tmp_path / f"m{number}.energy").write_bytes(model)
        commands.append(["explain", f"m{number}.energy"])
        if suffix:
            (tmp_path / f"d{number}.{suffix}").write_bytes(data)
            commands[-1] += ["--data", f"x=d{number}.csv" if suffix == "csv" else f"d{number}.json"]
    found = answers(tmp_path, commands, 4 * BYTES)
    for (name, (*_, said)), (code, shown) in zip(DATA.items(), found, strict=True):
        assert said in shown, (name, shown)
        assert code == 3, (name, shown)
