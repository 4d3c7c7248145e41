"""A sentence with gaps, `{suite} fell by {n:amount}`: whether a text has that form, and what stands in its gaps.

What a gap takes is said behind its name:
    {x}          any text, kept as it is: answers, paths, words of others
    {x:name}     the same without anything that divides sentences: names of suites, models, scorers
    {x:number}   a number: `12`, `-0.5`, `1,200`
    {x:numbers}  numbers with commas between them: `3, 8, 21`
    {x:amount}   a number with its unit, `12 %`, `1.2 points`, `$0.42`; the unit is translated
    {x:date}     `11 Feb 2026, 14:03 UTC`, written year first
    {x:shown}    a value as Python shows it, `'a text'`, `'a long te…`, `12`: what stands in quotation marks divides nothing
    {x:list}     names with commas and `and` or `or` between them, kept but for what stands between
    {x:pairs}    the same of names with a colon in them, `suite: case`
    {x:quoted}   the same of texts in quotation marks, which may have a count behind them
    {x:said}     a sentence or a part of one that is known itself
    {x:part}     a part of one clause that is known itself: nothing in it divides clauses
    {x:open}     the same if it is known; else kept as it is
A text is hostile: it may hold names that look like patterns or are very long. So gaps are not regular
expressions: they end at the first place where the words behind them stand, then at the next, within a budget of tries.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

GAP = re.compile(r"\{\{|\}\}|\{(\w+)(?::(\w+))?\}")
_NUMBER = r"[+\-−~]?\d(?:[\d,.]{0,30}\d)?(?:e[+\-]?\d{1,3})?"
_UNITS = ("s", "ms", "min", "h", "kB", "MB", "MiB", "GB", "GiB")  # the same in every language
_UNIT = re.compile(r"^\{\w+\} ")
_NUMBERS = r"\d[\d,]{0,30}(?<!,)(?:, \d[\d,]{0,30}(?<!,)){0,60}"
_MONEY = r"(?:−|-)?\$\d(?:[\d,.]{0,30}\d)?"
_DATE = r"\d{1,2} [A-Z][a-z]{2} \d{4}(?:, \d\d:\d\d(?: UTC)?)?"
_BOUNDED = frozenset({"number", "numbers", "amount", "date"})
_OPEN = frozenset({"", "name", "shown", "list", "pairs", "quoted", "said", "part", "open"})
_WORD = re.compile(r"[^\W\d_]+")
DIVIDES = re.compile(r"[:;,.](?:\s|$)| (?:and|or)(?: |$)")
"""What a sentence is divided at; a name with any of these is only safe where it is known to be one."""
_HAN = re.compile("[\u3001-\u303f\u4e00-\u9fff\uff01-\uff5e]")
_QUOTE = r"""(?:'(?:[^'\\]|\\.)*['…]|"(?:[^"\\]|\\.)*["…])"""
_SHOWN = re.compile(rf"""{_QUOTE}|(?!['"])(?:(?!;\s).)+""", re.DOTALL)
_NUMBERS_OR = re.compile(r"[\d.%±+\-−/ ]+(?: or [\d.%±+\-−/ ]+)+")
_COUNTED = rf"{_QUOTE}(?: \(\d+\))?"
_QUOTED = re.compile(rf"{_COUNTED}(?:(?:, | and | or ){_COUNTED})*(?: …)?", re.DOTALL)
LONGEST_JOINT = 5
"""Letters, as of ` and `."""
_CLAUSES = re.compile(r"[:;]\s")
_ENDS = {"list": re.compile(r"[:;.](?:\s|$)"), "pairs": re.compile(r"[;.](?:\s|$)")}


class Budget:
    """How often one sentence may still be tried."""

    def __init__(self, tries: int) -> None:
        self.tries = tries

    def spend(self) -> bool:
        """Take one; whether there was one."""
        self.tries -= 1
        return self.tries >= 0


Said = Callable[[str], str | None]
"""A part of a sentence in the other language; None where it is not known."""


class Grammar:
    """A language's pieces of sentences.

    Args:
        amounts: Amounts with units, `{n} points`, and how they are said.
        joints: What stands between names, and how it is said.
        full_stop: What ends a sentence.
    """

    def __init__(self, *, amounts: Mapping[str, str], joints: Mapping[str, str], full_stop: str) -> None:
        self.full_stop = full_stop
        self._joints = joints
        texts = sorted(amounts, key=len, reverse=True)
        self._forms = [(re.compile(_amount_form(text, is_named=True)), amounts[text]) for text in texts]
        self.amount = _any_amount(texts)
        """The regular expression of any amount."""

    def say_amount(self, text: str) -> str:
        """An amount with its unit in this language."""
        for form, said in self._forms:
            if found := form.fullmatch(text):
                return filled(said, found.groupdict())
        return text

    def say_list(self, text: str) -> str:
        """Names with what stands between them in this language."""
        for joint, said in self._joints.items():
            text = text.replace(joint, said)
        return text

    def say_quoted(self, text: str) -> str:
        """Texts in quotation marks with what stands between them in this language."""
        for joint, said in self._joints.items():
            text = re.sub(rf"(?<=[\"')]){re.escape(joint)}(?=[\"'])", said, text)
        return text


def filled(said: str, values: Mapping[str, str]) -> str:
    """A translation with its gaps filled, each once: what is filled in is never read again.

    Around a gap stands a space where Latin letters or digits may meet Han characters; it goes where Han meets Han.
    """
    text, last = "", 0
    for gap in GAP.finditer(said):
        value = values[gap[1]] if gap[1] else gap[0][0]
        text = _met(text + said[last : gap.start()], value)
        last = gap.end()
        rest = said[last:]
        if _HAN.match(value[-1:]) and rest[:1] == " " and _HAN.match(rest[1:]):
            last += 1
    return text + said[last:]


def _met(before: str, value: str) -> str:
    is_han = before[-1:] == " " and _HAN.match(before[-2:-1]) and _HAN.match(value)
    return (before[:-1] if is_han else before) + value


def _amount_form(text: str, *, is_named: bool = False) -> str:
    last, parts = 0, []
    for gap in GAP.finditer(text):
        number = f"(?P<{gap[1]}>{_NUMBER})" if is_named else _NUMBER
        parts += [re.escape(text[last : gap.start()]), number]
        last = gap.end()
    end = r"\b" if text[-1:].isalpha() else ""
    return "".join(parts) + re.escape(text[last:]) + end


def _any_amount(texts: Sequence[str]) -> str:
    """One expression for all; of the many that are a number and a unit, one number for all units."""
    units = [tail for text in texts if (tail := _UNIT.sub("", text)) != text]
    others = [_amount_form(text) for text in texts if not _UNIT.match(text)]
    unit = "|".join([*map(re.escape, units), *_UNITS])
    plain = [rf"[≥≤] ?{_NUMBER}", rf"{_NUMBER}(?: (?:{unit})\b| ?%)?"]
    return f"(?:{'|'.join([*others, _MONEY, *plain])})"


class Pattern:
    """One sentence with gaps, and how it is said.

    Raises:
        ValueError: Two gaps that take any text stand side by side, or a kind is not known.
    """

    def __init__(self, text: str, said: str, grammar: Grammar) -> None:
        self.text = text
        self._said = said
        self._grammar = grammar
        self._runs: list[list[tuple[str, str]]] = [[]]
        """Words and bounded gaps, as (kind, text), between the gaps that take any text."""
        self._gaps: list[tuple[str, str]] = []
        self._read(text)
        self.weight = self._weight()
        missing = {gap[1] for gap in GAP.finditer(said) if gap[1]} - {
            gap[1] for gap in GAP.finditer(text) if gap[1]
        }
        if missing:
            raise ValueError(f"{text!r} is said with {sorted(missing)}, which it does not have")

    def _read(self, text: str) -> None:
        last = 0
        for gap in GAP.finditer(text):
            self._add_words(text[last : gap.start()])
            last = gap.end()
            name, kind = gap[1], gap[2] or ""
            if name is None:
                self._add_words(gap[0][0])
            elif kind in _BOUNDED:
                self._runs[-1].append((kind, name))
            elif kind in _OPEN:
                if self._gaps and not self._runs[-1]:
                    raise ValueError(f"{text!r}: nothing stands between two gaps")
                self._gaps.append((kind, name))
                self._runs.append([])
            else:
                raise ValueError(f"{text!r}: no kind of gap {kind!r}")
        self._add_words(text[last:])

    def _add_words(self, words: str) -> None:
        if not words:
            return
        run = self._runs[-1]
        if run and run[-1][0] == "words":
            words = run.pop()[1] + words
        run.append(("words", words))

    def _weight(self) -> int:
        """How telling it is: its own letters. What only joins sentences comes last, in the order of the catalogue."""
        own = sum(len(words) for run in self._runs for kind, words in run if kind == "words")
        only_joins = (
            own <= LONGEST_JOINT
            and bool(self._gaps)
            and all(kind in {"said", "name"} for kind, _ in self._gaps)
        )
        return 0 if only_joins else own

    def anchors(self) -> Iterator[str]:
        """Words, small, without which no text has this form."""
        parts = [part for run in self._runs for part in (*run, ("gap", ""))][:-1]
        for place, (kind, words) in enumerate(parts):
            if kind != "words":
                continue
            for word in _WORD.finditer(words):
                # A word at the edge of a gap may be a part of what stands in it.
                begins = word.start() > 0 or place == 0
                if begins and (word.end() < len(words) or place == len(parts) - 1):
                    yield word[0].lower()

    def match(self, text: str, *, said: Said, budget: Budget) -> str | None:
        """The text in the other language, or None when it does not have this form."""
        first = self._forms[0].match(text)
        if first is None:
            return None
        if not self._gaps:
            return self._say(first.groupdict()) if first.end() == len(text) else None
        end = self._forms[-1].search(text, first.end()) if self._runs[-1] else None
        if self._runs[-1] and end is None:
            return None
        values = self._fill(text, first.end(), 0, said=said, budget=budget)
        return None if values is None else self._say({**first.groupdict(), **values})

    def _fill(self, text: str, start: int, gap: int, *, said: Said, budget: Budget) -> dict[str, str] | None:
        """What stands in this gap and in those behind it."""
        kind, name = self._gaps[gap]
        is_last = gap == len(self._gaps) - 1
        for stop, behind, found in self._stops(text, start, gap):
            if not budget.spend():
                return None
            value = self._value(kind, text[start:stop], said)
            if value is None:
                continue
            rest = {} if is_last else self._fill(text, behind, gap + 1, said=said, budget=budget)
            if rest is not None:
                return {name: value, **found, **rest}
        return None

    def _stops(self, text: str, start: int, gap: int) -> Iterator[tuple[int, int, dict[str, str]]]:
        """Where a gap may end, where the next begins, and the bounded gaps between: the nearest first."""
        form = self._forms[gap + 1]
        if gap == len(self._gaps) - 1 and not self._runs[-1]:
            if start < len(text):
                yield len(text), len(text), {}
            return
        position = start + 1
        while position <= len(text) and (found := form.search(text, position)):
            yield found.start(), found.end(), found.groupdict()
            position = found.start() + 1

    def _value(self, kind: str, text: str, said: Said) -> str | None:
        if kind == "name":
            return None if DIVIDES.search(text) else text
        if kind == "shown":
            said_list = self._grammar.say_list if _NUMBERS_OR.fullmatch(text) else str
            return said_list(text) if _SHOWN.fullmatch(text) else None
        if kind in _ENDS:
            return None if _ENDS[kind].search(text) else self._grammar.say_list(text)
        if kind == "quoted":
            return self._grammar.say_quoted(text) if _QUOTED.fullmatch(text) else None
        if kind == "said" or (kind == "part" and not _CLAUSES.search(text)):
            return said(text)
        if kind == "part":
            return None
        return (said(text) or text) if kind == "open" else text

    def _say(self, values: Mapping[str, str]) -> str:
        kinds = {name: kind for run in self._runs for kind, name in run if kind in _BOUNDED}
        told = {name: self._bounded(kinds.get(name, ""), value) for name, value in values.items()}
        return filled(self._said, told)

    def _bounded(self, kind: str, value: str) -> str:
        if kind == "amount":
            return self._grammar.say_amount(value)
        if kind == "numbers":
            return self._grammar.say_list(value)
        return _year_first(value) if kind == "date" else value

    @cached_property
    def _forms(self) -> tuple[re.Pattern[str], ...]:
        """A regular expression for what stands between any two open gaps; the last reaches the end."""
        forms = [self._form(run, is_first=index == 0) for index, run in enumerate(self._runs)]
        forms[-1] += r"\Z"
        return tuple(re.compile(form) for form in forms)

    def _form(self, run: list[tuple[str, str]], *, is_first: bool) -> str:
        form = ""
        for place, (kind, words) in enumerate(run):
            if kind == "words":
                is_start = is_first and not place
                form += f"(?i:{re.escape(words[0])}){re.escape(words[1:])}" if is_start else re.escape(words)
            else:
                form += f"(?P<{words}>{self._bounded_form(kind)})"
        return form

    def _bounded_form(self, kind: str) -> str:
        return {"number": _NUMBER, "numbers": _NUMBERS, "date": _DATE}.get(kind) or self._grammar.amount


def _year_first(text: str) -> str:
    """`11 Feb 2026, 14:03 UTC` as `2026-02-11 14:03 UTC`."""
    day, _, time = text.partition(", ")
    try:
        written = datetime.strptime(day, "%d %b %Y").date().isoformat()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return text
    return f"{written} {time}".strip()
