"""The parser's table: made from `grammar/energy.lark` by Lark, kept as plain data.

The table ships beside the grammar (`docs/generate.py` writes it). Lark is imported only where the grammar is another than
the one it was made of. What is kept holds nothing but strings, numbers and containers, so loading it runs no code and takes
a few milliseconds.
"""

from __future__ import annotations

import json
import marshal
from dataclasses import dataclass, field
from functools import cache

from energylang import cache as store
from energylang import resources
from energylang.syntax.tokens import END

STARTS = ("module", "block", "expression")
SHIPPED = "energy.table.json"
_FORMAT = "1"

PASS, SPLICE, CALL = range(3)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a reduction does: `kept` children of `length` symbols; pass the only one on, splice them, or call `name`."""

    origin: str
    length: int
    kept: tuple[int, ...]
    mode: int
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """`states[s][symbol]` is a state to go to, or `~r` where rule `r` is reduced."""

    states: tuple[dict[str, int], ...]
    starts: dict[str, int]
    ends: dict[str, int]
    rules: tuple[Rule, ...]
    units: tuple[str, ...]
    """By rule: what it makes of one symbol, unchanged, as the levels of operators do; empty for other rules."""
    keywords: dict[str, str]
    symbols: dict[str, str]
    patterns: dict[str, str]
    chains: dict[tuple[int, int, str], int] = field(default_factory=dict)
    """See `after_units`; what was found before."""

    def after_units(self, below: int, state: int, kind: str) -> int:
        """The state on top of `below` once the next token, of a kind, has led through the units that it leads through.

        An atom is a postfix is a power is a product …: a dozen reductions that change nothing but the state.
        """
        key = (below, state, kind)
        found = self.chains.get(key)
        if found is None:
            found = state
            while not (kind == END and found in self.ends.values()):
                action = self.states[found].get(kind, 0)
                unit = self.units[~action] if action < 0 else ""
                if not unit:
                    break
                found = self.states[below][unit]
            self.chains[key] = found
        return found


@cache
def parser_table() -> Table:
    """The table that ships; of a grammar that was edited, from the private cache or made afresh."""
    grammar = resources.text("grammar", "energy.lark")
    try:
        shipped = json.loads(resources.text("grammar", SHIPPED))
    except (OSError, ValueError):
        shipped = {}
    if shipped.get("made of") == _FORMAT + grammar:
        return _unpack(shipped)
    key = _FORMAT + grammar
    stored = store.load("grammar", key)
    if stored is not None:
        try:
            return _unpack(marshal.loads(stored))
        except (ValueError, EOFError, TypeError, KeyError):
            pass  # A damaged file is made again.
    plain = build(grammar)
    store.store("grammar", key, marshal.dumps(plain))
    return _unpack(plain)


def shipped_form() -> str:
    """The text of the file that ships."""
    grammar = resources.text("grammar", "energy.lark")
    return json.dumps({"made of": _FORMAT + grammar, **build(grammar)}, separators=(",", ":")) + "\n"


def _unpack(plain: dict) -> Table:
    rules = tuple(Rule(origin, length, tuple(kept), mode, name) for origin, length, kept, mode, name in plain["rules"])
    return Table(
        tuple(plain["states"]),
        plain["starts"],
        plain["ends"],
        rules,
        tuple(rule.origin if rule.mode == PASS and rule.length == 1 else "" for rule in rules),
        plain["keywords"],
        plain["symbols"],
        plain["patterns"],
    )


def build(grammar: str, strict: bool = False) -> dict:
    """Make the plain form of the table from the grammar's text; `strict` refuses every conflict and collision."""
    import io
    import pickle

    from lark import Lark

    parser = Lark(grammar, parser="lalr", start=list(STARTS), maybe_placeholders=False, strict=strict)
    saved = io.BytesIO()
    parser.save(saved)
    content = pickle.loads(saved.getvalue())
    memo = content["memo"]
    lalr = content["data"]["parser"]["parser"]
    plain = {identity: _plain_rule(item) for identity, item in memo.items() if item["__type__"] == "Rule"}
    rules = sorted(set(plain.values()))
    rule_number = {identity: rules.index(rule) for identity, rule in plain.items()}
    names = lalr["tokens"]
    state_number = _numbered(lalr, names)
    states = [
        {
            name: ~rule_number[target["@"]] if reduces else state_number[target]
            for name, (reduces, target) in _by_name(lalr["states"][state], names)
        }
        for state in state_number
    ]
    keywords, symbols, patterns = {}, {}, {}
    for terminal in parser.terminals:
        pattern = terminal.pattern
        if pattern.type == "str":
            symbols[pattern.value] = terminal.name
        elif pattern.value.endswith(r"\b"):
            keywords[pattern.value.removesuffix(r"\b")] = terminal.name
        else:
            patterns[terminal.name] = pattern.value
    return {
        "states": states,
        "starts": {start: state_number[lalr["start_states"][start]] for start in STARTS},
        "ends": {start: state_number[lalr["end_states"][start]] for start in STARTS},
        "rules": rules,
        "keywords": keywords,
        "symbols": symbols,
        "patterns": patterns,
    }


def _by_name(actions: dict, names: dict) -> list[tuple[str, tuple]]:
    return sorted((names[symbol], action) for symbol, action in actions.items())


def _numbered(lalr: dict, names: dict) -> dict[int, int]:
    """Numbers of states, in the order in which they are reached: Lark's own differ from process to process."""
    order = [lalr["start_states"][start] for start in STARTS]
    for state in order:
        for _, (reduces, target) in _by_name(lalr["states"][state], names):
            if not reduces and target not in order:
                order.append(target)
    return {state: number for number, state in enumerate(order)}


def _plain_rule(item: dict) -> tuple[str, int, tuple[int, ...], int, str]:
    """Lark's own conventions: `_terminals` vanish, `_rules` and repetitions splice, `?rules` pass an only child on."""
    origin = item["origin"]["name"]
    expansion = item["expansion"]
    kept = tuple(place for place, symbol in enumerate(expansion) if not symbol.get("filter_out"))
    alias = item["alias"]
    if origin.startswith("__"):
        mode = SPLICE
    elif len(kept) == 1 and not alias and (item["options"]["expand1"] or origin.startswith("_")):
        mode = PASS
    else:
        mode = CALL
    return origin, len(expansion), kept, mode, alias or origin
