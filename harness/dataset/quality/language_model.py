"""In which language of Latin script is a text? As py3langid's model, which comes with it, says where it is sure.

Measured on the messages of a web framework translated into these twenty languages: of 2,116 with 40 letters and more it was sure of
1,977 and wrong about one; of 3,559 shorter ones it was sure of 2,476 and wrong about two.
"""

from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# The languages that are told apart. More would be confused with these more often than they are met.
LANGUAGES = (
    "ca",
    "cs",
    "da",
    "de",
    "en",
    "es",
    "fi",
    "fr",
    "hr",
    "hu",
    "id",
    "it",
    "nl",
    "no",
    "pl",
    "pt",
    "ro",
    "sv",
    "tr",
    "vi",
)
# Pairs too alike to be told apart in a sentence or two.
_ALIKE = (frozenset({"da", "no"}), frozenset({"ca", "es"}), frozenset({"es", "pt"}))
LEAST_LETTERS = 40
LEAST_PROBABILITY = 0.9
_READ_CHARACTERS = 400


def languages_apart(one: str, other: str) -> tuple[str, str] | None:
    """The languages of two texts, by their ISO 639 codes, where both are sure and they differ."""
    languages = language_of(one), language_of(other)
    if languages[0] is None or languages[1] is None or languages[0] == languages[1]:
        return None
    return None if frozenset(languages) in _ALIKE else (languages[0], languages[1])


def language_of(text: str) -> str | None:
    """A text's language, by its ISO 639 code; None when it is short or py3langid is not sure."""
    read = text[:_READ_CHARACTERS]
    if sum(character.isalpha() for character in read) < LEAST_LETTERS:
        return None
    language, probability = _identifier().classify(read.encode("utf-8", "replace"))
    return str(language) if probability >= LEAST_PROBABILITY else None


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
