"""Serving: rows of different lengths that come and go have the logits they have alone, and say what transformers says."""

import json
import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.errors import StorageError
from harness.localserver.generation.decoder import Backend, Decoder, Ids
from harness.localserver.generation.engine import Engine
from harness.localserver.generation.requests import GenerationRequest
from harness.localserver.hf.backend import HfBackend
from harness.localserver.hf.decoders import Network, RowsApart, RowsTogether, bytes_per_token
from harness.localserver.hf.recognition import recognise
from tests.localserver.hf.tiny import STYLES

TEXTS = ["Hello world again", "Which tool sends the parcel to Lyon? The blue one, says the clerk", "a"]
STEPS, JOINS, LEAVES = 20, 5, 12
# One of each architecture.
NETWORKS = [style for style in STYLES if style != "thinking"]


@pytest.fixture
def new_backend(model_folder: Callable[[str], Path]) -> Callable[[str], HfBackend]:
    """One to add fine-tunes to."""
    return lambda style: HfBackend(recognise(model_folder(style)), threads=1, device="cpu")


@pytest.fixture(scope="module")
def backend(model_folder: Callable[[str], Path]) -> Callable[[str], HfBackend]:
    """One for all tests that leave it as it was."""
    return lru_cache(lambda style: HfBackend(recognise(model_folder(style)), threads=1, device="cpu"))


def prompts(backend: HfBackend) -> list[Ids]:
    return [tuple(backend.tokens.encode_text(text)) for text in TEXTS]


def network_of(backend: HfBackend) -> Network:
    backend.decoder(None)
    assert backend._network is not None
    return backend._network


def course(decoder: Decoder, reading: Sequence[Ids]) -> tuple[list[list[int]], list[Tensor]]:
    """Greedy answers of two rows; a third joins them, and the first leaves. The tokens of each row, and all logits."""
    said: list[list[int]] = [[] for _ in reading]
    seen = [decoder.read(reading[:2])]
    rows = [0, 1]
    logits = seen[-1]
    for step in range(STEPS):
        chosen = logits.argmax(dim=-1).tolist()
        for row, token in zip(rows, chosen, strict=True):
            said[row].append(token)
        if step == LEAVES:
            decoder.drop(0)
            rows[0], chosen[0] = rows.pop(), chosen.pop()
        logits = decoder.advance(chosen)
        seen.append(logits)
        if step == JOINS:
            joined = decoder.read(reading[2:])
            seen.append(joined)
            logits = torch.cat([logits, joined])
            rows.append(2)
    return said, seen


def test_it_fulfils_the_engines_protocol(backend: Callable[[str], HfBackend]) -> None:
    served: Backend = backend("llama3")
    assert (served.workers, served.threads_each, served.context) == (1, 1, 256)
    assert served.tokens.size == network_of(backend("llama3")).model.config.vocab_size


@pytest.mark.parametrize("style", NETWORKS)
def test_rows_beside_others_have_the_logits_they_have_alone(
    style: str, backend: Callable[[str], HfBackend]
) -> None:
    served = backend(style)
    network = network_of(served)
    batched, seen = course(served.decoder(None), prompts(served))
    alone, expected = course(RowsApart(network, room=10**6, activate=lambda: None), prompts(served))
    assert batched == alone
    for found, wanted in zip(seen, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-4 * float(wanted.std()))


@pytest.mark.parametrize("style", NETWORKS)
def test_greedy_answers_are_those_of_transformers(style: str, backend: Callable[[str], HfBackend]) -> None:
    served = backend(style)
    model = network_of(served).model
    said, _ = course(served.decoder(None), prompts(served))
    for prompt, answer in zip(prompts(served), said, strict=True):
        generated = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=len(answer),
            do_sample=False,
            eos_token_id=-1,
            pad_token_id=0,
        )
        assert generated[0, len(prompt) :].tolist() == answer


@pytest.mark.parametrize("style", NETWORKS)
def test_rows_are_side_by_side_unless_a_model_remembers_otherwise(
    style: str, backend: Callable[[str], HfBackend]
) -> None:
    assert isinstance(backend(style).decoder(None), RowsApart if style == "hybrid" else RowsTogether)


def test_a_model_that_minds_its_neighbours_is_answered_row_by_row(
    backend: Callable[[str], HfBackend],
) -> None:
    """One that takes no heed of the mask, say."""
    network = network_of(backend("chatml"))
    forward = network.model.model.forward
    network.model.model.forward = lambda **given: forward(**given | {"attention_mask": None})
    try:
        assert bytes_per_token(network) is None
    finally:
        del network.model.model.forward
    # 3 layers, keys and values, 2 heads of 8 numbers of 4 bytes.
    assert bytes_per_token(network) == 3 * 2 * 2 * 8 * 4


def test_a_row_longer_than_all_before_and_many_steps_make_room(backend: Callable[[str], HfBackend]) -> None:
    served = backend("llama3")
    decoder = served.decoder(None)
    short, long = (5, 6), tuple(range(7, 150))
    decoder.read([short])
    for _ in range(70):  # more than one reserve
        logits = decoder.advance([9])
    joined = decoder.read([long])
    alone = served.decoder(None)
    torch.testing.assert_close(alone.read([short + (9,) * 70]), logits, rtol=0, atol=1e-3)
    torch.testing.assert_close(served.decoder(None).read([long]), joined, rtol=0, atol=1e-3)
    both = decoder.advance([9, 9])
    torch.testing.assert_close(alone.advance([9]), both[:1], rtol=0, atol=1e-3)
    decoder.drop(1)
    decoder.drop(0)
    torch.testing.assert_close(decoder.read([short]), served.decoder(None).read([short]), rtol=0, atol=0)


def test_room_is_limited_but_for_a_single_row(backend: Callable[[str], HfBackend]) -> None:
    network = network_of(backend("llama3"))
    for kind in (RowsTogether, RowsApart):
        decoder = kind(network, room=100, activate=lambda: None)
        assert decoder.room_for([(1,)], longest=1000)
        assert decoder.room_for([(1,), (2,)], longest=50)
        assert not decoder.room_for([(1,), (2,)], longest=51)
        assert decoder.room_for([(1,)] * 32, longest=1)
        assert not decoder.room_for([(1,)] * 33, longest=1)


def a_fine_tune(folder: Path, served: HfBackend, *, seed: int) -> Path:
    """An adapter as peft writes it, of random changes."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(served._model.path)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    with pytest.warns(FutureWarning):
        adapted = get_peft_model(model, config)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return folder


def test_base_and_fine_tunes_answer_from_one_network(
    tmp_path: Path, new_backend: Callable[[str], HfBackend]
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    served = new_backend("llama3")
    prompt = prompts(served)[1]
    base = served.decoder(None)
    before = base.read([prompt])
    folders = [a_fine_tune(tmp_path / name, served, seed=seed) for seed, name in enumerate("ab")]
    decoders = [served.decoder(folder) for folder in folders]
    for folder, decoder in zip(folders, decoders, strict=True):
        plain = AutoModelForCausalLM.from_pretrained(served._model.path)
        with pytest.warns(FutureWarning):
            merged = PeftModel.from_pretrained(plain, folder).merge_and_unload()
        expected = merged(torch.tensor([prompt])).logits[:, -1]
        assert (expected - before).abs().max() > 0.1
        torch.testing.assert_close(decoder.read([prompt]), expected, rtol=0, atol=1e-3)
    # Rows in progress of the one are not disturbed by the others.
    fresh = served.decoder(None)
    fresh.read([prompt])
    torch.testing.assert_close(base.advance([1]), fresh.advance([1]), rtol=0, atol=0)


def test_a_fine_tune_written_anew_is_read_anew(
    tmp_path: Path, new_backend: Callable[[str], HfBackend]
) -> None:
    served = new_backend("llama3")
    folder = a_fine_tune(tmp_path / "a", served, seed=0)
    first = served.decoder(folder).read([(1, 2, 3)])
    shutil.rmtree(folder)
    a_fine_tune(folder, served, seed=1)
    assert not torch.equal(served.decoder(folder).read([(1, 2, 3)]), first)


def test_fine_tunes_that_do_not_fit_are_told_and_the_base_goes_on(
    tmp_path: Path, new_backend: Callable[[str], HfBackend]
) -> None:
    served = new_backend("llama3")
    before = served.decoder(None).read([(1, 2, 3)])
    with pytest.raises(StorageError, match="there is no fine-tuned model"):
        served.decoder(tmp_path / "nowhere")
    folder = a_fine_tune(tmp_path / "a", served, seed=0)
    tensors = load_file(folder / "adapter_model.safetensors")
    spoilt = {
        "foreign": tensors
        | {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.zeros(4, 32)},
        "cut": dict(list(tensors.items())[1:]),
        "wide": {name: torch.zeros(3, 3) for name in tensors},
    }
    for name, kept in spoilt.items():
        other = Path(shutil.copytree(folder, tmp_path / name))
        save_file(kept, other / "adapter_model.safetensors")
        with pytest.raises(StorageError, match="cannot be read as a fine-tune of this model"):
            served.decoder(other)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(StorageError, match=r"has no adapter_model\.safetensors"):
        served.decoder(folder)
    assert torch.equal(served.decoder(None).read([(1, 2, 3)]), before)


def test_many_fine_tunes_are_forgotten_and_read_again(
    tmp_path: Path, new_backend: Callable[[str], HfBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.localserver.hf.fine_tunes._KEPT", 1)
    served = new_backend("llama3")
    folders = [a_fine_tune(tmp_path / name, served, seed=seed) for seed, name in enumerate("abc")]
    answers = [served.decoder(folder).read([(1, 2, 3)]) for folder in folders]
    again = [served.decoder(folder).read([(1, 2, 3)]) for folder in folders]
    assert all(torch.equal(one, other) for one, other in zip(answers, again, strict=True))
    assert not torch.equal(answers[0], answers[1])


@pytest.mark.parametrize("style", ["mistral", "gpt2", "hybrid"])
def test_the_engine_answers_with_it(style: str, backend: Callable[[str], HfBackend]) -> None:
    engine = Engine(backend(style))
    try:
        asked = [
            GenerationRequest(
                adapter=None,
                prompt=({"role": "user", "content": text},),
                max_tokens=8,
                temperature=0,
                top_logprobs=2,
            )
            for text in TEXTS
        ]
        together = [future.result(60) for future in [engine.submit(request) for request in asked]]
        alone = [engine.submit(request).result(60) for request in asked]
        assert [result.text for result in together] == [result.text for result in alone]
        assert all(result.completion_tokens <= 8 and result.prompt_tokens for result in together)
    finally:
        engine.close()


@pytest.mark.parametrize("style", ["llama3", "gemma"])
def test_answers_follow_a_schema(style: str, backend: Callable[[str], HfBackend]) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"enum": ["a", "bc"]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    engine = Engine(backend(style))
    try:
        request = GenerationRequest(
            adapter=None,
            prompt=({"role": "user", "content": "hello"},),
            max_tokens=40,
            seed=0,
            schema=json.dumps(schema),
        )
        answer = engine.submit(request).result(60)
    finally:
        engine.close()
    assert json.loads(answer.text)["n"] in {"a", "bc"}
    assert answer.finish_reason == "stop"


def test_an_answer_begins_with_its_text_not_with_the_templates_space(
    backend: Callable[[str], HfBackend],
) -> None:
    served = backend("mistral")
    assert served.tokens.answer_opening == b" "
    space = served.tokens.encode_text("")[:1] or served.tokens._vocabulary.encode("a").ids[:1]
    assert served.tokens.token_bytes(space[0]).startswith(b" ")
    request = GenerationRequest(
        adapter=None,
        prompt=({"role": "user", "content": "hello"},),
        max_tokens=1,
        temperature=0,
        logit_bias={space[0]: 1000.0},
    )
    engine = Engine(served)
    try:
        assert not engine.submit(request).result(60).text.startswith(" ")
    finally:
        engine.close()


def test_weights_that_are_missing_are_not_made_up(
    tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    folder = Path(shutil.copytree(model_folder("llama3"), tmp_path / "cut"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StorageError, match="1 weights are missing"):
        HfBackend(recognise(folder), threads=1).decoder(None)


def test_code_in_a_model_folder_is_never_run(tmp_path: Path, model_folder: Callable[[str], Path]) -> None:
    folder = Path(shutil.copytree(model_folder("llama3"), tmp_path / "code"))
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    (folder / "own.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass OwnConfig: pass\nclass OwnModel: pass\n"
    )
    with pytest.raises(StorageError) as caught:
        HfBackend(recognise(folder), threads=1)
    assert "never run" in caught.value.remedy
    assert not (tmp_path / "ran").exists()
