"""How often `language` is right, by the length of the text: python benchmarks/languages.py FOLDER.

FOLDER holds gettext catalogues, as `.../<language>/LC_MESSAGES/*.po`; a large web framework's are a good choice. Each translation
is held against its own language (0 is a false alarm) and against another one of the same script (1 is a miss).
"""

import ast
import random
import re
import sys
from collections import Counter
from pathlib import Path

from harness.records import Case, Completion
from harness.scorers import Language
from harness.texts.languages import LANGUAGES, passages

LENGTHS = ((4, 10), (10, 20), (20, 40), (40, 80), (80, 10_000))
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{[^}]*\}|<[^>]+>|&\w+;")
_MESSAGE = re.compile(r'^msgstr(?:\[0\])? ((?:".*"\n)+)', re.MULTILINE)
_SAME = {"nb": "no", "nn": "no"}


def texts(folder: Path) -> list[tuple[str, str]]:
    found = set()
    for path in folder.rglob("LC_MESSAGES/*.po"):
        language = re.split("[_-]", path.parts[-3])[0]
        language = _SAME.get(language, language)
        if language not in LANGUAGES:
            continue
        for message in _MESSAGE.finditer(path.read_text(encoding="utf-8")):
            said = "".join(ast.literal_eval(line) for line in message[1].splitlines())
            text = " ".join(_PLACEHOLDER.sub(" ", said).split())
            is_header = "Project-Id-Version" in text
            if not is_header and sum(map(str.isalpha, text)) >= LENGTHS[0][0]:
                found.add((language, text))
    return sorted(found)


def judged(text: str, language: str) -> float | None:
    case = Case(id="text", messages=({"role": "user", "content": "?"},))
    return Language(language=language).score(case, Completion(text=text)).value


def main() -> None:
    rows = texts(Path(sys.argv[1]))
    draw = random.Random(0)
    scripts: dict[str, Counter[str]] = {}
    for language, text in rows:
        scripts.setdefault(language, Counter()).update(passage.script for passage in passages(text))
    script_of = {language: counts.most_common(1)[0][0] for language, counts in scripts.items()}
    own = {length: Counter[float | None]() for length in LENGTHS}
    other = {length: Counter[float | None]() for length in LENGTHS}
    for language, text in rows:
        letters = sum(map(str.isalpha, text))
        length = next((least, most) for least, most in LENGTHS if least <= letters < most)
        own[length][judged(text, language)] += 1
        others = [one for one in script_of if one != language and script_of[one] == script_of[language]]
        if others:
            other[length][judged(text, draw.choice(sorted(others)))] += 1
    print(f"{len(rows)} texts in {len(script_of)} languages")
    for least, most in LENGTHS:
        shares = [
            " / ".join(f"{counts[value] / max(1, counts.total()):.1%}" for value in order)
            for counts, order in (
                (own[least, most], (1.0, None, 0.0)),
                (other[least, most], (0.0, None, 1.0)),
            )
        ]
        print(f"| {least}-{most - 1} | {shares[0]} | {shares[1]} |")


if __name__ == "__main__":
    main()
