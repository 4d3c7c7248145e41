"""Suites from their YAML files: every mistake of a file at once, with its line and the nearest known name."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Literal

from harness.errors import Mistake, SuiteError
from harness.evals.case_files import read_case_rows
from harness.evals.digests import suite_digest
from harness.evals.known_files import known_digest
from harness.protocols import CheckedScorer
from harness.records import Case, Gate, Json, Message, Role, Sampling, ScorerSpec, Suite, SuiteRole, record
from harness.scorers import build, metric_names
from harness.serial import (
    Document,
    LineError,
    ParseError,
    Problem,
    nearest,
    parse,
    read_yaml,
    shown,
)

SUFFIX = ".suite.yaml"
# The other spelling of YAML's ending: read as if it were no suite, it would be missed in silence.
MISSPELT = ".suite.yml"
# Ids become pytest node ids and page links, and must survive a shell.
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LONGEST_ID = 100
# What every answer has beside its scores; see `Gate.metric`.
ANSWER_METRICS = ("score", "tokens", "prompt_tokens", "completion_tokens", "latency_s")
NEEDS = ("capable-model",)
SCORER_KEYS = ("type", "name", "weight")


@record
class CaseEntry:
    """A case as a suite file or a cases file spells it."""

    id: str
    prompt: str | None = None
    messages: tuple[dict[str, Json], ...] | None = None
    expected: Json = None
    tags: tuple[str, ...] = ()
    required: bool = False
    metadata: dict[str, Json] = field(default_factory=dict)


@record
class SuiteEntry:
    """A suite file as it is spelled; its JSON Schema is the one we publish."""

    name: str
    scorers: tuple[dict[str, Json], ...]
    description: str = ""
    role: SuiteRole = "target"
    task: Literal["single", "multi"] = "single"
    margin: float | None = None
    weight: float = 1.0
    needs: str | tuple[str, ...] = ()
    system: str | None = None
    prompts: dict[Role, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    trials: int = 1
    family: str | None = None
    pass_mark: float = 1.0
    gates: tuple[Gate, ...] = ()
    cases: tuple[CaseEntry, ...] = ()
    cases_file: str | None = None


def load_suite(path: Path | str) -> Suite:
    """Read one suite file and the cases file it may name.

    Raises:
        SuiteError: Everything that is wrong with it, each as `file:line: what, remedy`.
    """
    return _Loader(Path(path)).load()


class _Loader:
    """One reading of one file, gathering mistakes as it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self.document = Document(None, {})

    def load(self) -> Suite:
        if self.path.name.endswith(MISSPELT):
            name = self.path.name.removesuffix(MISSPELT) + SUFFIX
            raise SuiteError(
                str(self.path), [Mistake(1, f"suite files end in {SUFFIX}", f"rename it to {name}")]
            )
        entry = self._entry()
        specs = self._specs()
        if entry is None:
            self._cases_shape()
            raise SuiteError(str(self.path), self.mistakes)
        cases = self._cases(entry)
        self._check_suite(entry)
        self._check_sampling(entry.sampling)
        self._check_cases(cases, entry, specs)
        self._check_gates(entry, specs)
        if self.mistakes:
            raise SuiteError(str(self.path), self.mistakes)
        suite = Suite(
            name=entry.name,
            cases=tuple(case for case, _ in cases),
            scorers=tuple(specs),
            role=entry.role,
            task=entry.task,
            description=entry.description,
            margin=entry.margin,
            weight=entry.weight,
            needs=(entry.needs,) if isinstance(entry.needs, str) else entry.needs,
            system=entry.system,
            prompts={str(role): text for role, text in entry.prompts.items()},
            sampling=entry.sampling,
            trials=entry.trials,
            family=entry.family,
            pass_mark=entry.pass_mark,
            gates=entry.gates,
            path=str(self.path),
        )
        return replace(suite, digest=suite_digest(suite))

    def _problem(self, problem: Problem) -> None:
        self.mistakes.append(self.document.mistake(problem))

    def _entry(self) -> SuiteEntry | None:
        try:
            self.document = read_yaml(self.path.read_text(encoding="utf-8-sig"))
        except LineError as error:
            raise SuiteError(str(self.path), [error.mistake]) from None
        except UnicodeDecodeError as error:
            raise SuiteError(
                str(self.path), [Mistake(1, f"not UTF-8 at byte {error.start}", "save it as UTF-8")]
            ) from None
        except OSError as error:
            raise SuiteError(str(self.path), [Mistake(1, f"cannot be read: {error.strerror}")]) from None
        self.mistakes += self.document.mistakes
        if not isinstance(self.document.data, dict):
            raise SuiteError(
                str(self.path), [Mistake(1, "not a mapping", "begin with `name:`, `scorers:` and `cases:`")]
            )
        try:
            return parse(SuiteEntry, self.document.data)
        except ParseError as error:
            for problem in error.problems:
                self._problem(problem)
            return None

    def _raw(self, key: str) -> list[object]:
        data = self.document.data
        value = data.get(key) if isinstance(data, dict) else None
        return value if isinstance(value, list) else []

    def _specs(self) -> list[ScorerSpec]:
        specs: list[ScorerSpec] = []
        for index, raw in enumerate(self._raw("scorers")):
            if not isinstance(raw, dict):
                continue
            try:
                spec = scorer_spec(raw)
                specs.append(replace(spec, code=known_digest(spec, build(spec), suite=self.path)))
            except ParseError as error:
                for problem in error.problems:
                    self._problem(replace_path(problem, ("scorers", index)))
                continue
            if spec.name in {other.name for other in specs[:-1]}:
                what = f"two scorers are called {spec.name!r}"
                remedy = "give this one a `name:`, which its metrics then go by"
                self._problem(Problem(("scorers", index), what, remedy))
        if not self._raw("scorers"):
            self._problem(Problem(("scorers",), "no scorer", "add one, e.g. `- {type: exact_match}`"))
        return specs

    def _cases_shape(self) -> None:
        """Duplicate ids are told even when the rest of the file does not parse."""
        ids = [case.get("id") for case in self._raw("cases") if isinstance(case, dict)]
        for index, name in enumerate(ids):
            if name in ids[:index]:
                self._problem(
                    Problem(("cases", index, "id"), f"the id {shown(name)} is given twice", "rename one")
                )

    def _cases(self, entry: SuiteEntry) -> list[tuple[Case, Mistake]]:
        """Cases, each with the place a mistake about it points to."""
        found = [
            (case, Mistake(self.document.line(("cases", index)), ""))
            for index, case in enumerate(entry.cases)
        ]
        if entry.cases_file is not None:
            found += self._cases_from_file(entry.cases_file)
        return [(_case(case, place), place) for case, place in found]

    def _cases_from_file(self, name: str) -> list[tuple[CaseEntry, Mistake]]:
        try:
            rows, broken = read_case_rows(self.path.parent, name)
        except ParseError as error:
            for problem in error.problems:
                self._problem(replace_path(problem, ("cases_file",)))
            return []
        file = str(self.path.parent / name)
        self.mistakes += broken
        found = []
        for line, row in rows:
            try:
                found.append((parse(CaseEntry, row), Mistake(line, "", file=file)))
            except ParseError as error:
                self.mistakes += [Mistake(line, str(problem), file=file) for problem in error.problems]
        return found

    def _check_suite(self, entry: SuiteEntry) -> None:
        def complain(key: str, what: str, remedy: str) -> None:
            self._problem(Problem((key,), what, remedy))

        if not SLUG.fullmatch(entry.name):
            complain(
                "name", f"{shown(entry.name)} is not a slug", "use letters, digits, dots, dashes, underscores"
            )
        if entry.trials < 1:
            complain("trials", f"{entry.trials} trials", "at least 1")
        if not 0 <= entry.pass_mark <= 1:
            complain("pass_mark", f"{entry.pass_mark} is outside 0..1", "scores run from 0 to 1")
        if entry.margin is not None and not 0 <= entry.margin < 1:
            complain("margin", f"{entry.margin} is outside 0..1", "0.05 allows a loss of five points")
        if not 0 <= entry.weight < math.inf:
            complain("weight", f"{entry.weight}", "weigh suites from 0 up")
        for need in [entry.needs] if isinstance(entry.needs, str) else entry.needs:
            if need not in NEEDS:
                complain("needs", f"unknown need {need!r}", nearest(need, NEEDS))

    def _check_sampling(self, sampling: Sampling) -> None:
        for name, value in (("temperature", sampling.temperature), ("top_p", sampling.top_p)):
            if value is not None and not math.isfinite(value):
                self._problem(Problem(("sampling", name), f"{value} is no number JSON has", "give another"))

    def _check_cases(
        self, cases: Sequence[tuple[Case, Mistake]], entry: SuiteEntry, specs: Sequence[ScorerSpec]
    ) -> None:
        if not cases and not self.mistakes:
            self._problem(Problem(("cases",), "no cases", "add `cases:` or `cases_file:`"))
        scorers = [(spec, build(spec)) for spec in specs]
        seen: set[str] = set()
        for case, place in cases:
            self.mistakes += [
                replace(place, what=f"case {_called(case)}: {what}", remedy=fix)
                for what, fix in _faults(case)
            ]
            if case.id in seen:
                self.mistakes.append(
                    replace(place, what=f"the id {shown(case.id)} is given twice", remedy="rename one")
                )
            seen.add(case.id)
            if entry.family is not None and entry.family not in case.metadata:
                what = f"case {_called(case)}: no {entry.family!r} in its metadata"
                self.mistakes.append(replace(place, what=what, remedy="the suite's `family:` names it"))
            for spec, scorer in scorers:
                fault = scorer.check_case(case) if isinstance(scorer, CheckedScorer) else None
                if fault:
                    self.mistakes.append(replace(place, what=f"case {_called(case)}: {spec.name}: {fault}"))

    def _check_gates(self, entry: SuiteEntry, specs: Sequence[ScorerSpec]) -> None:
        reporting: defaultdict[str, list[str]] = defaultdict(list)
        for spec in specs:
            for measure in metric_names(spec)[1:]:
                reporting[measure].append(f"{spec.name}.{measure}")
        own = [*ANSWER_METRICS, *(spec.name for spec in specs)]
        known = [*own, *reporting, *(name for names in reporting.values() for name in names)]
        for index, gate in enumerate(entry.gates):
            place = ("gates", index, "metric")
            if gate.metric not in known:
                what = f"unknown metric {gate.metric!r}"
                self._problem(Problem(place, what, nearest(gate.metric, known)))
            elif gate.metric not in own and len(reporting[gate.metric]) > 1:
                what = f"{len(reporting[gate.metric])} scorers report {gate.metric!r}"
                self._problem(Problem(place, what, f"say {' or '.join(reporting[gate.metric])}"))
            limits = [
                limit
                for limit in (gate.at_least, gate.at_most, gate.at_least_ratio, gate.at_most_ratio)
                if limit is not None
            ]
            for limit in limits:
                if not math.isfinite(limit):
                    self._problem(Problem(("gates", index), f"{limit} is no bound", "give a number"))
            if not limits:
                self._problem(
                    Problem(("gates", index), "no condition", "add `at_least: 0.9` or another limit")
                )


def _case(entry: CaseEntry, place: Mistake) -> Case:
    """The case of an entry; an entry without a prompt has no messages, which `_faults` tells."""
    messages: tuple[Message, ...] = entry.messages or ()
    if entry.prompt is not None:
        messages = (*messages, {"role": "user", "content": entry.prompt})
    return Case(
        id=entry.id,
        messages=messages,
        expected=entry.expected,
        tags=entry.tags,
        required=entry.required,
        metadata=entry.metadata,
        line=place.line,
    )


def _called(case: Case) -> str:
    """A case's id as a message may show it."""
    return case.id if case.id.isprintable() and len(case.id) <= LONGEST_ID else shown(case.id)


def _faults(case: Case) -> Iterator[tuple[str, str]]:
    if not SLUG.fullmatch(case.id):
        yield f"the id {shown(case.id)} is not a slug", "use letters, digits, dots, dashes, underscores"
    if not case.messages:
        yield "nothing is asked", "add `prompt:` or `messages:`"
    for message in case.messages:
        if not isinstance(message.get("role"), str):
            yield "a message has no role", "e.g. {role: user, content: ...}"


def scorer_spec(raw: Mapping[str, Json]) -> ScorerSpec:
    """One entry of `scorers:` as a spec; the settings are checked by `build`.

    Raises:
        ParseError: No type, or a name or weight that cannot be.
    """
    kind = raw.get("type")
    if not isinstance(kind, str):
        raise ParseError([Problem((), "a scorer needs a type", "e.g. `type: exact_match`")])
    head = {key: value for key, value in raw.items() if key in SCORER_KEYS}
    settings = {key: value for key, value in raw.items() if key not in SCORER_KEYS}
    spec = parse(ScorerSpec, {"name": kind, **head, "settings": settings})
    if not 0 <= spec.weight < math.inf:
        raise ParseError([Problem(("weight",), f"{spec.weight:g}", "weigh scorers from 0 up")])
    return spec


def replace_path(problem: Problem, prefix: tuple[str | int, ...]) -> Problem:
    """The problem, seen from further up in the document."""
    return Problem((*prefix, *problem.path), problem.what, problem.remedy)


def messages_for(suite: Suite, case: Case, role: Role) -> tuple[Message, ...]:
    """What a role is sent: the suite's system prompt (or the role's own), then the case's messages.

    The promoted model is asked as the candidate is unless the suite has a prompt for it. A case
    that brings its own system message keeps it; an empty prompt sends none.
    """
    system = suite.prompt_for(role)
    own = bool(case.messages) and case.messages[0].get("role") in {"system", "developer"}
    if not system or own:
        return case.messages
    return ({"role": "system", "content": system}, *case.messages)


def find_suites(root: Path) -> list[Path]:
    """Suite files at or under a path, sorted."""
    if root.is_file():
        return [root] if root.name.endswith(SUFFIX) else []
    return sorted(root.rglob(f"*{SUFFIX}"))
