"""A fine-tuning provider whose models know the more sums the more rows they were trained on."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from tests.training.provider import Provider, Reply

ROWS = re.compile(rb'"messages"')


class LearningProvider(Provider):
    """Answers `N+N?` rightly where `knows(rows)` is more than N; `asked_models` counts the questions to each model."""

    def __init__(self, knows: Callable[[int], int]) -> None:
        super().__init__(statuses=("succeeded",))
        self._knows = knows
        self._lock = threading.Lock()
        self.asked_models: Counter[str] = Counter()
        self.refused_models: set[str] = set()

    def reply(self, method: str, url: str, body: bytes) -> Reply:
        if not url.endswith("/chat/completions"):
            with self._lock:
                return super().reply(method, url, body)
        asked = json.loads(body)
        prompt = asked["messages"][-1]["content"]
        if "+" not in prompt:  # whether it is served yet
            return 200, completion(asked["model"], "Hello")
        with self._lock:
            self.asked.append("POST /chat/completions")
            self.asked_models[asked["model"]] += 1
        if asked["model"] in self.refused_models:
            return 403, {"error": {"message": "this model is not for you", "code": "forbidden"}}
        number = int(prompt.partition("+")[0])
        text = str(2 * number) if number < self._knows(self.rows_behind(asked["model"])) else "?"
        return 200, completion(asked["model"], text)

    def rows_behind(self, model: str) -> int:
        """How many rows the model's training file has; 0 for the base."""
        job = next((job for job in self.jobs if job.get("fine_tuned_model") == model), None)
        if job is None:
            return 0
        made = next(
            made for made, other in zip(reversed(self.created), self.jobs, strict=True) if other is job
        )
        _, content = self.files[int(made["training_file"].removeprefix("file-")) - 1]
        return len(ROWS.findall(content))


def completion(model: str, text: str) -> Mapping[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    }
