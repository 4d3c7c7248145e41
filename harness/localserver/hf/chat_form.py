"""How does a model's chat template write a conversation, and where in it do the messages' own texts stand?

A template is a program that came with the model. It is run (by transformers, in jinja's sandbox) on placeholders and never sees
what people wrote, so no text can steer it; and what it wrote itself can be told from what people wrote, so that only the
former can become control tokens.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from harness.errors import UsageError

# The form of models without a template; also what such a model has to be asked in elsewhere once it has been tuned here.
PLAIN_FORM = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant:\n' + message['content'] + eos_token + '\n\n' }}"
    "{% else %}{{ 'User:\n' + message['content'] + '\n\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)
# The day that Llama's templates assume when they do not look at the clock. They are told it, so that a prompt is the same tomorrow.
_TODAY = "26 Jul 2024"
# Newer or older names of roles that templates know.
_ROLE_NAMES = {"developer": "system", "function": "tool"}
_JOINT = "\n\n"

# Characters of Unicode's private use around a message's number; no template writes them. The em spaces beside them are gone
# where a template strips a message's outer white space.
_BODY_START, _BODY_END, _EM_SPACE, ANSWER_START = "\ue000", "\ue001", "\u2003", "\ue002"
_BODY = re.compile(
    f"(?P<before>{_EM_SPACE}?){_BODY_START}(?P<message>\\d+){_BODY_END}(?P<after>{_EM_SPACE}?)"
)
# Matches a body, for `body_at`, or the start of an answer.
PLACES = f"{_BODY.pattern}|{ANSWER_START}"
# What templates raise on conversations they do not take: their own complaints, and operations on what is not there.
_REFUSALS = (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Body:
    """The place of a message's text, and whether the template keeps the white space at its ends."""

    message: int
    keeps_start: bool
    keeps_end: bool

    def text(self, written: str) -> str:
        """The text as it stands there."""
        started = written if self.keeps_start else written.lstrip()
        return started if self.keeps_end else started.rstrip()


def body_at(found: "re.Match[str]") -> Body | None:
    """The body a match of `PLACES` stands for; None where an answer starts."""
    if found["message"] is None:
        return None
    return Body(
        message=int(found["message"]), keeps_start=bool(found["before"]), keeps_end=bool(found["after"])
    )


class ChatForm:
    """The chat form of a model: conversations of these roles, as the template writes them around their texts.

    Raises:
        UsageError: The model has neither a template nor a token that ends a text, or several templates and none is the usual one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        try:
            self.template: str = tokenizer.get_chat_template() if tokenizer.chat_template else PLAIN_FORM
        except ValueError as error:
            raise UsageError(f"the model's chat template cannot be chosen: {error}") from error
        if self.template == PLAIN_FORM and tokenizer.eos_token is None:
            raise UsageError(
                "the model has no chat template and no token that ends a text",
                remedy="add chat_template.jinja to its folder, or name an eos_token in tokenizer_config.json",
            )
        # A skeleton depends on the roles alone, and few sequences of roles make up most conversations.
        self._write = lru_cache(maxsize=256)(self._try_to_write)

    def prompt(self, roles: Sequence[str]) -> str:
        """The skeleton the model continues: the conversation, then the head of an assistant message.

        Raises:
            UsageError: The template does not take these roles in this order.
        """
        return self._write(_known(roles), answering=True)

    def lesson(self, roles: Sequence[str]) -> str:
        """The skeleton of a whole conversation, with the places where the answers start.

        An answer is what the model has to write after the prompt, so it starts where the prompt before it ends, which may be before
        the message's text ("[/INST]", then a space). Where a template writes the head of its last answer in another way than
        the head it asks with, the latter is taken: what is trained is what will be asked.
        """
        known = _known(roles)
        written = self._write(known, answering=False)
        for number in reversed([place for place, role in enumerate(known) if role == "assistant"]):
            written = self._mark_answer(written, known, number)
        return written

    def _mark_answer(self, written: str, roles: tuple[str, ...], number: int) -> str:
        body = next(found for found in _BODY.finditer(written) if int(found["message"]) == number)
        try:
            prompt = self._write(roles[:number], answering=True) if number else ""
        except UsageError:
            prompt = ""  # a conversation that may not be answered here, though it may go on
        start = body.start()
        if prompt and written.startswith(prompt):
            start = min(start, len(prompt))
        elif prompt and number == len(roles) - 1:
            return prompt + ANSWER_START + written[body.start() :]
        return written[:start] + ANSWER_START + written[start:]

    def _try_to_write(self, roles: tuple[str, ...], *, answering: bool) -> str:
        complaint = "it leaves messages out"
        # Templates of models that also see want lists of parts, of which ours is one.
        for turns, in_parts in product(_arrangements(roles), (False, True)):
            texts = [_JOINT.join(map(_placeholder, members)) for _, members in turns]
            messages: list[dict[str, object]] = [
                {"role": role, "content": [{"type": "text", "text": text}] if in_parts else text}
                for (role, _), text in zip(turns, texts, strict=True)
            ]
            try:
                written = self._render(messages, answering=answering)
            except _REFUSALS as error:
                complaint = str(error)
                continue
            if [int(found["message"]) for found in _BODY.finditer(written)] == list(range(len(roles))):
                return written
        raise UsageError(
            f"the model's chat template does not take messages of the roles {', '.join(roles)}: {complaint:.200}",
            remedy="begin with a user message, and let user and assistant take turns",
        )

    def _render(self, messages: list[dict[str, object]], *, answering: bool) -> str:
        written = self._tokenizer.apply_chat_template(
            messages,
            chat_template=self.template,
            tokenize=False,
            add_generation_prompt=answering,
            # Where a template knows this switch, an answer is the answer, without a chain of thought before it.
            enable_thinking=False,
            date_string=_TODAY,
        )
        assert isinstance(written, str)
        return written


def _known(roles: Sequence[str]) -> tuple[str, ...]:
    return tuple(_ROLE_NAMES.get(role, role) for role in roles)


def _placeholder(number: int) -> str:
    return f"{_EM_SPACE}{_BODY_START}{number}{_BODY_END}{_EM_SPACE}"


_Turns = list[tuple[str, list[int]]]


def _arrangements(roles: tuple[str, ...]) -> Iterator[_Turns]:
    """Which messages a template may be given as one, from none to many.

    After the messages as they are: for templates without a system role, its text before that of the next user message; for templates
    that want users and assistants to take turns, neighbours of one role as one message; and both.
    """
    alone: _Turns = [(role, [number]) for number, role in enumerate(roles)]
    yield alone
    merged: _Turns = []
    waiting: list[int] = []
    for role, members in alone:
        if role == "system":
            waiting += members
        else:
            merged.append((role, waiting + members) if role == "user" else (role, members))
            waiting = [] if role == "user" else waiting
    if waiting:
        merged.append(("user", waiting))
    yield merged
    for turns in (alone, merged):
        yield _joined(turns)


def _joined(turns: _Turns) -> _Turns:
    joined: _Turns = []
    for role, members in turns:
        if joined and joined[-1][0] == role and role != "assistant":
            joined[-1] = (role, joined[-1][1] + members)
        else:
            joined.append((role, members))
    return joined
