"""Training files for the tests of their reports."""

import json
from pathlib import Path

from harness.records import Json

HOSTILE = "</style><script>alert(1)</script>\u202e\x1b[2J"


def chat(asked: str, answer: str, **more: Json) -> dict[str, Json]:
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def write(path: Path, rows: list[Json]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def labelled(number: int, *labels: str) -> list[Json]:
    """Rows that ask something else each, their answers going round the labels."""
    return [
        chat(f"{'word ' * (place % 23)}{chr(0x4E00 + 7 * place) * 12}", labels[place % len(labels)])
        for place in range(number)
    ]


def hostile_rows() -> list[Json]:
    """Markup and terminal commands in a role, a key, a label and what is asked; some rows are wrong, some are not."""
    wrong = [
        {"messages": [{"role": HOSTILE, "content": HOSTILE}]},
        chat("x", "y", **{HOSTILE: 1}),
        {"messages": [{"role": "assistant", "content": "y", HOSTILE: 1}]},
    ]
    return [*wrong, *labelled(60, "billing", HOSTILE[:40])]
