"""What a combination of graders comes to: arithmetic over their names, read into a tree and never run as code."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

from harness.serial import nearest, shown

MAX_CHARACTERS = 2000
# Sums of hundreds of graders are no formula that a person wrote; Python's own stack ends at 1000.
MAX_DEPTH = 100

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    # A negative number to a broken power is a ValueError here, not a complex number.
    ast.Pow: math.pow,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "floor": math.floor,
    "log": math.log,
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "sqrt": math.sqrt,
}
_MANY = ("max", "min")
_SPELLED = "numbers, names of graders, + - * / ^, brackets and " + ", ".join(_FUNCTIONS)


def check_formula(formula: str, names: Mapping[str, object]) -> None:
    """Refuse what is no arithmetic over these names.

    Raises:
        ValueError: What is wrong, and what may stand in a formula.
    """
    _check(_tree(formula), names, depth=0)


def calculated(formula: str, values: Mapping[str, float]) -> float:
    """The value of a checked formula.

    Raises:
        ValueError: It has none for these values: a division by zero, the root of a negative number.
    """
    try:
        value = _value(_tree(formula), values)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{formula.strip()} has no value: {error}") from None
    if not math.isfinite(value):
        raise ValueError(f"{formula.strip()} has no value: it is {value}")
    return value


@lru_cache(maxsize=256)
def _tree(formula: str) -> ast.expr:
    if len(formula) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    if "**" in formula:
        raise ValueError("a power is written ^, not **")
    if "#" in formula:
        raise ValueError(f"'#' has no place in a formula: it has {_SPELLED}")
    try:
        return ast.parse(" ".join(formula.split()).replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{shown(formula)} is no formula: it has {_SPELLED}") from None


def _check(node: ast.expr, names: Mapping[str, object], *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested or strung together more than {MAX_DEPTH} deep")
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        parts = [node.operand]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        _check_call(node.func.id, len(node.args))
        parts = node.args
    elif isinstance(node, ast.Name):
        if node.id not in names:
            raise ValueError(f"no grader is called {shown(node.id)}; {nearest(node.id, names)}")
    elif not (isinstance(node, ast.Constant) and type(node.value) in {int, float}):
        raise ValueError(f"{shown(ast.unparse(node))} has no place in a formula: it has {_SPELLED}")
    for part in parts:
        _check(part, names, depth=depth + 1)


def _check_call(name: str, arguments: int) -> None:
    if name not in _FUNCTIONS:
        raise ValueError(f"unknown function {shown(name)}; {nearest(name, _FUNCTIONS)}")
    if arguments < 1 or (arguments > 1 and name not in _MANY):
        raise ValueError(
            f"{name} takes {'one or more numbers' if name in _MANY else 'one number'}, got {arguments}"
        )


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        operand = _value(node.operand, values)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name), "checked when the suite was loaded"
        return float(_FUNCTIONS[node.func.id](*(_value(part, values) for part in node.args)))
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant), "checked when the suite was loaded"
    assert isinstance(node.value, (int, float)), "checked when the suite was loaded"
    return float(node.value)
