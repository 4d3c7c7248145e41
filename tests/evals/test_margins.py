from pathlib import Path

import pytest

from harness.evals import find_suites, load_suite, margin_warnings

SUITES = Path(__file__).parents[2] / "suites"


def written(folder: Path, head: str, *, cases: int = 40) -> Path:
    lines = "\n".join(f'  - {{id: c{n}, prompt: "{n}?", expected: "{n}"}}' for n in range(cases))
    file = folder / "x.suite.yaml"
    file.write_text(f"name: x\n{head}\nscorers: [{{type: exact_match}}]\ncases:\n{lines}\n", encoding="utf-8")
    return file


def warned(folder: Path, head: str, *, cases: int = 40) -> tuple[str, ...]:
    file = written(folder, head, cases=cases)
    return margin_warnings(load_suite(file), file=file)


def test_a_margin_no_40_cases_can_show_is_told_with_its_line_and_what_would(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, "role: guard\nmargin: 0.03")
    place, said = warning.removeprefix(f"{tmp_path / 'x.suite.yaml'}:").split(": ", 1)
    assert place == "3"
    assert said == (
        "margin 0.03 cannot be shown with 40 cases (a model that lost nothing is seldom proved safe); "
        "about 425 cases, or margin 0.13, would do"
    )


def test_a_default_margin_is_told_at_the_role(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, "description: safety\nrole: critical")
    assert "x.suite.yaml:3: margin 0.02, the default of a critical suite, cannot be shown" in warning
    assert "seldom proved safe" in warning


def test_what_is_advised_is_warned_of_no_more(tmp_path: Path) -> None:
    assert warned(tmp_path, "role: guard\nmargin: 0.13") == ()
    assert warned(tmp_path, "role: guard\nmargin: 0.03", cases=425) == ()


@pytest.mark.parametrize("head", ["role: target", "role: info", "role: critical\nmargin: 0"])
def test_nothing_is_told_where_no_margin_is_proved(tmp_path: Path, head: str) -> None:
    assert warned(tmp_path, head, cases=3) == ()


def test_a_margin_of_nothing_has_no_number_of_cases(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, "role: guard\nmargin: 0")
    assert warning.endswith("; margin 0.13 would do")


def test_one_family_is_one_family(tmp_path: Path) -> None:
    text = written(tmp_path, "role: guard\nmargin: 0.05\nfamily: kind", cases=0).read_text(encoding="utf-8")
    file = tmp_path / "x.suite.yaml"
    case = '  - {id: c%d, prompt: "?", expected: "1", metadata: {kind: one}}\n'
    file.write_text(text + "".join(case % n for n in range(50)), encoding="utf-8")
    (warning,) = margin_warnings(load_suite(file), file=file)
    assert "cannot be shown with 1 family (" in warning
    assert "families, or margin" in warning


def test_a_file_that_is_gone_is_told_at_its_first_line(tmp_path: Path) -> None:
    file = written(tmp_path, "role: guard\nmargin: 0.03")
    suite = load_suite(file)
    file.unlink()
    (warning,) = margin_warnings(suite, file=file)
    assert "x.suite.yaml:1: margin" in warning


@pytest.mark.parametrize("file", find_suites(SUITES), ids=lambda file: file.name)
def test_the_suites_of_the_project_can_show_their_margins(file: Path) -> None:
    assert margin_warnings(load_suite(file), file=file) == ()
