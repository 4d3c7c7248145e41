"""A run as Markdown for a pull request or a CI job's summary: the verdict and why, what next, suites, the worst regressions.

Names, answers and sentences are hostile text in a place that turns words into links, pictures and calls to people.
Names and answers stand in code, in which nothing is read but its end; of sentences, every sign with a meaning is escaped.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from harness.records import Decision, Outcome, Role
from harness.report.facts import CHANGES, ModelFigures, Regression, RunFacts, SuiteFacts
from harness.report.languages import ENGLISH, Language
from harness.report.notation import MISSING, count, counted, fixed, interval, points, signed_points

LIMIT = 60_000
"""Bytes. GitHub takes 1 MiB of a job's summary, and 65,536 characters of a comment on a pull request."""
MARKS: Mapping[Outcome, str] = {"promote": "✅", "hold": "⛔", "undecided": "❔"}
DECISIONS: Mapping[Decision, tuple[str, str]] = {
    "pass": ("✅", "pass"),
    "fail": ("❌", "fail"),
    "undecided": ("❔", "open"),
}
ROLES: tuple[Role, ...] = ("base", "promoted", "candidate")
# How many entries of each list and letters of each text are shown; the next is taken where one does not fit.
ROOM = ((60, 400, 200), (30, 160, 120), (8, 80, 60))
# Of ASCII, what Markdown gives a meaning anywhere in a line.
_SIGNS = re.compile(r"([\\`*_\[\]|~$])")
_LINE_STARTS = re.compile(r"^([-+=#:]|\d+(?=[.)]))")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # they shape Persian words and families of emoji
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What GitHub makes links of although nothing marks it: people, issues, addresses.
_CALLS = (
    (re.compile(r"@(?=\w)"), "@\u200b"),
    (re.compile(r"#(?=\w)"), "#\u200b"),
    (re.compile(r"(?i)\b(gh)-(?=\d)"), "\\1\u200b-"),
    (re.compile(r":(?=//)"), ":\u200b"),
    (re.compile(r"(?i)\b(mailto|xmpp):"), "\\1\u200b:"),
    (re.compile(r"(?i)\b(www)\."), "\\1\u200b."),
)


def markdown_summary(facts: RunFacts, *, page: str = "", link: str = "", language: Language = ENGLISH) -> str:
    """The summary, at most `LIMIT` bytes of UTF-8.

    Args:
        facts: The run.
        page: Where its page lies, as a path to be shown.
        link: The address of the page, where it has been put into the web; it becomes a link only with http or https.
        language: What the summary is written in.
    """
    text = ""
    spoken = language.keeping(suite.name for suite in facts.suites)
    for entries, letters, answer in ROOM:
        shown = _Shown(facts, language=spoken, entries=entries, letters=letters, answer=answer)
        text = "\n\n".join(block for block in shown.blocks(page=page, link=link) if block) + "\n"
        if len(text.encode()) <= LIMIT:
            break
    return text


class _Shown:
    """One rendering with room for so many entries a list and so many letters a text."""

    def __init__(
        self, facts: RunFacts, *, language: Language, entries: int, letters: int, answer: int
    ) -> None:
        self._facts = facts
        self._said = language.said
        self._entries = entries
        self._letters = letters
        self._answer = answer

    def blocks(self, *, page: str, link: str) -> Iterator[str]:
        """The parts, in reading order; some may be empty."""
        facts = self._facts
        yield f"## {MARKS[facts.outcome]} {prose(self._said(facts.word), 40).upper()}: {self._candidate()}"
        if facts.status != "complete":
            rests = self._said(f"This run is {facts.status}: the verdict rests on what was answered.")
            yield f"> {prose(rests, self._letters)}"
        if facts.summary:
            yield f"**{self._prose(facts.summary)}**"
        yield self._list(facts.reasons)
        yield self._advice()
        yield self._table()
        yield self._gates()
        yield self._changes()
        yield self._regressions()
        yield self._warnings()
        yield self._costs()
        yield self._place(page, link)

    def _prose(self, text: str) -> str:
        """A sentence of ours."""
        return prose(self._said(text), self._letters)

    def _list(self, texts: Sequence[str]) -> str:
        lines = [f"- {self._prose(text)}" for text in texts[: self._entries]]
        return "\n".join([*lines, *self._more(texts)])

    def _more(self, items: Sequence[object]) -> list[str]:
        left = len(items) - self._entries
        return [f"*{self._said(f'{left:,} more on the page')}*"] if left > 0 else []

    def _candidate(self) -> str:
        named = (figures.model for figures in self._facts.models if figures.role == "candidate")
        return code(next(named, self._said("no candidate")), 120)

    def _advice(self) -> str:
        """The first thing to do and what was seen that says so; without advice, what would settle it."""
        if not self._facts.advice:
            return self._list([f"Next: {step}" for step in self._facts.next_steps])
        first, *others = self._facts.advice
        lines = [
            f"**{self._said('Next:')}** {self._prose(first.says)}  ",
            self._prose(f"Seen: {first.saw}"),
        ]
        if others:
            lines[-1] += "  "
            lines.append(self._prose(f"Then: {others[0].says}"))
        return "\n".join(lines)

    def _table(self) -> str:
        facts = self._facts
        rows = [*facts.suites, *([facts.pooled] if facts.pooled else [])]
        if not rows:
            return ""
        roles = [role for role in ROLES if any(_mean(row, role) is not None for row in rows)]
        words = ["Suite", *map(str.capitalize, roles), "Difference", "90 % interval", "Rule", "Decision"]
        head = [self._said(word) for word in words]
        sides = ["---", *("---:" for _ in roles), "---:", "---:", "---", "---"]
        lines = [head, sides, *([*self._cells(row, roles)] for row in rows[: self._entries])]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return "\n\n".join([table, *self._more(rows)])

    def _cells(self, row: SuiteFacts, roles: Sequence[Role]) -> Iterator[str]:
        is_pooled = row is self._facts.pooled
        name = code(row.name, 80, in_table=True)
        yield f"*{self._said('All guards')}*" if is_pooled else f"{name} {self._said(row.role)}"
        for role in roles:
            mean = points(_mean(row, role))
            yield f"**{mean}**" if role == "candidate" and mean != MISSING else mean
        yield signed_points(row.difference)
        yield self._said(interval(row.interval))
        yield prose(self._said(row.rule), 60)
        yield self._said("for information") if row.role == "info" else self._decision(row.decision)

    def _decision(self, decision: Decision) -> str:
        mark, word = DECISIONS[decision]
        return f"{mark} {self._said(word)}"

    def _gates(self) -> str:
        """The gates that are not among the reasons."""
        left = [gate for gate in self._facts.gates if gate.reason not in self._facts.reasons]
        lines = [
            f"- {self._decision(gate.decision)} {code(gate.suite, 80)}: {self._prose(gate.reason or gate.condition)}"
            for gate in left[: self._entries]
        ]
        return "\n".join([*lines, *self._more(left)])

    def _changes(self) -> str:
        counts = self._facts.changes
        if not any(counts.values()):
            return ""
        told = ", ".join(f"{count(counts.get(change, 0))} {change}" for change in CHANGES)
        return self._prose(f"Cases against {self._facts.reference}: {told}.")

    def _regressions(self) -> str:
        """In a list: what a model said never stands in a table."""
        found, total = self._facts.regressions, self._facts.changes.get("regressed", 0)
        if not found:
            return ""
        is_all = total <= len(found)
        title = (
            counted(len(found), "regression")
            if is_all
            else f"{len(found)} worst of {count(total)} regressions"
        )
        parts = "\n".join("\n".join(self._regression(one)) for one in found)
        return f"<details><summary>{self._prose(title)}</summary>\n\n{parts}\n\n</details>"

    def _regression(self, one: Regression) -> Iterator[str]:
        scores = self._said(f"{points(one.reference)} to {points(one.candidate)}")
        yield f"- {code(one.suite, 80)} {code(one.case, 80)}: {scores}"
        texts = (
            ("asked", one.asked),
            (self._facts.reference, one.reference_answer),
            ("candidate", one.candidate_answer),
        )
        for word, text in texts:
            yield f"  - {prose(self._said(word), 40)}: {code(text, self._answer)}"

    def _warnings(self) -> str:
        return self._list([f"Warning: {warning}" for warning in self._facts.warnings])

    def _costs(self) -> str:
        lines = [self._used(figures) for figures in self._facts.models]
        at_least = "at least " if self._facts.is_partial else ""
        if self._facts.tokens is not None:
            price = "" if self._facts.cost_usd is None else f", {_usd(self._facts.cost_usd)}"
            together = f"together: {at_least}{count(self._facts.tokens)} tokens{price}"
            lines.append(f"- {self._prose(together)}")
        return "\n".join(lines)

    def _used(self, figures: ModelFigures) -> str:
        words = [f"{count(figures.answered)} answered", f"{count(figures.from_cache)} from the cache"]
        if figures.failed:
            words.append(f"{count(figures.failed)} failed")
        if figures.prompt_tokens is not None and figures.completion_tokens is not None:
            words.append(f"{count(figures.prompt_tokens)} + {count(figures.completion_tokens)} tokens")
        if figures.cost_usd is not None:
            words.append(_usd(figures.cost_usd))
        if figures.median_latency_s is not None:
            words.append(f"median {fixed(figures.median_latency_s, 2)} s")
        return f"- {self._said(figures.role)} {code(figures.model, 120)}: {self._prose(', '.join(words))}"

    def _place(self, page: str, link: str) -> str:
        run = code(self._facts.run, 120)
        if re.match(r"https?://[^\s<>()\\]+$", link):
            return f"{self._said('Run')} {run}: [{self._said('the page')}](<{link}>)"
        shown = f", {self._said('page')} {code(page, 300)}" if page else ""
        return f"{self._said('Run')} {run}{shown}"


def code(text: str, most: int, *, in_table: bool = False) -> str:
    """Hostile text on one line of code, cut to `most` letters; an empty one is said to be empty."""
    line = cut(text, most)
    if not line:
        return "(empty)"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    # One blank at each end is taken off again; it keeps the text's own backticks apart from the fence.
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    shown = f"{fence}{pad}{line}{pad}{fence}"
    return shown.replace("|", "\\|") if in_table else shown


def prose(text: str, most: int) -> str:
    """Hostile text as a part of a sentence: nothing in it is a mark, a link, a picture, a tag or a call to anybody."""
    line = cut(text, most) or MISSING
    for pattern, apart in _CALLS:
        line = pattern.sub(apart, line)
    line = re.sub("[&<>]", lambda sign: _ENTITIES[sign[0]], _SIGNS.sub(r"\\\1", line))
    return _LINE_STARTS.sub(_escaped_start, line)


def _escaped_start(found: "re.Match[str]") -> str:
    start = found[0]
    return f"{start[:-1]}&#{ord(start[-1])};" if start[-1].isdigit() else f"\\{start}"


def cut(text: str, most: int) -> str:
    """The text on one line, without what is not printed or turns the direction of what follows, at most so long."""
    line = " ".join(_visible(text[: 4 * most]).split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1].rstrip() + "…"


def _visible(text: str) -> str:
    """Control and format characters, line ends of all kinds and halves of characters become blanks."""
    return "".join(
        letter if letter in _JOINERS or unicodedata.category(letter) not in _UNSEEN else " "
        for letter in text
    )


def _mean(row: SuiteFacts, role: Role) -> float | None:
    return {"base": row.base, "promoted": row.promoted}.get(role, row.candidate)


def _usd(amount: float) -> str:
    """In words: two dollar signs on a line would enclose mathematics."""
    return f"{amount:,.2f} USD" if amount == 0 or amount >= 0.1 else f"{amount:,.4f} USD"
