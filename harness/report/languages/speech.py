"""Sentences said in another language: known ones as they stand, then those that have a known form."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from harness.report.languages.patterns import DIVIDES, Budget, Grammar, Pattern

LIMIT = 2_000
"""Characters. What is longer is an answer or a file, not a sentence of ours."""
TRIES = 4_000
"""How often one sentence is tried at most; real ones take a dozen."""
DEPTH = 6
"""How deep sentences may stand within each other."""
REMEMBERED = 20_000
"""Sentences: a page says the same thing of many cases."""
_WORD = re.compile(r"[^\W\d_]+")
_STAND_INS = range(0xF0000, 0xFFFFE)
"""Characters that mean nothing to anybody; each stands in for a name while its sentence is read."""
_HAS_GAP = re.compile(r"\{\w+(?::\w+)?\}|\{\{|\}\}")


class Sentences:
    """The sentences of one language.

    Args:
        entries: English, with or without gaps, and how it is said.
        grammar: The language's pieces of sentences.

    Raises:
        ValueError: An entry cannot be read.
    """

    def __init__(self, entries: Mapping[str, str], grammar: Grammar) -> None:
        self._full_stop = grammar.full_stop
        self._exact = {text: said for text, said in entries.items() if not _HAS_GAP.search(text)}
        patterns = [Pattern(text, said, grammar) for text, said in entries.items() if text not in self._exact]
        self._patterns = sorted(patterns, key=lambda pattern: -pattern.weight)
        self._anchored, self._unanchored = self._index()
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._tried)

    def said(self, text: str) -> str:
        """The sentence in this language; one that is not known, or too long, stays as it is."""
        return text if len(text) > LIMIT else self._remembered(text)

    def keeping(self, names: Iterable[str]) -> "Keeping":
        """The same, which takes none of these names for words of its own."""
        return Keeping(self, names)

    def _index(self) -> tuple[Mapping[str, list[int]], list[int]]:
        """Patterns by the rarest word each cannot be without, and those that have no such word."""
        words = [sorted(set(pattern.anchors())) for pattern in self._patterns]
        common = Counter(word for own in words for word in own)
        anchored: dict[str, list[int]] = defaultdict(list)
        unanchored = []
        for place, own in enumerate(words):
            if own:
                anchored[min(own, key=lambda word: (common[word], -len(word), word))].append(place)
            else:
                unanchored.append(place)
        return anchored, unanchored

    def _tried(self, text: str) -> str:
        said = _Search(self, Budget(TRIES)).said(text)
        return text if said is None else said

    def candidates(self, text: str) -> Iterator[Pattern]:
        """The patterns a text may have, the most telling first."""
        places = set(self._unanchored)
        for word in {word.lower() for word in _WORD.findall(text)}:
            places.update(self._anchored.get(word, ()))
        return (self._patterns[place] for place in sorted(places))

    def exact(self, text: str) -> str | None:
        """A sentence known as it stands, whatever case its first letter has."""
        first, rest = text[:1], text[1:]
        return (
            self._exact.get(text)
            or self._exact.get(first.lower() + rest)
            or self._exact.get(first.upper() + rest)
        )

    @property
    def full_stop(self) -> str:
        """What ends a sentence."""
        return self._full_stop


class Keeping:
    """Sentences in which some names stay whole: `R and D` is no list of two, `style: it fell` no sentence.

    Args:
        sentences: What they are said with.
        names: Names of users, of which as many are kept as there are characters to stand in for them.
    """

    def __init__(self, sentences: Sentences, names: Iterable[str]) -> None:
        self._sentences = sentences
        self._names = {name for name in names if DIVIDES.search(name) and len(name) <= LIMIT}
        longest_first = sorted(self._names, key=lambda name: (-len(name), name))[: len(_STAND_INS)]
        self._stand_ins = {name: chr(code) for name, code in zip(longest_first, _STAND_INS, strict=False)}
        self._named = {stand_in: name for name, stand_in in self._stand_ins.items()}
        self._name = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def said(self, text: str) -> str:
        """The sentence in the language of these sentences, with the names as they are."""
        if len(text) > LIMIT or not self._names or any(ord(letter) in _STAND_INS for letter in text):
            return self._sentences.said(text)
        said = self._sentences.said(self._name.sub(lambda found: self._stand_ins[found[0]], text))
        return "".join(self._named.get(letter, letter) for letter in said)

    def keeping(self, names: Iterable[str]) -> "Keeping":
        """The same with more names."""
        return Keeping(self._sentences, {*self._names, *names})


class _Search:
    """One sentence being looked for: what was found of its parts, and how often it may still be tried."""

    def __init__(self, sentences: Sentences, budget: Budget) -> None:
        self._sentences = sentences
        self._budget = budget
        self._found: dict[str, str | None] = {}
        self._depth = 0

    def said(self, text: str) -> str | None:
        """The text in the other language, or None."""
        if text not in self._found:
            if self._depth >= DEPTH:
                return None
            self._found[text] = None  # a sentence is no part of itself
            self._depth += 1
            self._found[text] = self._looked_for(text)
            self._depth -= 1
        return self._found[text]

    def _looked_for(self, text: str) -> str | None:
        known = self._sentences.exact(text)
        if known is not None:
            return known
        # Before a part of it is found with the full stop as its own.
        if text.endswith(".") and not text.endswith("..") and (said := self.said(text[:-1])) is not None:
            return said + self._sentences.full_stop
        for pattern in self._sentences.candidates(text):
            if not self._budget.spend():
                return None
            found = pattern.match(text, said=self.said, budget=self._budget)
            if found is not None:
                return found
        return None
