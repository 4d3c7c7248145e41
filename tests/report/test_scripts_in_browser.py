"""Answers of all kinds in a real browser: right to left, emoji, code, and longer than anybody reads."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from report_samples import sample_run, sample_verdict

from harness.records import Case, Completion, Run, Score, ScorerSpec, Suite
from harness.report import render

driver = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FIVE_MILLION = 5_000_000
SOON_MS = 4000
"""Far more than it takes on an idle machine (0.1 s), far less than telling the words of five million characters apart."""
CODE = """Here it is:

```python
def total(rows):
    return sum(
        row.price
        for row in rows
    )
```
And `sum` in a sentence is none."""
TEXTS: dict[str, tuple[str, str]] = {
    "فاتورة-1": ("أعيدوا المبلغ كله من فضلكم", "أعيدوا المبلغ نصفه من فضلكم"),
    "emoji": (
        "Well done \U0001f44d\U0001f3fd and bye \U0001f468‍\U0001f469‍\U0001f467",
        "Well done \U0001f44d\U0001f3ff and bye \U0001f468‍\U0001f469‍\U0001f466",
    ),
    "cut-emoji": ("a" * 5999 + "\U0001f600" * 2000, "b" * 5999 + "\U0001f600" * 2000),
    "code": (CODE, CODE.replace("row.price", "row.cost")),
    "long": ("word " * (FIVE_MILLION // 5), "other word " * (FIVE_MILLION // 11)),
}
SUITE = "توجيه التذاكر"


def run_of_all_kinds() -> Run:
    cases = tuple(
        Case(
            id=name,
            messages=({"role": "user", "content": "اكتب الرد" if name.isascii() is False else name},),
            expected="فاتورة",
            tags=("عاجل",),
        )
        for name in TEXTS
    )
    suite = Suite(name=SUITE, cases=cases, scorers=(ScorerSpec(type="label", name="التسمية"),))
    run = sample_run(hostile=False)
    rows = [
        replace(
            run.results[0],
            suite=SUITE,
            case=name,
            role=role,
            outcome=Completion(text=text),
            scores={"التسمية": Score(value=0.0, reason="expected 'فاتورة', said 'شحن'")},
            digest="",
        )
        for name, texts in TEXTS.items()
        for role, text in zip(("base", "candidate"), texts, strict=True)
    ]
    manifest = replace(run.manifest, suites=(suite,), selected={SUITE: tuple(TEXTS)})
    return replace(run, manifest=manifest, results=tuple(rows))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    run = run_of_all_kinds()
    file = render(run, sample_verdict(sample_run()), to=tmp_path_factory.mktemp("page") / "index.html")
    with driver.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except driver.Error:
            pytest.skip("no Chromium: neither on the PATH nor Playwright's own")
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(file.as_uri())
        page.wait_for_selector("#cases[data-read]", state="attached")
        yield page
        browser.close()


def opened(tab: Any, case: str) -> Any:
    """The candidate's answer of a case that was opened from the list."""
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    tab.locator(".row", has_text=case).first.click()
    tab.wait_for_function(
        "(id) => document.querySelector('#case-title bdi:last-child')?.textContent === id", arg=case
    )
    return tab.locator("#case-open .answer >> nth=1").locator(".text >> nth=0")


# --- right to left ------------------------------------------------------------------------------------


def test_an_answer_in_arabic_runs_from_the_right_and_its_new_word_is_marked(tab: Any) -> None:
    answer = opened(tab, "فاتورة-1")
    assert answer.evaluate("element => getComputedStyle(element).direction") == "rtl"
    assert answer.locator("ins").all_text_contents() == ["نصفه"]
    assert answer.text_content() == TEXTS["فاتورة-1"][1]


def test_names_in_arabic_turn_nothing_around_them(tab: Any) -> None:
    opened(tab, "فاتورة-1")
    places = tab.evaluate(
        """() => [document.querySelector(".row .row-id"), document.querySelector("#case-title")].map((title) => {
          const [suite, id] = [...title.querySelectorAll("bdi")].map((name) => name.getBoundingClientRect());
          return [suite.left, suite.right, id.left];
        })"""
    )
    for left, right, id_left in places:
        assert left < right <= id_left
    score = tab.locator("#case-open .scores li >> nth=0")
    value, name = (score.locator(part).bounding_box() for part in (".value", "bdi >> nth=0"))
    assert value["x"] < name["x"]
    # The number of cases stays behind the name, in its brackets.
    assert (
        f"\N{FIRST STRONG ISOLATE}{SUITE}\N{POP DIRECTIONAL ISOLATE} (5)"
        in tab.locator("#case-suite option").all_text_contents()
    )


def test_a_case_in_arabic_is_copied_as_it_is(tab: Any) -> None:
    opened(tab, "فاتورة-1")
    tab.click("#case-copy")
    tab.wait_for_function("() => document.getElementById('case-copy').textContent === 'Copied'")
    copied = tab.evaluate("navigator.clipboard.readText()")
    for part in ("فاتورة-1", "اكتب الرد", "عاجل"):
        assert part in copied
    assert not any(mark in copied for mark in "\u200e\u200f\u2066\u2067\u2068\u2069")


# --- emoji --------------------------------------------------------------------------------------------


def test_emoji_that_differ_are_marked_whole(tab: Any) -> None:
    answer = opened(tab, "emoji")
    assert answer.text_content() == TEXTS["emoji"][1]
    for marked in answer.locator("ins").all_text_contents():
        assert marked.encode("utf-16-le", "surrogatepass").decode("utf-16-le") == marked
    assert "\U0001f3ff" in "".join(answer.locator("ins").all_text_contents())


def test_a_cut_never_goes_through_a_character(tab: Any) -> None:
    answer = opened(tab, "cut-emoji")
    assert answer.text_content() == "b" * 5999
    tab.locator("#case-open .answer >> nth=1").locator(".more").click()
    assert answer.text_content() == TEXTS["cut-emoji"][1]
    assert "\N{REPLACEMENT CHARACTER}" not in tab.locator("#case-open").text_content()


# --- code ---------------------------------------------------------------------------------------------


def test_fenced_code_keeps_its_spaces_in_letters_of_one_width_with_its_words_marked(tab: Any) -> None:
    answer = opened(tab, "code")
    code = answer.locator("code")
    assert code.count() == 1
    assert code.text_content() == TEXTS["code"][1].split(":\n\n")[1].split("And `sum`")[0]
    style = code.evaluate(
        "element => { const style = getComputedStyle(element); return [style.fontFamily, style.whiteSpace]; }"
    )
    assert "monospace" in style[0]
    assert style[1] == "pre-wrap"
    assert code.locator("ins").all_text_contents() == ["cost"]
    assert answer.text_content() == TEXTS["code"][1]
    first, indented = code.evaluate(
        """(element) => ["def total", "return"].map((words) => {
          const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const at = walker.currentNode.data.indexOf(words);
            if (at < 0) continue;
            const range = new Range();
            range.setStart(walker.currentNode, at);
            range.setEnd(walker.currentNode, at + words.length);
            return range.getBoundingClientRect().left;
          }
        })"""
    )
    assert indented > first + 20


# --- length -------------------------------------------------------------------------------------------


def test_answers_of_five_million_characters_open_at_once_and_are_whole_on_demand(tab: Any) -> None:
    start = tab.evaluate("performance.now()")
    answer = opened(tab, "long")
    assert tab.evaluate("performance.now()") - start < SOON_MS
    assert len(answer.text_content()) == 6000
    button = tab.locator("#case-open .answer >> nth=1").locator(".more")
    assert button.inner_text() == f"Show all {len(TEXTS['long'][1]):,} characters"
    took = button.evaluate(
        """(button) => new Promise((tell) => {
          const start = performance.now();
          button.click();
          requestAnimationFrame(() => setTimeout(() => tell(performance.now() - start)));
        })"""
    )
    assert took < SOON_MS
    assert answer.evaluate("element => element.textContent.length") == len(TEXTS["long"][1])
    tab.locator("#case-open .answer >> nth=1").locator(".more").evaluate("button => button.click()")
    assert tab.locator("#case-open", has_text="too long to compare").count() == 1
