"""The page in a real browser: every filter, keys, links, hostile content, and all ways of reading it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_samples import ATTACKS, LONG, hostile_answers
from report_samples import sample_curve, sample_run, sample_verdict

from harness.evals import RunWriter, case_digest, load_suite
from harness.records import Case, Completion, Run, Score
from harness.report import render
from harness.report.case_rows import Row, rows_of
from harness.report.material import gather
from harness.serial import to_json

driver = pytest.importorskip("playwright.sync_api")
accessibility = pytest.importorskip("axe_playwright_python.sync_playwright")
# Where none is on the PATH, Playwright looks for the one it was told to install.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# Texts that YAML has a meaning for, or that no file holds as they are.
AWKWARD = (
    "two\nlines\n\n  and an indented one",
    " spaces around ",
    "ends with a line\n",
    "tab\there and \r\n there",
    "- dash: # no comment",
    "null",
    "2026-01-01",
    "'single' \"double\" \\back",
    "发票抬头写错了\n可以重新开一张吗？",
    "\u0000 \u0085 \u2028 \ufeff \ufffe \x7f end",
    "{{ 7 * 7 }} & *alias !tag | > %",
)
COLLECT = """async () => {
  const box = document.getElementById("case-list");
  const seen = new Map();
  for (let top = 0; top <= box.scrollHeight; top += 400) {
    box.scrollTop = top;
    await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
    for (const row of box.querySelectorAll(".row")) seen.set(Number(row.ariaPosInSet), row.querySelector(".row-id > bdi").textContent);
  }
  return [...seen].sort((one, other) => one[0] - other[0]).map(([, id]) => id);
}"""

# The listener comes after the page's own, which has answered when it is called.
GO = """async (address) => {
  for (const next of location.hash === `#${address}` ? ["", address] : [address]) {
    const heard = new Promise((tell) => addEventListener("hashchange", tell, { once: true }));
    location.hash = next;
    await heard;
  }
}"""


class Reader:
    """A tab with a page in it: what it asked the network for, and what it complained about."""

    def __init__(self, tab: Any, file: Path) -> None:
        self.tab = tab
        self.file = file
        self.requests: list[str] = []
        self.complaints: list[str] = []
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.goto(file.as_uri())
        tab.wait_for_selector("#cases[data-read]", state="attached")

    def go(self, address: str = "cases") -> None:
        """What the page shows under a link."""
        self.tab.evaluate(GO, address)

    def ids(self) -> list[str]:
        """The ids of all cases in the list, in order, seen by scrolling through it."""
        return self.tab.evaluate(COLLECT)

    def opened(self, path: str) -> str:
        """The text of a case opened by its link."""
        self.go(f"case={path}")
        self.tab.wait_for_selector(f'#case-title a[href="#case={path}"]')
        return self.tab.locator("#case-open").inner_text()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    @property
    def focus(self) -> str:
        return self.tab.evaluate("document.activeElement.id")


def browsed_run() -> Run:
    """The sample run with a refusal, an unscored answer, a required case that failed, and cases hard to copy."""
    run = sample_run(hostile=False)
    routing, *others = run.manifest.suites
    awkward = tuple(
        Case(
            id=f"awkward-{number}",
            messages=({"role": "user", "content": text},),
            expected=text,
            tags=(text[:30],),
        )
        for number, text in enumerate(AWKWARD)
    )
    turns = (
        {
            "role": "user",
            "content": [{"type": "text", "text": "part"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "user", "content": "and now?"},
    )
    many = Case(
        id="many-turns",
        messages=turns,
        expected={"exact": 1.0, "large": 12345678901234567890, "small": 1e-30, "text\u2028": [None, True]},
        metadata={"family": "a", "note": "\u0085 <&>", "n": 2.0},
        required=True,
    )
    suite = replace(routing, cases=(*routing.cases, *awkward, many))
    ids = tuple(case.id for case in suite.cases)
    manifest = replace(
        run.manifest, suites=(suite, *others), selected={**run.manifest.selected, suite.name: ids}
    )
    changed = {
        ("benign-2", "candidate"): {
            "refusal": Score(value=0.0, reason="refuses", measures={"refusal_rate": 1.0})
        },
        ("benign-3", "candidate"): {"refusal": Score(value=None, reason="the judge gave no level")},
        ("billing-0", "candidate"): {"label": Score(value=0.0, reason="expected 'billing'", answer="bug")},
    }
    suites = {item.name: item for item in manifest.suites}
    rows = []
    for row in run.results:
        case = next(case for case in suites[row.suite].cases if case.id == row.case)
        scores = changed.get((row.case, row.role), row.scores)
        rows.append(replace(row, scores=scores, digest=case_digest(suites[row.suite], case)))
    said = "The quick brown fox 今天天气很好 jumps", "The quick red fox 今天天气不好 jumps"
    for role, text in zip(("base", "candidate"), said, strict=True):
        scores = {"label": Score(value=0.0, reason="nothing read\nin two lines")}
        rows.append(
            replace(
                rows[0], case="many-turns", role=role, outcome=Completion(text=text), scores=scores, digest=""
            )
        )
    return replace(run, manifest=manifest, results=tuple(rows))


def stored(run: Run, reports: Path, name: str) -> Run:
    writer = RunWriter(reports, replace(run.manifest, id=name))
    for row in run.results:
        writer.append(row)
    return writer.finish("complete")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run in its folder, after an earlier one in which every answer of the candidate was the base's."""
    reports, now = tmp_path_factory.mktemp("reports"), browsed_run()
    base = {(row.case, row.trial): row for row in now.results if row.role == "base"}
    rows = [replace(base[row.case, row.trial], role=row.role) for row in now.results]
    earlier = stored(replace(now, results=tuple(rows)), reports, "20260210T100000Z-first")
    (reports / earlier.manifest.id / "verdict.json").write_text('{"outcome": "hold"}', encoding="utf-8")
    return stored(now, reports, "20260211T100000Z-second")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with driver.sync_playwright() as started:
        try:
            launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except driver.Error:
            pytest.skip("no Chromium: neither on the PATH nor Playwright's own")
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def reader(run: Run, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    file = tmp_path_factory.mktemp("page") / "index.html"
    render(run, sample_verdict(run), to=file, curve=sample_curve())
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return Reader(context.new_page(), file)


@pytest.fixture(scope="module")
def hostile(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    file = tmp_path_factory.mktemp("hostile") / "index.html"
    attacked, verdict = hostile_answers()
    render(attacked, verdict, to=file, curve=sample_curve())
    return Reader(browser.new_page(), file)


# --- narrowing and sorting ------------------------------------------------------------------------------


def said_in(run: Run, case: str) -> str:
    return " ".join(getattr(row.outcome, "text", "") for row in run.results if row.case == case)


def press_show(show: str) -> Callable[[Reader], None]:
    return lambda reader: reader.tab.click(f"[data-show={show}]")


def choose(box: str, value: str) -> Callable[[Reader], None]:
    return lambda reader: reader.tab.select_option(f"#case-{box}", value)


def write(text: str) -> Callable[[Reader], None]:
    return lambda reader: reader.tab.fill("#case-search", text)


FILTERS: dict[str, tuple[Callable[[Reader], None], Callable[[Row, Run], bool]]] = {
    **{
        f"show {show}": (press_show(show), lambda row, _, show=show: show == row.change)
        for show in ("improved", "regressed", "missed", "kept", "uncompared")
    },
    "show all": (press_show("all"), lambda row, _: True),
    "show required": (press_show("required"), lambda row, _: row.case.id in {"billing-0", "many-turns"}),
    "show refusals": (press_show("refusals"), lambda row, _: row.case.id == "benign-2"),
    "show errors": (press_show("errors"), lambda row, _: row.case.id == "fact-6"),
    "show unscored": (press_show("unscored"), lambda row, _: row.case.id == "benign-3"),
    "suite": (choose("suite", "marv-facts"), lambda row, _: row.key[0] == "marv-facts"),
    "tag": (choose("tag", "delivery"), lambda row, _: "delivery" in row.case.tags),
    "scorer": (choose("scorer", "length"), lambda row, _: row.key[0] == "marv-facts"),
    "search in prompts": (write("EMERALD colour"), lambda row, _: "emerald" in str(row.case.messages)),
    "search in answers": (
        write("could have looked"),
        lambda row, run: "could have" in said_in(run, row.case.id),
    ),
    "search in Chinese": (write("发票抬头"), lambda row, _: "发票抬头" in str(row.case.messages)),
    "search in ids": (write("fact-3"), lambda row, _: row.case.id == "fact-3"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_the_cases_it_says_and_tells_their_number(
    reader: Reader, run: Run, name: str
) -> None:
    act, fits = FILTERS[name]
    rows = list(rows_of(gather(run, sample_verdict(run))))
    expected = {row.case.id for row in rows if fits(row, run)}
    reader.go()
    act(reader)
    assert set(reader.ids()) == expected
    count = f"{len(expected)} of {len(rows)} cases" if len(expected) < len(rows) else f"{len(rows)} cases"
    assert reader.tab.inner_text("#case-count") == count
    if name.startswith("show"):
        assert reader.tab.inner_text("[aria-pressed=true] .n") == str(len(expected))


def test_filters_add_up_stay_in_the_address_and_are_cleared_by_escape(reader: Reader) -> None:
    reader.go()
    reader.tab.select_option("#case-suite", "ticket-routing")
    reader.tab.click("[data-show=improved]")
    reader.tab.fill("#case-search", "the")
    reader.tab.wait_for_function("() => location.hash.includes('text=')")
    found, address = reader.ids(), reader.tab.evaluate("location.hash")
    assert address == "#cases&show=improved&suite=ticket-routing&text=the"
    reader.go("cases")
    reader.go(address[1:])
    assert reader.ids() == found
    assert reader.tab.input_value("#case-search") == "the"
    reader.tab.focus("#case-list")
    reader.press("Escape")
    assert reader.tab.inner_text("#case-count") == "41 cases"


SORTS: dict[str, Callable[[Row], float]] = {
    "suite": lambda row: 0,
    "loss": lambda row: _moved(row, otherwise=9),
    "gain": lambda row: -_moved(row, otherwise=-9),
    "lowest": lambda row: 9 if row.scores["candidate"] is None else row.scores["candidate"],
    "highest": lambda row: 9 if row.scores["candidate"] is None else -row.scores["candidate"],
    "longest": lambda row: 9 if row.tokens is None else -row.tokens,
}


def _moved(row: Row, *, otherwise: float) -> float:
    candidate, base = row.scores["candidate"], row.scores["base"]
    return otherwise if candidate is None or base is None else candidate - base


@pytest.mark.parametrize("sort", SORTS)
def test_the_list_is_sorted_as_is_asked_and_what_has_no_number_is_last(
    reader: Reader, run: Run, sort: str
) -> None:
    reader.go()
    reader.tab.select_option("#case-sort", sort)
    rows = list(rows_of(gather(run, sample_verdict(run))))
    assert reader.ids() == [row.case.id for row in sorted(rows, key=SORTS[sort])]


def test_required_cases_that_failed_and_losses_come_first(reader: Reader) -> None:
    reader.go()
    assert reader.ids()[:4] == ["billing-0", "many-turns", "benign-2", "fact-2"]


def test_a_scorers_own_scores_stand_in_the_list_when_it_is_chosen(reader: Reader) -> None:
    reader.go("cases&suite=marv-facts&sort=suite")
    third = reader.tab.locator(".row").nth(2).locator(".row-scores")
    assert "33.3" in third.inner_text()
    reader.tab.select_option("#case-scorer", "contains")
    assert "0.0" in third.inner_text()


# --- moving and opening ---------------------------------------------------------------------------------


def test_only_rows_near_those_in_sight_exist_and_each_says_which_it_is(reader: Reader) -> None:
    reader.go("cases&sort=suite")
    assert reader.tab.locator(".row").count() < 30
    reader.tab.focus("#case-list")
    reader.press("End")
    current = reader.tab.locator(".row[aria-selected=true]")
    assert current.get_attribute("aria-posinset") == current.get_attribute("aria-setsize") == "41"
    assert current.get_attribute("id") == reader.tab.get_attribute("#case-list", "aria-activedescendant")
    assert reader.tab.locator(".row[aria-posinset='1']").count() == 0


def test_keys_move_open_search_and_lead_back(reader: Reader) -> None:
    reader.go("cases&sort=suite")
    reader.press("j", "j", "k", "j", "Enter")
    reader.tab.wait_for_selector("#case-open:not([hidden])")
    assert (reader.focus, reader.tab.inner_text("#case-title")) == ("case-open", "ticket-routing / bug-1")
    reader.press("j")
    reader.tab.wait_for_function(
        "() => document.getElementById('case-title').textContent.endsWith('delivery-2')"
    )
    reader.press("Escape")
    assert (reader.focus, reader.tab.is_hidden("#case-open")) == ("case-list", True)
    reader.press("/")
    assert reader.focus == "case-search"
    reader.press("j", "Escape")
    assert (reader.focus, reader.tab.input_value("#case-search")) == ("case-list", "j")
    reader.press("?")
    assert reader.tab.is_visible("#case-help")
    reader.press("Escape")
    assert (reader.tab.is_hidden("#case-help"), reader.tab.input_value("#case-search")) == (True, "j")


def test_a_link_opens_its_case_in_a_fresh_tab_and_one_to_nothing_says_so(
    reader: Reader, browser: Any
) -> None:
    tab = browser.new_page()
    tab.goto(reader.file.as_uri() + "#case=marv-facts/fact-2")
    tab.wait_for_selector("#case-open:not([hidden])")
    assert "What is the chemical sign of gold?" in tab.inner_text("#case-open")
    assert tab.evaluate("location.hash") == "#case=marv-facts/fact-2"
    tab.close()
    reader.go("case=marv-facts/fact-99")
    assert reader.tab.inner_text("#case-count") == "There is no case marv-facts/fact-99 in this run."


def test_words_that_differ_are_marked_in_both_answers_also_without_spaces(reader: Reader) -> None:
    reader.opened("ticket-routing/many-turns")
    assert reader.tab.locator("#case-open del").all_inner_texts() == ["brown", "很好"]
    assert reader.tab.locator("#case-open ins").all_inner_texts() == ["red", "不好"]
    reader.press("d")
    reader.tab.wait_for_selector("#case-marks[aria-pressed=false]")
    assert reader.tab.locator("#case-open :is(del, ins)").count() == 0
    reader.press("d")
    reader.tab.wait_for_selector("#case-marks[aria-pressed=true]")


def test_an_opened_case_tells_reasons_usage_and_what_became_of_it_before(reader: Reader) -> None:
    text = reader.opened("ticket-routing/bug-1")
    assert "said 'bug'" in text
    assert "41 + 9 tokens" in text
    assert "The same case in 1 earlier run" in text
    past = reader.tab.inner_text("#case-open .past tbody")
    assert re.sub(r"\s+", " ", past).endswith(
        "hold ft:smollm2-135m-instruct:tickets:3c1f Missed Base 0.0 0.0"
    )


def test_every_case_copied_as_yaml_is_the_same_case_to_a_suite(
    reader: Reader, run: Run, tmp_path: Path
) -> None:
    suite, copied = run.manifest.suites[0], []
    cases = suite.cases[10:]
    for case in cases:
        reader.opened(f"{suite.name}/{case.id}")
        reader.press("y")
        reader.tab.wait_for_function("() => document.getElementById('case-copy').textContent === 'Copied'")
        copied.append(reader.tab.evaluate("navigator.clipboard.readText()"))
    file = tmp_path / "copied.suite.yaml"
    file.write_text(
        "name: copied\nscorers: [{type: refusal, expect: comply}]\ncases:\n" + "".join(copied),
        encoding="utf-8",
    )
    again = load_suite(file)
    assert [to_json(replace(case, line=0)) for case in again.cases] == [
        to_json(replace(case, line=0)) for case in cases
    ]


# --- hostile content ------------------------------------------------------------------------------------


def test_hostile_cases_are_shown_and_nothing_in_them_acts(hostile: Reader) -> None:
    for name in ATTACKS:
        text = hostile.opened(f"attacks/{name}")
        assert "CANDIDATE" in text, name
    hostile.press(*["j"] * 10)
    shown = hostile.opened("attacks/markup")
    assert "</script><script>document.title='stolen'</script><!-- <script> -->" in shown
    assert "{{ 7 * 7 }} {% raw %} ${1} ]]> &lt;b&gt; ␀␛[31m � [U+202E]" in shown
    assert "␀␁␂" in hostile.opened("attacks/binary")
    assert "[U+202E]gnp.exe[U+202C]" in hostile.opened("attacks/turned")
    assert hostile.tab.title().startswith("Promote · ")
    assert hostile.tab.locator("#cases :is(img, iframe, object, embed, script:not([type]))").count() == 0
    assert hostile.requests == [hostile.file.as_uri()]
    assert hostile.complaints == []


def test_five_million_characters_are_cut_and_whole_on_demand(hostile: Reader) -> None:
    hostile.opened("attacks/long")
    answer = hostile.tab.locator("#case-open .answer").nth(1)
    assert len(answer.locator(".text").first.evaluate("element => element.textContent")) == 6000
    answer.locator(".more").first.evaluate("button => button.click()")
    assert answer.locator(".text").first.evaluate("element => element.textContent") == LONG
    answer.locator(".more").first.evaluate("button => button.click()")


def test_the_policy_lets_no_other_script_run_and_no_request_leave(browser: Any, reader: Reader) -> None:
    tab = browser.new_page()
    stopped: list[str] = []
    tab.on("requestfailed", lambda request: stopped.append(request.failure))
    tab.on("response", lambda response: stopped.append(response.url))
    tab.goto(reader.file.as_uri())
    ran = tab.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          const image = new Image();
          const done = new Promise((tell) => { image.onerror = tell; });
          image.src = "http://127.0.0.1:9/x.png";
          const link = document.createElement("div");
          link.setAttribute("onclick", "window.ran = true");
          document.body.append(script, image, link);
          link.click();
          await done;
          const left = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
          return [window.ran ?? false, left];
        }"""
    )
    assert ran == [False, False]
    assert stopped == [reader.file.as_uri(), "csp"]
    tab.close()


# --- all ways of reading --------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(reader: Reader, scheme: str, width: int) -> None:
    reader.opened("ticket-routing/many-turns")
    reader.tab.emulate_media(color_scheme=scheme)
    reader.tab.set_viewport_size({"width": width, "height": 900})
    found = accessibility.Axe().run(reader.tab, context="#cases").response["violations"]
    reader.tab.emulate_media(color_scheme="light")
    reader.tab.set_viewport_size({"width": 1280, "height": 900})
    serious = [item for item in found if item["impact"] in {"serious", "critical"}]
    told = [(item["id"], [node["html"][:200] for node in item["nodes"][:3]]) for item in serious]
    assert not told, json.dumps(told, indent=1)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(hostile: Reader, width: int) -> None:
    hostile.opened("attacks/turned")
    hostile.tab.set_viewport_size({"width": width, "height": 900})
    assert hostile.tab.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_deciding_cases_stand_in_the_page(browser: Any, reader: Reader) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(reader.file.as_uri())
    shown = tab.inner_text("#cases")
    for id_ in ("billing-0", "many-turns", "benign-2", "fact-2"):
        assert f"/ {id_}" in shown
    assert "All 41 cases are listed here by a script" in shown
    assert tab.is_hidden("#case-list")
    context.close()


def test_a_browser_that_cannot_unpack_says_so_and_shows_the_deciding_cases(
    browser: Any, reader: Reader
) -> None:
    tab = browser.new_page()
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(reader.file.as_uri())
    tab.wait_for_selector("#case-trouble:not([hidden])")
    assert "it has no DecompressionStream" in tab.inner_text("#case-trouble")
    assert tab.is_visible("#case-static .case >> nth=0")
    tab.close()


def test_paper_has_the_deciding_cases_and_no_controls(reader: Reader) -> None:
    reader.go()
    assert reader.tab.is_hidden("#case-static")
    reader.tab.emulate_media(media="print")
    assert reader.tab.is_visible("#case-static .case >> nth=0")
    assert reader.tab.is_hidden("#case-list")
    assert reader.tab.is_hidden(".controls")
    reader.tab.emulate_media(media="screen")


def test_nothing_of_all_this_was_complained_about_or_asked_of_the_network(reader: Reader) -> None:
    assert reader.complaints == []
    assert set(reader.requests) == {reader.file.as_uri()}
