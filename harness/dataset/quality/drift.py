"""Are rows written as the model will be asked? System prompts and roles of the training data against validation rows and suites.

A model answers best in the form it was trained in: a system prompt it hardly saw, one that was shortened or left out, or turns and tools
it never met, are new to it. What validation and suites ask with stands for what production will.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Generic, TypeVar

from harness.dataset.examples import SYSTEM_ROLES, example_of, system_of
from harness.dataset.findings import SHOWN_LINES, Finding, first_lines
from harness.dataset.leaks import SuitePrompt
from harness.dataset.lines import Rereader
from harness.dataset.quality.repeats import key_of
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json, Message, record

# A form is familiar when this share of the training rows has it.
FAMILIAR_SHARE = 0.01
# What is asked in unfamiliar forms is told from this share on, and only where it is so many times what training has of rare forms: a
# file whose every row has a system prompt of its own has another one in each validation row too.
LEAST_UNFAMILIAR_SHARE = 0.01
LEAST_TIMES = 2.0
# A form dominates training from this share on.
DOMINATING_SHARE = 0.5
# Suites that guard against losses ask what was never trained on purpose: only when so many cases do is it a warning.
WARNED_SHARE_OF_CASES = 0.5
# Different system prompts beyond which only their presence is compared.
_MOST_SYSTEMS = 10_000
# The key all system prompts share then; each one's own is larger, and 0 is none.
_ANY_SYSTEM = 1
_SHOWN_CHARACTERS = 60
# Of a beginning that system prompts share these are shown before the difference.
_KEPT_CHARACTERS = 12
_TOLD_FORMS = 3

_Place = TypeVar("_Place")


class DriftTally:
    """How often each system prompt and each order of roles occurs, and where first.

    Of a file with ever other system prompts it is kept only which rows have one.
    """

    def __init__(self) -> None:
        self.systems: Counter[int] = Counter()
        self.systems_places: dict[int, list[tuple[int, int]]] = {}
        self.roles: Counter[str] = Counter()
        self.roles_lines: dict[str, list[int]] = {}

    @property
    def differs_by_row(self) -> bool:
        """Whether only it is known which rows have a system prompt."""
        return _ANY_SYSTEM in self.systems

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples have a form."""
        if row.example is None:
            return
        key = _system_key(system_of(row.example))
        if self.differs_by_row:
            key = min(key, _ANY_SYSTEM)
        self.systems[key] += 1
        _append(self.systems_places.setdefault(key, []), [(row.line.number, row.line.start)])
        self._reduce()
        roles = roles_asked(row.example.messages)
        self.roles[roles] += 1
        _append(self.roles_lines.setdefault(roles, []), [row.line.number])

    def merge(self, later: "DriftTally") -> None:
        """Take in the next part."""
        self.systems.update(later.systems)
        for key, places in later.systems_places.items():
            _append(self.systems_places.setdefault(key, []), places)
        self._reduce()
        self.roles.update(later.roles)
        for roles, lines in later.roles_lines.items():
            _append(self.roles_lines.setdefault(roles, []), lines)

    def _reduce(self) -> None:
        forms = len(self.systems)
        if forms > _MOST_SYSTEMS or (self.differs_by_row and forms > 2):
            self.systems, self.systems_places = self._with_and_without()

    def _with_and_without(self) -> tuple[Counter[int], dict[int, list[tuple[int, int]]]]:
        """All system prompts taken for one."""
        systems: Counter[int] = Counter()
        places: dict[int, list[tuple[int, int]]] = {}
        for key, count in self.systems.items():
            systems[min(key, _ANY_SYSTEM)] += count
            places.setdefault(min(key, _ANY_SYSTEM), []).extend(self.systems_places[key])
        return systems, {key: sorted(found)[:SHOWN_LINES] for key, found in places.items()}

    def beside(self, other: "DriftTally") -> "DriftTally":
        """This tally, with no more known of system prompts than the other knows."""
        if not other.differs_by_row or self.differs_by_row:
            return self
        reduced = DriftTally()
        reduced.systems, reduced.systems_places = self._with_and_without()
        reduced.roles, reduced.roles_lines = self.roles, self.roles_lines
        return reduced

    def findings(self, setting: Setting) -> Iterator[Finding]:  # noqa: ARG002 - one file has no drift
        """Nothing: drift is between a file and what is asked."""
        yield from ()

    def system(self, key: int, rereader: Rereader) -> str:
        """The system prompt that has this key; none where all of them have one."""
        if key == _ANY_SYSTEM:
            return ""
        line, start = self.systems_places[key][0]
        return system_of(example_of(line, rereader.at(start).row))


def roles_asked(messages: Iterable[Message]) -> str:
    """The roles that ask for an answer, in the order they first appear: `system, user`; with `assistant` where there are earlier turns."""
    roles = [str(message.get("role")) for message in messages]
    while roles and roles[-1] == "assistant":
        roles.pop()
    return ", ".join(dict.fromkeys("system" if role in SYSTEM_ROLES else role for role in roles)) or "nobody"


def validation_drift(train: DriftTally, valid: DriftTally, *, paths: tuple[Path, Path]) -> Iterator[Finding]:
    """Forms that validation rows have and training hardly has; `paths` are the training and the validation file."""
    train, valid = train.beside(valid), valid.beside(train)
    readers = [Rereader(path) for path in paths]
    try:
        for drift in _drifts(train.systems, valid.systems, kind=_SYSTEM_PROMPTS, whose="validation rows"):
            lines = [line for key in drift.unfamiliar for line, _ in valid.systems_places[key]]
            told = {key: valid.system(key, readers[1]) for key in drift.unfamiliar[:_TOLD_FORMS]}
            told |= {key: train.system(key, readers[0]) for key in drift.unmet}
            yield drift.finding(_told_apart(told), lines=lines)
        for met in _drifts(train.roles, valid.roles, kind=_ROLES, whose="validation rows"):
            lines = [line for roles in met.unfamiliar for line in valid.roles_lines[roles]]
            yield met.finding({roles: roles for roles in (*met.unfamiliar, *met.unmet)}, lines=lines)
    finally:
        for reader in readers:
            reader.close()


def suite_drift(train: DriftTally, prompts: Iterable[SuitePrompt], *, path: Path) -> Iterator[Finding]:
    """Forms in which cases of suites ask and training hardly does. Cases that do not tell their roles are left out."""
    told = [prompt for prompt in prompts if prompt.roles]
    keys = [_system_key(prompt.system or "") for prompt in told]
    if train.differs_by_row:
        keys = [min(key, _ANY_SYSTEM) for key in keys]
    words = {key: prompt.system or "" for key, prompt in zip(keys, told, strict=True)}
    reader = Rereader(path)
    try:
        for drift in _drifts(train.systems, Counter(keys), kind=_SYSTEM_PROMPTS, whose="cases of the suites"):
            cases = [prompt for key, prompt in zip(keys, told, strict=True) if key in drift.unfamiliar]
            shown = {key: words[key] for key in drift.unfamiliar[:_TOLD_FORMS]}
            shown |= {key: train.system(key, reader) for key in drift.unmet}
            yield drift.finding(_told_apart(shown), cases=cases)
    finally:
        reader.close()
    roles_of = [roles_asked([{"role": role} for role in prompt.roles]) for prompt in told]
    for met in _drifts(train.roles, Counter(roles_of), kind=_ROLES, whose="cases of the suites"):
        cases = [prompt for prompt, roles in zip(told, roles_of, strict=True) if roles in met.unfamiliar]
        yield met.finding({roles: roles for roles in (*met.unfamiliar, *met.unmet)}, cases=cases)


@record
class _Kind:
    """One side of a row's form, and what to say of it."""

    name: str
    what: str
    remedy: str


_SYSTEM_PROMPTS = _Kind(
    name="system_prompt_drift",
    what="system prompts",
    remedy="train with the system prompt that production sends: where it will be shorter, or missing, write the rows so",
)
_ROLES = _Kind(
    name="role_drift",
    what="orders of roles",
    remedy="add training rows with these turns, or ask without them",
)

_Form = TypeVar("_Form", int, str)


@record
class _Drift(Generic[_Form]):
    """Forms that are asked in but hardly trained, the most frequent first, and those that dominate training but are hardly asked in."""

    kind: _Kind
    whose: str
    asked: Mapping[_Form, int]
    unfamiliar: Sequence[_Form]
    unmet: Mapping[_Form, float]

    def finding(
        self, told: Mapping[_Form, str], *, lines: Sequence[int] = (), cases: Sequence[SuitePrompt] = ()
    ) -> Finding:
        """What there is to say; `told` has the words for each form that is shown."""
        count, total = sum(self.asked[form] for form in self.unfamiliar), sum(self.asked.values())
        forms = ", ".join(f"{told[form]} {self.asked[form]:,}" for form in self.unfamiliar[:_TOLD_FORMS])
        unfamiliar = (
            f"{count:,} of {total:,} {self.whose} have {self.kind.what} that less than {FAMILIAR_SHARE:.0%} of the training rows have "
            f"({forms})"
        )
        unmet = "; ".join(
            f"{share:.0%} of the training rows have one that hardly any of the {total:,} {self.whose} has: {told[form]}"
            for form, share in self.unmet.items()
        )
        figures: dict[str, Json] = {"asked": total, "share": count / total}
        if cases:
            figures["cases"] = [[prompt.suite, prompt.case] for prompt in cases]
        return Finding(
            name=self.kind.name,
            level="warning" if count >= (WARNED_SHARE_OF_CASES * total if cases else 1) else "note",
            what="; ".join(filter(None, (unfamiliar if count else f"{self.kind.what}: ", unmet))),
            count=count,
            lines=first_lines(lines),
            why="a model answers best in the form it was trained in; what else it is asked in is new to it, and judged as if it were not",
            remedy=self.kind.remedy,
            figures=figures,
        )


def _drifts(
    trained: Mapping[_Form, int], asked: Mapping[_Form, int], *, kind: _Kind, whose: str
) -> Iterator[_Drift[_Form]]:
    """The drift between two counts of forms, if there is some."""
    rows, total = sum(trained.values()), sum(asked.values())
    if not rows or not total:
        return
    familiar = {form for form, count in trained.items() if count >= FAMILIAR_SHARE * rows}
    # A form that one row has is rare, however few rows there are.
    rare = sum(count for form, count in trained.items() if form not in familiar or count == 1) / rows
    unfamiliar = sorted((form for form in asked if form not in familiar), key=lambda form: -asked[form])
    share = sum(asked[form] for form in unfamiliar) / total
    if share < max(LEAST_UNFAMILIAR_SHARE, LEAST_TIMES * rare):
        unfamiliar = []
    unmet = {
        form: count / rows
        for form, count in trained.items()
        if count >= DOMINATING_SHARE * rows and asked.get(form, 0) < FAMILIAR_SHARE * total
    }
    if unfamiliar or unmet:
        yield _Drift(kind=kind, whose=whose, asked=asked, unfamiliar=unfamiliar, unmet=unmet)


def _system_key(system: str) -> int:
    """A system prompt's key; 0 for none."""
    return max(key_of(system), _ANY_SYSTEM + 1) if system.strip() else 0


def _append(kept: list[_Place], places: Sequence[_Place]) -> None:
    kept += places[: SHOWN_LINES - len(kept)]


def _told_apart(systems: Mapping[int, str]) -> dict[int, str]:
    """Words for system prompts that tell them apart: long ones that begin alike are shown from where they differ."""
    plain = {key: " ".join(system.split()) for key, system in systems.items()}
    long = [system for system in plain.values() if len(system) > _SHOWN_CHARACTERS]
    alike = len(commonprefix(long)) if len(long) > 1 else 0  # noqa: RUF071 - characters are meant
    skipped = max(0, alike - _KEPT_CHARACTERS) if alike > _SHOWN_CHARACTERS // 2 else 0
    return {
        key: "any"
        if key == _ANY_SYSTEM
        else _told_system(system, skipped if len(system) > _SHOWN_CHARACTERS else 0)
        for key, system in plain.items()
    }


def _told_system(system: str, skipped: int) -> str:
    if not system:
        return "none at all"
    shown = system[skipped : skipped + _SHOWN_CHARACTERS]
    ends = skipped + _SHOWN_CHARACTERS >= len(system)
    return repr(f"{'…' if skipped else ''}{shown}{'' if ends else '…'}")
