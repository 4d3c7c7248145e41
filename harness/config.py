"""`[tool.harness]` in pyproject.toml, or harness.toml, read once at the edge and passed down as values."""

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from harness.dataset import Price
from harness.errors import FileError, Mistake, UsageError
from harness.evals import AT_ONCE, MOST_AT_ONCE
from harness.records import Endpoint, Goal, Json, record
from harness.redaction import public_url, redact
from harness.report.languages import CODES
from harness.serial import ParseError, Problem, has_unfit_letter, nearest, parse, with_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCAL, OPENAI = "local", "openai"
# What an endpoint that asks for no key is sent: the client insists on something.
NO_KEY = "none"
EMBEDDED_MODEL = "smollm2-135m-instruct"
LATEST = "latest"
# For `promoted`: whatever is recorded, compare with the base.
NONE = "none"
OPENAI_KEY = "OPENAI_API_KEY"
FILES = ("harness.toml", "pyproject.toml")


@record
class ModelSettings:
    """One `[tool.harness.models.x]` table: any endpoint that speaks OpenAI's chat completions."""

    model: str
    base_url: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    price: Price = field(default_factory=Price)
    timeout_s: float = 600.0
    max_retries: int = 10
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
    embedding: str | None = None
    job: str | None = None
    goal: Goal = "improvement"
    train: Path | None = None
    valid: Path | None = None
    early_stop: bool = False
    batch: bool = False
    checkpoints: bool = False
    concurrency: int | None = None
    trials: int | None = None
    budget_usd: float | None = 5.0
    reports: Path = Path("reports")
    lang: str = "en"
    base_url: str | None = field(default=None, repr=False)
    cache: bool = True
    training: TrainingSettings = field(default_factory=TrainingSettings)
    models: Mapping[str, ModelSettings] = field(default_factory=dict)

    @property
    def at_once(self) -> int:
        """The requests under way at once, at the start where nobody said how many."""
        return self.concurrency or AT_ONCE

    @property
    def most_at_once(self) -> int:
        """As many are tried where more at once bring more answers; what somebody said is not exceeded."""
        return self.concurrency or MOST_AT_ONCE

    def path(self, path: Path) -> Path:
        """A path of the configuration, relative to the file it stands in."""
        return path if path.is_absolute() else self.root / path


# Settings that only make sense as flags, by the flag, or are found out.
FLAGS_ONLY = {
    "root": "",
    "job": "--job",
    "trials": "--trials",
    "base_url": "--base-url",
    "cache": "--no-cache",
}
# What a name under `models` must not be, because it means something else already.
RESERVED = (LOCAL, OPENAI, LATEST, NONE, EMBEDDED_MODEL)


def project_root(start: Path) -> Path:
    """The folder of the configuration: `start` or the nearest one above it that has a file for it, else `start`."""
    return next(
        (folder for folder in (start, *start.parents) if any((folder / name).is_file() for name in FILES)),
        start,
    )


def read_settings(root: Path) -> Settings:
    """Settings of the project at `root`: harness.toml, else `[tool.harness]` of pyproject.toml, else defaults.

    Raises:
        FileError: Not TOML, unknown keys, wrong types or values out of range: all of them, with lines.
    """
    own, project = (root / name for name in FILES)
    file, place = (own, ()) if own.is_file() else (project, ("tool", "harness"))
    if not file.is_file():
        return Settings(root=root)
    text = _text(file)
    data: Json = _toml(file, text)
    for key in place:
        data = data.get(key, {}) if isinstance(data, dict) else data
    wrong, settings = _parsed(data)
    if wrong:
        raise FileError(str(file), [_mistake(text, place, problem) for problem in wrong])
    return replace(settings, root=root)


def _parsed(data: Json) -> tuple[list[Problem], Settings]:
    """The settings, and everything that is wrong with them."""
    if not isinstance(data, dict):
        return [Problem((), "not a table", "write `[tool.harness]` and the settings below it")], Settings()
    wrong = [
        Problem((key,), "not a setting of the file", f"give it as {flag}" if flag else "remove it")
        for key, flag in FLAGS_ONLY.items()
        if key in data
    ]
    try:
        settings = parse(Settings, {key: value for key, value in data.items() if key not in FLAGS_ONLY})
    except ParseError as error:
        return [*wrong, *error.problems], Settings()
    return [*wrong, *_faults(settings)], settings


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(str(file), [Mistake(1, "not UTF-8", "save it as UTF-8")]) from None
    except OSError as error:
        raise FileError(str(file), [Mistake(1, f"cannot be read: {error.strerror}")]) from None


def _toml(file: Path, text: str) -> dict[str, Json]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        lines = text.splitlines()
        number = int(found[1]) if found else len(lines)
        has_backslash = "\\" in "".join(lines[number - 1 : number])
        remedy = "write / instead of \\ in paths, or put them in 'single quotes'" if has_backslash else ""
        raise FileError(str(file), [Mistake(number, f"not valid TOML: {error}", remedy)]) from None


def _mistake(text: str, place: Sequence[str], problem: Problem) -> Mistake:
    names = [*place, *(str(part) for part in problem.path)]
    # What was typed is shown to say what is wrong with it; a key typed into the wrong place is not.
    return Mistake(
        _line(text.splitlines(), names), f"{'.'.join(names)}: {redact(problem.what)}", problem.remedy
    )


def _line(lines: Sequence[str], names: Sequence[str]) -> int:
    """The line that sets a key, or begins its table, or sets the table it is in (TOML keeps no positions)."""
    headers = [number for number, line in enumerate(lines) if re.match(r"\s*\[", line)]
    for depth in range(len(names), -1, -1):
        start = next((number for number in headers if _header(lines[number]) == list(names[:depth])), None)
        if depth and start is None:
            continue
        first = 0 if start is None else start + 1
        end = next((number for number in headers if number >= first), len(lines))
        key = re.compile(rf"\s*[\"']?{re.escape(names[depth])}[\"']?\s*[=.]") if depth < len(names) else None
        found = [number for number in range(first, end) if key and key.match(lines[number])]
        return (found[0] if found else start or 0) + 1
    return 1


def _header(line: str) -> list[str]:
    """`[models."a.b"]` as its names."""
    return [
        quoted or bare for quoted, bare in re.findall(r"[\"']([^\"']*)[\"']|([\w-]+)", line.partition("#")[0])
    ]


def with_flags(settings: Settings, flags: Mapping[str, Json]) -> Settings:
    """Settings with the flags that were given (not None) in their place.

    Raises:
        UsageError: A value of the wrong type or out of range.
    """
    try:
        merged = with_values(settings, {key: value for key, value in flags.items() if value is not None})
        wrong: Sequence[Problem] = list(_faults(merged))
    except ParseError as error:
        wrong = error.problems
    if wrong:
        names = ["--" + str(problem.path[0]).replace("_", "-") for problem in wrong]
        told = [redact(f"{name}: {problem.what}") for name, problem in zip(names, wrong, strict=True)]
        raise UsageError("; ".join(told), remedy="; ".join(problem.remedy for problem in wrong))
    return merged


def _faults(settings: Settings) -> Iterator[Problem]:
    """What is out of range, of settings of the right types."""
    counts: dict[tuple[str, ...], float | None] = {
        ("concurrency",): settings.concurrency,
        ("trials",): settings.trials,
        ("training", "epochs"): settings.training.epochs,
        ("training", "batch_size"): settings.training.batch_size,
    }
    for path, count in counts.items():
        if count is not None and count < 1:
            yield Problem(path, f"{count}", "at least 1")
    rate, budget = settings.training.learning_rate_multiplier, settings.budget_usd
    if rate is not None and not 0 < rate < math.inf:
        yield Problem(("training", "learning_rate_multiplier"), f"{rate}", "more than 0")
    if budget is not None and not budget >= 0:  # NaN is neither
        yield Problem(("budget_usd",), f"{budget}", "0 or more")
    for name in ("train", "valid", "reports"):
        path = getattr(settings, name)
        if path is not None and has_unfit_letter(str(path)):
            remedy = "in TOML \"\\t\" is a tab: write / in paths, or put them in 'single quotes'"
            yield Problem((name,), f"{str(path)!r} has a control character in it", remedy)
    if settings.batch and settings.early_stop:
        what = "batches ask everything at once, early_stop a quarter at a time"
        yield Problem(("batch",), what, "leave one of the two out")
    if settings.base_url is not None:
        yield from _url_faults(("base_url",), settings.base_url)
    yield from _choice_faults(settings)
    for name, model in settings.models.items():
        yield from _model_faults(("models", name), model)


def _choice_faults(settings: Settings) -> Iterator[Problem]:
    """What is none of the names there are."""
    choices: dict[str, tuple[str | None, Sequence[str]]] = {
        "lang": (settings.lang, CODES),
        "backend": (settings.backend, (LOCAL, OPENAI, *settings.models)),
    }
    for name, (given, known) in choices.items():
        if given is not None and given not in known:
            yield Problem((name,), f"{given!r} is not known", nearest(given, known))


def _model_faults(path: tuple[str, ...], model: ModelSettings) -> Iterator[Problem]:
    if path[-1] in RESERVED:
        yield Problem(path, f"the name {path[-1]!r} has a meaning of its own", "choose another")
    if model.base_url is not None:
        yield from _url_faults((*path, "base_url"), model.base_url)
    # The value is not shown: who misreads the setting puts the key itself here.
    if model.api_key_env is not None and not re.fullmatch(r"[A-Za-z_]\w*", model.api_key_env):
        yield Problem((*path, "api_key_env"), "not the name of a variable", "give the name, not the key")
    if not 0 < model.timeout_s < math.inf:
        yield Problem((*path, "timeout_s"), f"{model.timeout_s}", "more than 0 seconds")
    if model.max_retries < 0:
        yield Problem((*path, "max_retries"), f"{model.max_retries}", "0 or more")
    for name in ("input", "cached", "output", "train", "batch_input", "batch_output"):
        price = getattr(model.price, name)
        if price is not None and not 0 <= price < math.inf:
            yield Problem((*path, "price", name), f"{price}", "USD per 1M tokens, 0 or more")
    for name in ("shutdown", "no_jobs_from"):
        day = getattr(model.price, name)
        if day is not None and not _is_day(day):
            yield Problem((*path, "price", name), f"{day!r} is not a day", 'e.g. "2027-01-14"')


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _url_faults(path: tuple[str, ...], url: str) -> Iterator[Problem]:
    """The URL is not shown: it may carry a password."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        yield Problem(path, "not a URL that can be asked", 'e.g. "http://127.0.0.1:8000/v1"')


def endpoint_of(model: ModelSettings, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of a configured model, with its key from the environment.

    Raises:
        UsageError: The variable that should hold the key is not set.
    """
    label = endpoint_label(model, environment)
    # Without a variable of its own, another provider's endpoint gets no key: OPENAI_API_KEY is OpenAI's.
    variable = OPENAI_KEY if model.base_url is None else None
    variable = model.api_key_env or variable
    key = environment.get(variable) if variable is not None else NO_KEY
    if not key:
        raise UsageError(
            f"{model.model or 'the model'} is at {label}, and {variable} is not set",
            remedy=f"export {variable}=..., or name another endpoint under [tool.harness.models]",
        )
    return Endpoint(
        label=label,
        base_url=model.base_url,
        api_key=key,
        timeout_s=model.timeout_s,
        max_retries=model.max_retries,
        max_tokens_field=model.max_tokens_field,
    )


def endpoint_label(model: ModelSettings, environment: Mapping[str, str]) -> str:
    """The public name of a configured model's endpoint."""
    return public_url(model.base_url or environment.get("OPENAI_BASE_URL") or OPENAI)


class _Environment(Mapping[str, str]):
    """The process's environment, which no traceback shows: keys and passwords are in it."""

    def __getitem__(self, name: str) -> str:
        return os.environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


def process_environment() -> Mapping[str, str]:
    """The environment, read here and nowhere else in the harness."""
    return _Environment()
