"""How tightly operators bind, as the grammar has it; larger is tighter."""

from __future__ import annotations

EXPRESSION = 0
"""`if` and `fn`."""
PIPE = 1
OR = 2
AND = 3
NOT = 4
COMPARISON = 5
SUM = 6
PRODUCT = 7
SIGNED = 8
POWER = 9
POSTFIX = 10
ATOM = 11

LEVELS: dict[str, int] = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARISON),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys(("*", "/", "//", "%", "@"), PRODUCT),
    "^": POWER,
}
"""The level of every binary operator."""

OPERANDS: dict[int, tuple[int, int]] = {
    OR: (OR, AND),
    AND: (AND, NOT),
    COMPARISON: (SUM, SUM),
    SUM: (SUM, PRODUCT),
    PRODUCT: (PRODUCT, SIGNED),
    POWER: (POSTFIX, SIGNED),
}
"""The least levels of the left and the right operand that need no brackets."""
