import math
from pathlib import Path

import pytest

from harness.config import (
    ModelSettings,
    Settings,
    TrainingSettings,
    endpoint_of,
    project_root,
    read_settings,
    with_flags,
)
from harness.dataset import Price
from harness.errors import FileError, UsageError
from harness.redaction import public_url

EVERY_KEY = """\
backend = "acme"
base = "smollm2-135m-instruct"
candidate = "latest"
promoted = "acme/lora-6"
judge = "gpt-4.1"
train = "fixtures/tickets/train.jsonl"
valid = "fixtures/tickets/valid.jsonl"
concurrency = 8
budget_usd = 2.5
reports = "runs"
lang = "zh"

[training]
epochs = 2
batch_size = 4
learning_rate_multiplier = 0.5
seed = 7
suffix = "night"

[models.acme]
model = "acme/lora-7"
base_url = "http://127.0.0.1:8000/v1"
api_key_env = "ACME_KEY"
price = {input = 0.2, cached = 0.05, output = 0.8}
timeout_s = 20
max_retries = 2
max_tokens_field = "max_completion_tokens"
"""


def write(folder: Path, text: str, name: str = "harness.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def complaints(folder: Path, text: str, name: str = "harness.toml") -> list[str]:
    with pytest.raises(FileError) as caught:
        read_settings(write(folder, text, name))
    return str(caught.value).replace(f"{folder}/", "").splitlines()


# --- where settings come from ----------------------------------------------------------------------


def test_nothing_configured_is_the_defaults(tmp_path: Path) -> None:
    settings = read_settings(tmp_path)
    assert settings == Settings(root=tmp_path)
    assert (settings.at_once, settings.budget_usd, settings.reports) == (32, 5.0, Path("reports"))


def test_every_key_is_read(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, EVERY_KEY)) == Settings(
        root=tmp_path,
        backend="acme",
        base="smollm2-135m-instruct",
        candidate="latest",
        promoted="acme/lora-6",
        judge="gpt-4.1",
        train=Path("fixtures/tickets/train.jsonl"),
        valid=Path("fixtures/tickets/valid.jsonl"),
        concurrency=8,
        budget_usd=2.5,
        reports=Path("runs"),
        lang="zh",
        training=TrainingSettings(
            epochs=2, batch_size=4, learning_rate_multiplier=0.5, seed=7, suffix="night"
        ),
        models={
            "acme": ModelSettings(
                model="acme/lora-7",
                base_url="http://127.0.0.1:8000/v1",
                api_key_env="ACME_KEY",
                price=Price(input=0.2, cached=0.05, output=0.8),
                timeout_s=20,
                max_retries=2,
                max_tokens_field="max_completion_tokens",
            )
        },
    )


def test_pyproject_has_the_same_keys_under_its_own_table(tmp_path: Path) -> None:
    own = read_settings(write(tmp_path, EVERY_KEY))
    (tmp_path / "harness.toml").unlink()
    tables = EVERY_KEY.replace("[training]", "[tool.harness.training]").replace(
        "[models.acme]", "[tool.harness.models.acme]"
    )
    text = f'[project]\nname = "x"\n\n[tool.harness]\n{tables}'
    assert read_settings(write(tmp_path, text, "pyproject.toml")) == own


def test_harness_toml_wins_over_pyproject(tmp_path: Path) -> None:
    write(tmp_path, "[tool.harness]\nconcurrency = 1\n", "pyproject.toml")
    write(tmp_path, "concurrency = 2\n")
    assert read_settings(tmp_path).concurrency == 2


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.ruff]\nline-length = 9\n"])
def test_pyproject_of_others_is_no_configuration(tmp_path: Path, text: str) -> None:
    assert read_settings(write(tmp_path, text, "pyproject.toml")) == Settings(root=tmp_path)


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, 'train = "data/train.jsonl"\n'))
    assert settings.train is not None
    assert settings.path(settings.train) == tmp_path / "data/train.jsonl"
    assert settings.path(Path("/elsewhere/x")) == Path("/elsewhere/x")


def test_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_bytes(b"\xef\xbb\xbfconcurrency = 3\r\nbase = 'a'\r\n")
    assert read_settings(tmp_path).concurrency == 3


def test_root_is_the_nearest_folder_with_a_configuration(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path, "")
    assert project_root(inner) == tmp_path
    write(tmp_path / "a", "", "pyproject.toml")
    assert project_root(inner) == tmp_path / "a"
    assert project_root(tmp_path) == tmp_path


# --- mistakes --------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
concurency = 3
budget_usd = "a lot"

[training]
epoch = 2

[models.acme]
model = 7
base_url = "http://127.0.0.1/v1"
price = {inptu = 0.2}

[models.other]
base_url = "http://127.0.0.1/v1"
"""
    assert complaints(tmp_path, text) == [
        "harness.toml:1: concurency: unknown key, did you mean 'concurrency'?",
        "harness.toml:2: budget_usd: 'a lot' is not a number",
        "harness.toml:5: training.epoch: unknown key, did you mean 'epochs'?",
        "harness.toml:8: models.acme.model: 7 is not a text, put it in quotes",
        "harness.toml:10: models.acme.price.inptu: unknown key, did you mean 'input'?",
        "harness.toml:12: models.other.model: missing, add it",
    ]


def test_mistakes_of_pyproject_are_told_under_their_full_names(tmp_path: Path) -> None:
    text = """\
[tool.other]
concurency = 1

[tool.harness]  # ours
concurency = 3

[tool.harness.models."my.model"]
modl = "x"
"""
    assert complaints(tmp_path, text, "pyproject.toml") == [
        "pyproject.toml:5: tool.harness.concurency: unknown key, did you mean 'concurrency'?",
        "pyproject.toml:7: tool.harness.models.my.model.model: missing, add it",
        "pyproject.toml:8: tool.harness.models.my.model.modl: unknown key, did you mean 'model'?",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("models = {acme = {modl = 1, model = 'a'}}\n", "1: models.acme.modl: unknown key"),
        ("base = 'a'\ntraining.epochs = 'two'\n", "2: training.epochs: 'two' is not a whole number"),
        ("\n[ models . acme ]\nmodel = 'a'\ntimeout = 3\n", "4: models.acme.timeout: unknown key"),
        ("[models]\nacme.model = 3\n", "2: models.acme.model: 3 is not a text"),
        ("models = 3\n", "1: models: 3 is not a mapping"),
    ],
)
def test_line_is_found_however_the_table_is_written(tmp_path: Path, text: str, complaint: str) -> None:
    assert any(line.startswith(f"harness.toml:{complaint}") for line in complaints(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("concurrency = 0", "concurrency: 0, at least 1"),
        ("budget_usd = -1", "budget_usd: -1.0, 0 or more"),
        ("budget_usd = nan", "budget_usd: nan, 0 or more"),
        ("training = {epochs = 0}", "training.epochs: 0, at least 1"),
        ("training = {batch_size = 0}", "training.batch_size: 0, at least 1"),
        ("training = {learning_rate_multiplier = 0}", "training.learning_rate_multiplier: 0.0, more than 0"),
        ("lang = 'zn'", "lang: 'zn' is not known, known: en, zh"),
        ("backend = 'opnai'", "backend: 'opnai' is not known, did you mean 'openai'?"),
        ("models.latest = {model = 'a'}", "models.latest: the name 'latest' has a meaning of its own"),
        ("models.openai = {model = 'a'}", "models.openai: the name 'openai' has a meaning of its own"),
        ("models.a = {model = 'a', timeout_s = 0}", "models.a.timeout_s: 0.0, more than 0 seconds"),
        ("models.a = {model = 'a', timeout_s = inf}", "models.a.timeout_s: inf, more than 0 seconds"),
        ("models.a = {model = 'a', max_retries = -1}", "models.a.max_retries: -1, 0 or more"),
        ("models.a = {model = 'a', price = {output = -1}}", "models.a.price.output: -1.0, USD per 1M tokens"),
        ("models.a = {model = 'a', price = {input = nan}}", "models.a.price.input: nan, USD per 1M tokens"),
        ("models.a = {model = 'a', base_url = 'localhost:8000'}", "models.a.base_url: not a URL that can be"),
        ("models.a = {model = 'a', base_url = '127.0.0.1/v1'}", "models.a.base_url: not a URL that can be"),
        ("models.a = {model = 'a', base_url = 'http://x:y/v1'}", "models.a.base_url: not a URL that can be"),
        ("job = 'ftjob-1'", "job: not a setting of the file, give it as --job"),
        ("cache = false", "cache: not a setting of the file, give it as --no-cache"),
        ("root = '/'", "root: not a setting of the file, remove it"),
    ],
)
def test_value_out_of_range_is_told_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (line,) = complaints(tmp_path, text)
    assert line.startswith(f"harness.toml:1: {complaint}")


def test_configured_name_is_a_backend(tmp_path: Path) -> None:
    text = "backend = 'acme'\n[models.acme]\nmodel = 'a'\n"
    assert read_settings(write(tmp_path, text)).backend == "acme"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("base = \n", "harness.toml:1: not valid TOML: Invalid value"),
        ("a = 1\nb\n", "harness.toml:2: not valid TOML: "),
        ("base = 'a'\nbase = 'b'\n", "not valid TOML: Cannot overwrite a value"),
    ],
)
def test_broken_toml_is_told_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in complaints(tmp_path, text)[0]


def test_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_bytes("base = 'é'".encode("latin-1"))
    with pytest.raises(FileError, match="1: not UTF-8, save it as UTF-8"):
        read_settings(tmp_path)


def test_table_that_is_none_is_told(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, "[tool]\nharness = 3\n", "pyproject.toml")
    assert line.startswith("pyproject.toml:2: tool.harness: not a table")


def test_backslashes_of_windows_are_explained(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, 'base = "a"\ntrain = "C:\\Users\\me\\train.jsonl"\n')
    assert line.startswith("harness.toml:2: not valid TOML")
    assert line.endswith("write / instead of \\ in paths, or put them in 'single quotes'")


def test_backslash_that_toml_takes_for_a_tab_is_explained(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, 'train = "data\\train.jsonl"\n')
    assert line.startswith(r"harness.toml:1: train: 'data\train.jsonl' has a control character in it")


# --- nothing secret is shown -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "models.a = {model = 'a', api_key_env = 'sk-proj-Zm9vYmFyYmF6'}",
        "models.a = {model = 'a', api_key = 'sk-proj-Zm9vYmFyYmF6'}",
        "models.a = {model = 'a', api_key_env = ['sk-proj-Zm9vYmFyYmF6']}",
        "models.a = {model = 'a', base_url = 'htp://me:sk-proj-Zm9vYmFyYmF6@host/v1'}",
        "models.a = {model = 'a', max_retries = 'sk-proj-Zm9vYmFyYmF6'}",
    ],
)
def test_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    assert "Zm9vYmFyYmF6" not in "\n".join(complaints(tmp_path, text))


def test_key_in_place_of_its_variable_is_explained(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, "models.a = {model = 'a', api_key_env = 'sk-proj-Zm9vYmFyYmF6'}")
    assert line.endswith("api_key_env: not the name of a variable, give the name, not the key")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/v1/", "https://host/v1"),
        ("https://me:secret@host:8000/v1", "https://host:8000/v1"),
        ("https://me:se@cret@host/v1", "https://host/v1"),
        ("https://me:se?cret#x@host/v1", "https://host/v1"),
        ("https://secret@host", "https://host"),
        ("https://host/v1?api-key=secret", "https://host/v1"),
        ("https://host/v1#secret", "https://host/v1"),
        ("https://host/@cf/v1", "https://host/@cf/v1"),
    ],
)
def test_public_url_has_no_credentials(url: str, shown: str) -> None:
    assert public_url(url) == shown


# --- flags -----------------------------------------------------------------------------------------


def test_flag_wins_over_the_file(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, EVERY_KEY))
    flags = {"candidate": "ft:x", "concurrency": 2, "reports": Path("/r"), "base": None, "cache": False}
    merged = with_flags(settings, flags)
    assert (merged.candidate, merged.concurrency, merged.reports, merged.cache) == (
        "ft:x",
        2,
        Path("/r"),
        False,
    )
    assert merged.base == "smollm2-135m-instruct", "a flag that was not given changes nothing"
    assert merged.models == settings.models


def test_budget_without_end_can_be_asked_for() -> None:
    assert with_flags(Settings(), {"budget_usd": math.inf}).budget_usd == math.inf


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"concurrency": 0}, r"--concurrency: 0 \(at least 1\)"),
        ({"trials": 0}, r"--trials: 0 \(at least 1\)"),
        ({"budget_usd": -1.0}, r"--budget-usd: -1.0 \(0 or more\)"),
        ({"budget_usd": math.nan}, r"--budget-usd: nan \(0 or more\)"),
        ({"base_url": "localhost:8000"}, r"--base-url: not a URL that can be asked \(e.g. "),
        ({"trials": "many"}, r"--trials: 'many' is not a whole number"),
    ],
)
def test_flag_out_of_range_is_told_by_its_name(flags: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_flags(Settings(), flags)


# --- endpoints -------------------------------------------------------------------------------------


def test_endpoint_has_the_key_of_its_own_variable() -> None:
    model = ModelSettings(
        model="a", base_url="https://acme.example/v1", api_key_env="ACME_KEY", timeout_s=9, max_retries=1
    )
    endpoint = endpoint_of(model, {"ACME_KEY": "secret-acme", "OPENAI_API_KEY": "secret-openai"})
    assert endpoint.api_key == "secret-acme"
    assert (endpoint.label, endpoint.timeout_s, endpoint.max_retries) == ("https://acme.example/v1", 9, 1)
    assert "secret-acme" not in repr(endpoint)


def test_endpoint_of_others_never_gets_the_key_of_openai() -> None:
    model = ModelSettings(model="a", base_url="https://acme.example/v1")
    endpoint = endpoint_of(model, {"OPENAI_API_KEY": "secret-openai"})
    assert endpoint.api_key == "none"


def test_openai_itself_gets_its_key() -> None:
    endpoint = endpoint_of(ModelSettings(model="gpt-4.1"), {"OPENAI_API_KEY": "secret-openai"})
    assert (endpoint.label, endpoint.base_url, endpoint.api_key) == ("openai", None, "secret-openai")


def test_openai_behind_a_proxy_is_named_by_its_address() -> None:
    environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://me:pw@proxy.example/v1?x=1"}
    assert endpoint_of(ModelSettings(model="gpt-4.1"), environment).label == "https://proxy.example/v1"


@pytest.mark.parametrize("environment", [{}, {"ACME_KEY": ""}])
def test_missing_key_names_the_model_the_place_and_the_variable(environment: dict[str, str]) -> None:
    model = ModelSettings(model="acme/x", base_url="https://me:pw@acme.example/v1", api_key_env="ACME_KEY")
    with pytest.raises(UsageError) as caught:
        endpoint_of(model, environment)
    assert caught.value.problem == "acme/x is at https://acme.example/v1, and ACME_KEY is not set"
    assert caught.value.remedy.startswith("export ACME_KEY=...")


def test_missing_key_of_openai_is_told() -> None:
    with pytest.raises(UsageError, match=r"gpt-4\.1 is at openai, and OPENAI_API_KEY is not set"):
        endpoint_of(ModelSettings(model="gpt-4.1"), {})


@pytest.mark.parametrize("day", ["14.01.2027", "2027-13-01", "soon", "20270114", "2027-01-14T00:00"])
def test_a_last_day_that_is_no_day_is_told(tmp_path: Path, day: str) -> None:
    (tmp_path / "harness.toml").write_text(f'[models.old]\nmodel = "m"\nprice = {{shutdown = "{day}"}}\n')
    with pytest.raises(FileError) as caught:
        read_settings(tmp_path)
    (mistake,) = caught.value.mistakes
    assert "is not a day" in str(mistake)


def test_a_last_day_and_a_goal_are_read(tmp_path: Path) -> None:
    text = 'goal = "migration"\n[models.old]\nmodel = "m"\nprice = {shutdown = "2027-01-14"}\n'
    (tmp_path / "harness.toml").write_text(text)
    settings = read_settings(tmp_path)
    assert (settings.goal, settings.models["old"].price.shutdown) == ("migration", "2027-01-14")
