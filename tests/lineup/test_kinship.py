import pytest

from harness.lineup import Seat, families_of, kinship
from harness.records import Endpoint, Role, TrainingJob

OPENAI = Endpoint(label="openai")
LOCAL = Endpoint(label="local", base_url="http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("model", "families"),
    [
        ("gpt-4.1-mini-2025-04-14", {"gpt"}),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc123", {"gpt"}),
        ("openai/gpt-oss-20b", {"gpt"}),
        ("o3", {"gpt"}),
        ("o4-mini-2025-04-16", {"gpt"}),
        ("claude-sonnet-4-5", {"claude"}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"claude"}),
        ("meta-llama/Llama-3.3-70B-Instruct", {"llama"}),
        ("Qwen2.5-7B-Instruct-GPTQ", {"qwen"}),
        ("qwen3:8b", {"qwen"}),
        ("gemini-2.5-pro", {"gemini"}),
        ("mixtral-8x7b", {"mistral"}),
        ("smollm2-135m-instruct", {"smollm"}),
        ("ft:smollm2-135m-instruct:acme:tickets:1", {"smollm"}),
        ("deepseek-r1-distill-qwen-7b", {"deepseek", "qwen"}),
        ("glm-4.6", {"glm"}),
        ("microsoft/phi-4", {"phi"}),
        ("Phi-3.5-mini", {"phi"}),
        ("dolphin-7b", set()),
        ("acme/lora-7", set()),
        ("video3", set()),
        ("", set()),
    ],
)
def test_model_ids_tell_their_families(model: str, families: set[str]) -> None:
    assert families_of(model) == families


def seats(judge: str, candidate: str, base: str = "", *, at: Endpoint = LOCAL) -> dict[Role, Seat]:
    found: dict[Role, Seat] = {
        "candidate": Seat(model=candidate, endpoint=OPENAI, price={}),
        "judge": Seat(model=judge, endpoint=at, price={}),
    }
    if base:
        found["base"] = Seat(model=base, endpoint=OPENAI, price={})
    return found


def test_a_judge_of_the_same_family_is_warned_of_with_the_roles() -> None:
    (told,) = kinship(seats("gpt-4.1", "ft:gpt-4.1-nano:acme::a", "gpt-4.1-nano"))
    assert told.startswith("the judge gpt-4.1 and the candidate and base are of the gpt family: ")


def test_a_judge_of_another_family_is_not() -> None:
    assert kinship(seats("claude-sonnet-4-5", "gpt-4.1", "gpt-4.1-nano")) == ()
    assert kinship(seats("acme/judge", "acme/lora-7")) == ()


def test_the_job_tells_the_family_of_a_candidate_whose_name_does_not() -> None:
    job = TrainingJob(id="ftjob-1", status="succeeded", model="qwen2.5-7b")
    (told,) = kinship(seats("qwen-max", "acme/lora-7"), job)
    assert "the candidate are of the qwen family" in told


def test_a_judge_that_is_the_candidate_itself_is_told_so() -> None:
    (told,) = kinship(seats("m", "m", at=OPENAI))
    assert told == "the judge m is the candidate model itself: it may favour its own answers"


def test_the_same_name_at_another_endpoint_is_another_model() -> None:
    assert kinship(seats("m", "m")) == ()


def test_without_a_judge_there_is_nothing_to_warn_of() -> None:
    alone = seats("gpt-4.1", "gpt-4.1")
    del alone["judge"]
    assert kinship(alone) == ()
