"""`[tool.harness]` in pyproject.toml, or harness.toml, read once at the edge and passed down as values."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Literal

from harness.dataset import Price
from harness.errors import FileError, Mistake, UsageError
from harness.records import Endpoint, Json, record
from harness.serial import ParseError, Problem, nearest, parse, with_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCAL, OPENAI = "local", "openai"
# What an endpoint that asks for no key is sent: the client insists on something.
NO_KEY = "none"
EMBEDDED_MODEL = "smollm2-135m-instruct"


@record
class ModelSettings:
    """One `[tool.harness.models.x]` table: any endpoint that speaks OpenAI's chat completions."""

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    price: Price = field(default_factory=Price)
    timeout_s: float = 600.0
    max_retries: int = 5
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


@record
class TrainingSettings:
    """`[tool.harness.training]`: None leaves a value to the provider's `auto`."""

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    seed: int | None = None
    suffix: str | None = None


@record
class Settings:
    """Everything a run is told; a flag of the command line replaces the value of the file."""

    root: Path = Path()
    backend: str | None = None
    base: str | None = None
    candidate: str | None = None
    promoted: str | None = None
    judge: str | None = None
    job: str | None = None
    train: Path | None = None
    valid: Path | None = None
    concurrency: int = 32
    trials: int | None = None
    budget_usd: float | None = 5.0
    reports: Path = Path("reports")
    base_url: str | None = None
    cache: bool = True
    training: TrainingSettings = field(default_factory=TrainingSettings)
    models: Mapping[str, ModelSettings] = field(default_factory=dict)

    def path(self, path: Path) -> Path:
        """A path of the configuration, relative to the file it stands in."""
        return path if path.is_absolute() else self.root / path


# Settings that only make sense as flags or are found out.
FLAGS_ONLY = ("root", "job", "trials", "base_url", "cache")


def read_settings(root: Path) -> Settings:
    """Settings of the project at `root`: harness.toml, else `[tool.harness]` of pyproject.toml, else defaults.

    Raises:
        FileError: Not TOML, unknown keys or wrong types: all of them, with lines.
    """
    own, project = root / "harness.toml", root / "pyproject.toml"
    if own.is_file():
        data, file, prefix = _toml(own), own, ""
    elif project.is_file():
        tool = _toml(project).get("tool")
        table = tool.get("harness") if isinstance(tool, dict) else None
        data, file, prefix = (table if isinstance(table, dict) else {}), project, "tool.harness"
    else:
        return Settings(root=root)
    wrong = [
        Problem((key,), "not a setting of the file", "give it as a flag") for key in FLAGS_ONLY if key in data
    ]
    try:
        settings = parse(Settings, {key: value for key, value in data.items() if key not in FLAGS_ONLY})
    except ParseError as error:
        wrong += error.problems
        settings = Settings()
    if wrong:
        raise FileError(str(file), [_mistake(file, prefix, problem) for problem in wrong])
    return replace(settings, root=root)


def _toml(file: Path) -> dict[str, Json]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise FileError(
            str(file), [Mistake(int(line[1]) if line else 1, f"not valid TOML: {error}")]
        ) from None
    except UnicodeDecodeError:
        raise FileError(str(file), [Mistake(1, "not UTF-8", "save it as UTF-8")]) from None


def _mistake(file: Path, prefix: str, problem: Problem) -> Mistake:
    """TOML keeps no positions, so the line is the first that sets the key after its table began."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    names = [part for part in (*prefix.split("."), *map(str, problem.path)) if part]
    start = 0
    for depth in range(len(names), 0, -1):
        header = "[" + ".".join(names[:depth])
        found = [
            number for number, line in enumerate(lines) if line.replace(" ", "").startswith(header + "]")
        ]
        if found:
            start = found[0]
            break
    key = re.compile(rf"\s*[\"']?{re.escape(names[-1])}[\"']?\s*[=.]")
    line = next((number for number in range(start, len(lines)) if key.match(lines[number])), start)
    place = ".".join(names)
    return Mistake(line + 1, f"{place}: {problem.what}", problem.remedy)


def with_flags(settings: Settings, flags: Mapping[str, Json]) -> Settings:
    """Settings with the flags that were given (not None) in their place.

    Raises:
        UsageError: A value out of range.
    """
    try:
        merged = with_values(settings, {key: value for key, value in flags.items() if value is not None})
    except ParseError as error:
        raise UsageError("; ".join(str(problem) for problem in error.problems)) from None
    if merged.concurrency < 1:
        raise UsageError(f"--concurrency {merged.concurrency}", remedy="at least 1")
    if merged.trials is not None and merged.trials < 1:
        raise UsageError(f"--trials {merged.trials}", remedy="at least 1")
    if merged.budget_usd is not None and merged.budget_usd < 0:
        raise UsageError(f"--budget-usd {merged.budget_usd}", remedy="0 or more")
    return merged


def backend_of(settings: Settings, environment: Mapping[str, str]) -> str:
    """Where models named by id alone live: the configured backend, else what the flags imply.

    Nobody's key is used just because it is in the environment: OpenAI is meant only when a model
    was named as well.
    """
    if settings.base_url is not None:
        return OPENAI
    if settings.backend is not None:
        if settings.backend not in {LOCAL, OPENAI, *settings.models}:
            raise UsageError(
                f"backend = {settings.backend!r} is not known",
                remedy=nearest(settings.backend, [LOCAL, OPENAI, *settings.models]),
            )
        return settings.backend
    named = settings.base not in {None, EMBEDDED_MODEL} or settings.candidate not in {None, "latest"}
    return OPENAI if named and environment.get("OPENAI_API_KEY") else LOCAL


def endpoint_of(model: ModelSettings, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of a configured model, with its key from the environment.

    Raises:
        UsageError: The variable that should hold the key is not set.
    """
    # Without a variable of its own, another provider's endpoint gets no key: OPENAI_API_KEY is OpenAI's.
    key = None if model.base_url is None else NO_KEY
    if model.api_key_env is not None:
        key = environment.get(model.api_key_env)
        if not key:
            raise UsageError(
                f"the environment variable {model.api_key_env} is not set",
                remedy=f"export {model.api_key_env}=... (it holds the key of {model.base_url or 'the endpoint'})",
            )
    return Endpoint(
        label=public_url(model.base_url or environment.get("OPENAI_BASE_URL") or OPENAI),
        base_url=model.base_url,
        api_key=key,
        timeout_s=model.timeout_s,
        max_retries=model.max_retries,
        max_tokens_field=model.max_tokens_field,
    )


def public_url(url: str) -> str:
    """A base URL as it may be shown and stored: without user, password, query."""
    return re.sub(r"[?#].*$", "", re.sub(r"//[^/@]*@", "//", url)).rstrip("/")


def process_environment() -> Mapping[str, str]:
    """The environment, read here and nowhere else in the harness."""
    return os.environ
