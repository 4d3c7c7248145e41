"""What is asked: cases, suites, and where requests go."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from harness.records.form import Json, Message, record
from harness.records.words import Role, SuiteRole


@record
class Sampling:
    """How an answer is drawn. None leaves a setting to the endpoint."""

    temperature: float | None = 0.0
    max_tokens: int | None = 256
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    response_format: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    top_logprobs: int | None = None


@record
class Case:
    """One fixed prompt with an id and what is expected of the answer.

    `messages` are the turns after the system prompt. `family` is the value of the suite's family
    key in `metadata`: cases that share one are not independent.
    """

    id: str
    messages: tuple[Message, ...]
    expected: Json = None
    tags: tuple[str, ...] = ()
    required: bool = False
    metadata: Mapping[str, Json] = field(default_factory=dict)
    line: int = 0


@record
class ScorerSpec:
    """One entry of a suite's `scorers`: the type, the name its metric goes by, its settings.

    `code` is the digest of what else decides: the code of a scorer of somebody's own, the file that one judges by.
    """

    type: str
    name: str
    weight: float = 1.0
    settings: Mapping[str, Json] = field(default_factory=dict)
    code: str = ""


@record
class Gate:
    """A declared condition on one metric of the candidate: absolute, or a ratio of the reference's.

    `metric` is a scorer's name (its mean value), a measure a scorer reports (`refusal_rate`), what a
    scorer has over a whole suite (`macro_f1` of a `label`), or one of `score`, `tokens`, `prompt_tokens`, `completion_tokens`, `latency_s`.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    at_least_ratio: float | None = None
    at_most_ratio: float | None = None


@record
class Suite:
    """Cases, the scorers that judge their answers, and the gates on the result."""

    name: str
    cases: tuple[Case, ...]
    scorers: tuple[ScorerSpec, ...]
    role: SuiteRole = "target"
    task: Literal["single", "multi"] = "single"
    description: str = ""
    margin: float | None = None
    weight: float = 1.0
    needs: tuple[str, ...] = ()
    system: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    trials: int = 1
    family: str | None = None
    pass_mark: float = 1.0
    gates: tuple[Gate, ...] = ()
    path: str = ""
    digest: str = ""

    def prompt_for(self, role: Role) -> str | None:
        """The system prompt of a role: its own, else the suite's; the promoted model is asked as the candidate is."""
        if role == "promoted" and role not in self.prompts:
            role = "candidate"
        return self.prompts.get(role, self.system)


@record
class Endpoint:
    """Where requests go: a provider's or a server's base URL, its key, and how to ask it.

    `label` is the public name used in cache keys, manifests and messages; it stays the same when a
    local server comes up on another port. The key is never shown, logged or stored.
    """

    label: str
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 600.0
    max_retries: int = 10
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
