"""Training: what a step costs and changes is what transformers and peft say it does, and a job that stopped goes on bit for bit."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Gemma3Config

from harness.errors import StorageError, UsageError
from harness.localserver.hf.backend import HfBackend
from harness.localserver.hf.learner import HfLearner, open_hf_learner
from harness.localserver.hf.recognition import recognise
from harness.localserver.hf.student import Student
from harness.localserver.training.examples import Taught
from harness.localserver.training.learner import Learner
from harness.localserver.training.plan import TrainingError, TrainingPlan
from tests.localserver.hf.tiny import STYLES

SYSTEM = {"role": "system", "content": "Route it"}
CHATS = [
    {
        "messages": [
            SYSTEM,
            {"role": "user", "content": f"Which tool {number}?" + " and so on" * (number % 3)},
            {"role": "assistant", "content": f"blue {number % 2}"},
        ]
    }
    for number in range(8)
]
COMPLETIONS = [{"prompt": f"Hello {number}", "completion": f" world {number % 2}"} for number in range(8)]
PREFERENCES = [
    {"input": chat["messages"][:2], "preferred": "blue, says the clerk", "rejected": "again"}
    for chat in CHATS
]
Open = Callable[..., HfLearner]
LEARNABLE = [style for style in STYLES if style != "thinking"]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in float32, whatever the processor does fast, so that figures can be compared."""
    monkeypatch.setattr(
        "harness.localserver.hf.learner.learning_precision", lambda device, *, numbers: torch.float32
    )


@pytest.fixture
def opened(tmp_path: Path, model_folder: Callable[[str], Path]) -> Open:
    def learner(
        style: str = "llama3",
        rows: Sequence[Mapping[str, object]] = CHATS,
        *,
        exam: Sequence[Mapping[str, object]] | None = None,
        beta: float | None = None,
        seed: int = 0,
    ) -> HfLearner:
        def written(name: str, wanted: Sequence[Mapping[str, object]]) -> Path:
            path = tmp_path / name
            path.write_text("".join(json.dumps(row) + "\n" for row in wanted), encoding="utf-8")
            return path

        return open_hf_learner(
            TrainingPlan(
                model=model_folder(style),
                training_file=written("rows.jsonl", rows),
                validation_file=None if exam is None else written("exam.jsonl", exam),
                method="supervised" if beta is None else "dpo",
                beta=beta,
                n_epochs=1,
                batch_size=4,
                learning_rate_multiplier=1.0,
                seed=seed,
                threads=1,
                resume_from=None,
            )
        )

    return learner


def saved(learner: Learner, folder: Path) -> dict[str, bytes]:
    learner.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("style", LEARNABLE)
@pytest.mark.usefixtures("exact")
def test_a_step_costs_what_transformers_says(
    style: str, opened: Open, model_folder: Callable[[str], Path]
) -> None:
    learner = opened(style)
    tokens = HfBackend(recognise(model_folder(style)), threads=1).tokens
    model = AutoModelForCausalLM.from_pretrained(model_folder(style)).eval()
    total = answers = right = 0.0
    for chat in CHATS:
        ids, mask = tokens.encode_training(chat["messages"])
        labels = torch.tensor([[token if taught else -100 for token, taught in zip(ids, mask, strict=True)]])
        output = model(input_ids=torch.tensor([ids]), labels=labels)
        count = sum(mask[1:])
        total += float(output.loss.detach()) * count
        answers += count
        right += int((output.logits[:, :-1].argmax(-1) == labels[:, 1:]).sum())
    figures = learner.learn(range(8), rate=1e-3)
    assert figures["loss"] == pytest.approx(total / answers, rel=1e-5)
    assert figures["mean_token_accuracy"] == pytest.approx(right / answers)
    assert (learner.rows, learner.exam_rows) == (8, 0)
    assert learner.tokens == sum(len(tokens.encode_training(chat["messages"])[0]) for chat in CHATS)


@pytest.mark.parametrize(
    ("style", "rows"),
    [*((style, CHATS) for style in ("llama3", "gemma", "gpt2", "hybrid")), ("gpt2", COMPLETIONS)],
)
def test_what_was_learned_is_saved_and_served(
    style: str,
    rows: Sequence[Mapping[str, object]],
    opened: Open,
    tmp_path: Path,
    model_folder: Callable[[str], Path],
) -> None:
    learner = opened(style, rows, exam=rows)
    before = learner.examine(range(8))
    for _ in range(12):
        learner.learn(range(8), rate=2e-2)
    after = learner.examine(range(8))
    assert after["loss"] is not None
    assert before["loss"] is not None
    assert after["loss"] < before["loss"] * 2 / 3
    files = saved(learner, tmp_path / "adapter")
    assert sorted(files) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads(files["adapter_config.json"])
    assert (config["r"], config["lora_alpha"], config["layers_to_transform"]) == (8, 16, [2])
    assert config["base_model_name_or_path"] == str(model_folder(style))
    backend = HfBackend(recognise(model_folder(style)), threads=1, device="cpu")
    row = rows[0]
    prompt, answer = (
        (backend.tokens.encode_prompt(row["messages"][:-1]), row["messages"][-1]["content"])
        if "messages" in row
        else (backend.tokens.encode_opening(row["prompt"]), row["completion"])
    )
    ids = (
        backend.tokens.encode_training(row["messages"])[0][len(prompt) :]
        if "messages" in row
        else backend.tokens.encode_text(answer)
    )
    chances = [
        backend.decoder(folder).read([tuple(prompt)]).log_softmax(-1)[0, ids[0]]
        for folder in (tmp_path / "adapter", None)
    ]
    assert chances[0] > chances[1] + 1


def test_the_same_seed_gives_the_same_adapter_and_another_another(opened: Open, tmp_path: Path) -> None:
    adapters = []
    for seed in (0, 0, 1):
        learner = opened(seed=seed)
        learner.learn([0, 1, 2, 3], rate=1e-2)
        adapters.append(saved(learner, tmp_path / f"adapter-{len(adapters)}"))
    assert adapters[0] == adapters[1]
    assert adapters[0]["adapter_model.safetensors"] != adapters[2]["adapter_model.safetensors"]


@pytest.mark.parametrize(("rows", "beta"), [(CHATS, None), (PREFERENCES, 0.1)])
def test_a_job_that_stopped_goes_on_bit_for_bit(
    rows: Sequence[Mapping[str, object]], beta: float | None, opened: Open, tmp_path: Path
) -> None:
    straight = opened(rows=rows, beta=beta)
    batches = [[0, 3, 5, 1], [2, 4, 6, 7], [7, 1, 0, 2]]
    for batch in batches:
        straight.learn(batch, rate=1e-2)
    first = opened(rows=rows, beta=beta)
    first.learn(batches[0], rate=1e-2)
    state = tmp_path / "state"
    state.mkdir()
    first.save_state(state)
    second = opened(rows=rows, beta=beta)
    second.restore_state(state)
    for batch in batches[1:]:
        second.learn(batch, rate=1e-2)
    assert saved(second, tmp_path / "second") == saved(straight, tmp_path / "straight")


def test_a_state_of_another_model_or_a_damaged_one_is_refused(opened: Open, tmp_path: Path) -> None:
    opened("mistral").save_state(tmp_path)
    with pytest.raises(StorageError, match="of another model"):
        opened("llama3").restore_state(tmp_path)
    (tmp_path / "learner.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(StorageError, match="cannot be read"):
        opened("llama3").restore_state(tmp_path)


def test_only_the_upper_third_learns(opened: Open, tmp_path: Path) -> None:
    learner = opened()
    before = saved(learner, tmp_path / "before")
    learner.learn([0, 1], rate=1e-2)
    after = saved(learner, tmp_path / "after")
    names = load_file(tmp_path / "after" / "adapter_model.safetensors").keys()
    assert before != after
    assert {name.split(".")[4] for name in names} == {"2"}
    assert {name.split(".")[-3] for name in names} == {
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }


@pytest.mark.usefixtures("exact")
def test_dpo_starts_at_the_model_it_holds_on_to_and_parts_the_answers(opened: Open) -> None:
    learner = opened(rows=PREFERENCES, exam=PREFERENCES, beta=0.5)
    start = learner.learn(range(8), rate=1e-2)
    assert start["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert start["reward_margin"] == pytest.approx(0, abs=1e-4)
    for _ in range(8):
        learner.learn(range(8), rate=1e-2)
    end = learner.examine(range(8))
    assert end["preference_accuracy"] == 1
    assert end["loss"] is not None
    assert end["loss"] < 0.3
    assert end["reward_margin"] is not None
    assert end["reward_margin"] > 1


def test_a_preference_is_billed_with_its_prompt_once(
    opened: Open, model_folder: Callable[[str], Path]
) -> None:
    tokens = HfBackend(recognise(model_folder("llama3")), threads=1).tokens
    prompt = tokens.encode_prompt(PREFERENCES[0]["input"])  # type: ignore[arg-type]
    endings = sum(len(tokens.encode_text(PREFERENCES[0][key])) + 1 for key in ("preferred", "rejected"))  # type: ignore[arg-type]
    assert opened(rows=PREFERENCES[:1], beta=0.1).tokens == len(prompt) + endings


def test_a_row_beyond_the_context_is_cut_there(opened: Open) -> None:
    long = {
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "blue again " * 200}]
    }
    beyond = {
        "messages": [{"role": "user", "content": "a b c " * 200}, {"role": "assistant", "content": "blue"}]
    }
    learner = opened(rows=[long, beyond])
    assert learner.tokens == 2 * 256
    assert learner.learn([0], rate=1e-3)["loss"] is not None
    assert learner.learn([1], rate=1e-3) == {"loss": None, "mean_token_accuracy": None}
    with pytest.raises(TrainingError, match="within the model's context of 256 tokens") as caught:
        opened(rows=[beyond])
    assert (caught.value.code, caught.value.param) == ("invalid_training_file", "training_file")


def test_nothing_to_learn_changes_nothing(opened: Open, tmp_path: Path) -> None:
    silent = {"messages": [CHATS[0]["messages"][1], {**CHATS[0]["messages"][2], "weight": 0}]}
    learner = opened(rows=[CHATS[0], silent])
    learner.learn([0], rate=1e-2)
    before = saved(learner, tmp_path / "before")
    assert learner.learn([1], rate=1e-2)["loss"] is None
    assert saved(learner, tmp_path / "after") == before


def test_a_row_the_template_refuses_is_named(opened: Open) -> None:
    opening = {
        "messages": [
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": "y"},
            CHATS[0]["messages"][2],
        ]
    }
    with pytest.raises(TrainingError, match=r"Example 2: .*does not take messages of the roles") as caught:
        opened("gemma", rows=[CHATS[0], opening])
    assert caught.value.code == "invalid_training_file"


def test_a_loss_that_is_no_number_ends_the_job(opened: Open) -> None:
    learner = opened()
    learner.learn(range(8), rate=1e30)
    with pytest.raises(TrainingError, match="no longer a number") as caught:
        learner.learn(range(8), rate=1e30)
    assert (caught.value.code, caught.value.param) == ("training_diverged", "learning_rate_multiplier")


@pytest.mark.parametrize("style", ["llama3", "gemma", "gpt2", "hybrid"])
def test_states_that_are_computed_again_give_the_same_gradient(
    style: str, model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Taught(ids=list(range(5, 45)), mask=[0] * 10 + [1] * 30)
    gradients = []
    for kept in (10**6, 1):
        monkeypatch.setattr("harness.localserver.hf.student._KEPT_TOKENS", kept)
        model = AutoModelForCausalLM.from_pretrained(model_folder(style)).eval().requires_grad_(False)
        student = Student(model, base=model_folder(style), seed=0)
        with torch.no_grad():
            for parameter in student.learned.values():
                parameter.add_(0.01)
        ((losses, _),) = student.answer_losses([row])
        losses.sum().backward()
        gradients.append([parameter.grad for parameter in student.learned.values()])
    for kept_one, computed in zip(*gradients, strict=True):
        assert kept_one is not None
        assert computed is not None
        assert kept_one.abs().max() > 0
        torch.testing.assert_close(kept_one, computed, rtol=0, atol=0)


def test_wider_networks_learn_in_smaller_steps(
    model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scale() -> float:
        model = AutoModelForCausalLM.from_pretrained(model_folder("llama3")).requires_grad_(False)
        return Student(model, base=model_folder("llama3"), seed=0).rate_scale

    assert scale() == 1
    monkeypatch.setattr("harness.localserver.hf.student._MEASURED_WIDTH", 8)
    assert scale() == 8 / 32


def test_eyes_do_not_learn() -> None:
    """Their layers are called as those of the language model are."""
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    text = {"vocab_size": 64, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64}
    model = AutoModelForCausalLM.from_config(
        Gemma3Config(text_config=layers | text, vision_config=layers | {"image_size": 16, "patch_size": 8})
    )
    names = Student(model.requires_grad_(False), base=Path("x"), seed=0).learned
    assert len(names) == 7 * 2
    assert all(name.startswith("model.language_model.layers.2.") for name in names)


def test_a_model_whose_layers_cannot_be_found_is_told(model_folder: Callable[[str], Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama3"))
    model.config.num_hidden_layers = 7
    with pytest.raises(UsageError, match="its layers cannot be found"):
        Student(model, base=model_folder("llama3"), seed=0)
