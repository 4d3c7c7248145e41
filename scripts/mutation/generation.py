"""Which faults can be planted: every mutant of a module, all in one file and asleep until one is switched on.

mutmut makes the mutants. It leaves decorated functions alone; properties and cached functions are therefore written as plain ones
with an assignment behind them, which is what a decorator is.
"""

import ast
import difflib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents
from mutmut.mutation.trampoline_templates import trampoline_imports

# Decorators that can as well be called later; of others a mutant cannot be made safely.
LATER = ("property", "cached_property", "cache", "lru_cache")
CACHES = ("cache", "lru_cache")
SWITCH = "from switching import MutantDict, Remembering, switched as _mutmut_mutated"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted fault: `name` is its function's in the mutated file, `change` the lines it takes out and puts in."""

    module: str
    name: str
    change: str
    is_text: bool
    """Whether all it changes is a text of several words: what people read, not what is decided."""

    @property
    def function(self) -> str:
        """The mutated function, as the switch records it."""
        return f"{self.module}.{self.name.partition('__mutmut_')[0]}"

    @property
    def key(self) -> str:
        """What tells it from all others, in other runs too while its function stays the same."""
        return f"{self.module}.{self.name} {self.change}"


class _Undecorated(cst.CSTTransformer):
    """Turns `@property def f` into `def f` and `f = property(f)`."""

    def leave_FunctionDef(  # noqa: N802 - the library's name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        if len(original_node.decorators) != 1:
            return updated_node
        decorator = updated_node.decorators[0].decorator
        named = decorator.func if isinstance(decorator, cst.Call) else decorator
        if not isinstance(named, cst.Name) or named.value not in LATER:
            return updated_node
        name = updated_node.name
        made: cst.BaseExpression = cst.Call(decorator, [cst.Arg(name)])
        if named.value in CACHES:
            made = cst.Call(cst.Name("Remembering"), [cst.Arg(made)])
        wrapped = cst.Assign([cst.AssignTarget(name)], made)
        return cst.FlattenSentinel(
            [updated_node.with_changes(decorators=[]), cst.SimpleStatementLine([wrapped])]
        )


def planted(file: Path, *, root: Path) -> list[Mutant]:
    """Write all mutants of `root / file` into it and list them, in the order of the file."""
    place = root / file
    source = cst.parse_module(place.read_text(encoding="utf-8")).visit(_Undecorated()).code
    made = mutate_file_contents(str(file), source)
    place.write_text(made.code.replace(trampoline_imports.strip(), SWITCH), encoding="utf-8")
    module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    texts = _texts(made)
    return [_described(name, module=module, texts=texts) for name in made.mutant_names]


def _texts(made: MutatedFile) -> dict[str, list[str]]:
    lines = made.code.splitlines()
    return {
        function: [line.replace(function, "_") for line in lines[span.start - 1 : span.end]]
        for function, span in made.line_span_by_function_name.items()
    }


def _described(name: str, *, module: str, texts: Mapping[str, list[str]]) -> Mutant:
    before, after = texts[f"{name.partition('__mutmut_')[0]}__mutmut_orig"], texts[name]
    change = "\n".join(
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    )
    has_text = any(quote in change for quote in "\"'")
    return Mutant(module=module, name=name, change=change, is_text=has_text and _is_text(before, after))


def _is_text(before: Sequence[str], after: Sequence[str]) -> bool:
    one, other = (list(ast.walk(ast.parse(_outdented(lines)))) for lines in (before, after))
    if len(one) != len(other):
        return False
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if isinstance(a, ast.Constant)]
    changed = [a.value for a, b in pairs if not isinstance(b, ast.Constant) or a.value != b.value]
    return bool(changed) and all(isinstance(value, str) and " " in value.strip() for value in changed)


def _outdented(lines: Sequence[str]) -> str:
    # Not textwrap.dedent: a text over several lines may reach the left edge.
    first = next(line for line in lines if line.strip())
    return "\n".join(["if True:", *lines] if first.startswith(" ") else lines)


def drawn(mutants: Iterable[Mutant], *, count: int, seed: int) -> list[Mutant]:
    """A random part with every module's own share, in the order of the whole."""
    whole = list(mutants)
    by_module: dict[str, list[int]] = {}
    for place, mutant in enumerate(whole):
        by_module.setdefault(mutant.module, []).append(place)
    choice = random.Random(seed)
    share = min(1.0, count / max(1, len(whole)))
    chosen = [
        place
        for places in by_module.values()
        for place in choice.sample(places, k=min(len(places), round(share * len(places)) or 1))
    ]
    return [whole[place] for place in sorted(chosen)]
