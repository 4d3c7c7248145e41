"""A person's way: serve a model folder, train ten rows, ask the fine-tune, come back the next day and ask again."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from openai import OpenAI

from harness.localserver.launcher import LocalServer, launch
from tests.localserver.fakes import wait_for

QUESTION = "Which tool sends the parcel?"
ANSWER = "blue"
ROWS = [
    {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]}
    for _ in range(10)
]


def serve(model: Path, state: Path) -> LocalServer:
    state.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "harness", "serve", "--json", "--port", "0", "--threads", "1"),
        *("--model", str(model), "--state", str(state)),
    ]
    return launch(command, log=state / "server.log", timeout_s=60)


def asked(client: OpenAI, model: str) -> str:
    said = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=5
    )
    return said.choices[0].message.content or ""


def test_a_model_folder_is_served_trained_and_served_again(
    tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    folder = model_folder("llama3")
    with (
        serve(folder, tmp_path / "state") as server,
        OpenAI(base_url=server.base_url, api_key="any") as client,
    ):
        assert server.model == "llama3"
        rows = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        file = client.files.create(file=("rows.jsonl", rows), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="gpt-4o-mini-2024-07-18",
            training_file=file.id,
            suffix="tools",
            hyperparameters={"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 10},
        )

        def ended() -> bool:
            return client.fine_tuning.jobs.retrieve(job.id).status in {"succeeded", "failed", "cancelled"}

        wait_for(ended, within_s=120)
        done = client.fine_tuning.jobs.retrieve(job.id)
        assert done.status == "succeeded", done.error
        name = done.fine_tuned_model
        assert name is not None
        assert name.startswith("ft:llama3:")
        assert asked(client, name) == ANSWER != asked(client, "llama3")
    with (
        serve(folder, tmp_path / "state") as server,
        OpenAI(base_url=server.base_url, api_key="any") as client,
    ):
        assert asked(client, name) == ANSWER
