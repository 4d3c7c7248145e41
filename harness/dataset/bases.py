"""What does a base model take, and how well is it known here?"""

from collections.abc import Iterator

from harness.dataset.findings import Finding
from harness.dataset.model_names import base_of
from harness.dataset.shapes import Form
from harness.dataset.tokens import encoding_for, knows_encoding

# The forms of rows a job on a base takes, by the beginning of its name, from OpenAI's guides: prompt and completion for the two
# older models, graded prompts for the one that reasons, chat and preferences for the others.
_FORMS: tuple[tuple[str, tuple[Form, ...]], ...] = (
    ("gpt-", ("chat", "preference")),
    ("o4-mini", ("reinforcement",)),
    ("babbage-002", ("completion",)),
    ("davinci-002", ("completion",)),
)


def forms_taken(model: str) -> tuple[Form, ...]:
    """The forms a job on this base takes; none where that is not known."""
    name = base_of(model)
    return next((forms for start, forms in _FORMS if name.startswith(start)), ())


def unknown_tokenizer(model: str) -> Iterator[Finding]:
    """What there is to say when tokens are counted as another model's."""
    if not knows_encoding(model):
        yield Finding(
            name="unknown_tokenizer",
            level="note",
            what=f"the tokenizer of {model} is not known here: tokens are counted with {encoding_for(model)}",
            count=0,
            lines=(),
            why="counts, epochs' cost and the rows that are too long are estimates",
            remedy="take the provider's own count before a large job",
        )
