"""Graders as a person would paste them, and what they say of an answer."""

from collections.abc import Callable, Mapping

from harness.protocols import AnyScorer, PanelScorer, Scorer, VectorScorer
from harness.records import Case, Completion, Failure, Json, Question, Score, ScorerSpec, ToolCall
from harness.scorers import build

CASE = Case(
    id="refund",
    messages=({"role": "user", "content": "I want my money back"},),
    expected="billing",
    metadata={"reference_answer": "You will get your money back within five days."},
)
STRING_CHECK: dict[str, Json] = {
    "name": "Right label",
    "type": "string_check",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.expected }}",
    "operation": "eq",
}
TEXT_SIMILARITY: dict[str, Json] = {
    "name": "near",
    "type": "text_similarity",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.reference_answer }}",
    "evaluation_metric": "fuzzy_match",
    "pass_threshold": 0.8,
}
SCORE_MODEL: dict[str, Json] = {
    "name": "helpful",
    "type": "score_model",
    "model": "gpt-4.1",
    "input": [
        {"role": "developer", "content": "Grade how helpful the answer is, from 0 to 10."},
        {
            "role": "user",
            "type": "message",
            "content": [
                {"type": "input_text", "text": "Question: {{ item.prompt }}"},
                {"type": "output_text", "text": "Answer: {{ sample.output_text }}"},
            ],
        },
    ],
    "range": [0, 10],
    "pass_threshold": 7,
    "sampling_params": {"temperature": 1, "top_p": 1, "seed": 42, "max_completions_tokens": 4096},
}
LABEL_MODEL: dict[str, Json] = {
    "name": "tone",
    "type": "label_model",
    "model": "gpt-4.1",
    "input": [{"role": "user", "content": "Which tone has this answer?\n\n{{ sample.output_text }}"}],
    "labels": ["warm", "neutral", "cold"],
    "passing_labels": ["warm", "neutral"],
}
MULTI: dict[str, Json] = {
    "name": "both",
    "type": "multi",
    "graders": {
        "label": {
            "name": "label",
            "type": "string_check",
            "input": "{{ sample.output_json.label }}",
            "reference": "{{ item.expected }}",
            "operation": "eq",
        },
        "explanation": {
            "name": "Explanation grader",
            "type": "score_model",
            "model": "gpt-4.1",
            "input": [{"role": "user", "content": "Is it clear? {{ sample.output_json.why }}"}],
        },
    },
    "calculate_output": "0.5 * label + 0.5 * explanation",
}


def scorer_of(entry: Mapping[str, Json], **changes: Json) -> AnyScorer:
    """The scorer of an entry, its type and name apart as a suite file's reader takes them."""
    settings = {key: value for key, value in {**entry, **changes}.items() if key not in {"type", "name"}}
    return build(ScorerSpec(type=str(entry["type"]), name="x", settings=settings))


def said(text: str, *calls: ToolCall, model: str = "") -> Completion:
    return Completion(text=text, tool_calls=calls, finish_reason="stop", model=model)


def prompt(question: Question) -> str:
    return "\n".join(f"[{message['role']}] {message['content']}" for message in question.messages)


def judged(
    scorer: AnyScorer,
    answer: str | Completion,
    judge: str | Completion | Failure | Callable[[str], str] = "",
    *,
    case: Case = CASE,
) -> Score:
    """What a scorer says of an answer, with a judge's reply to each question where it asks."""
    completion = said(answer) if isinstance(answer, str) else answer
    if isinstance(scorer, Scorer):
        return scorer.score(case, completion)
    if isinstance(scorer, VectorScorer):
        texts = scorer.texts(case, completion)
        return scorer.read_vectors(case, completion, [(1.0, float(len(text))) for text in texts])
    assert isinstance(scorer, PanelScorer)
    replies = {question.name: (_reply(judge, question),) for question in scorer.questions(case, completion)}
    return scorer.read_all(case, completion, replies)


def _reply(
    judge: str | Completion | Failure | Callable[[str], str], question: Question
) -> Completion | Failure:
    if isinstance(judge, (Completion, Failure)):
        return judge
    return said(judge if isinstance(judge, str) else judge(prompt(question)))
