"""The summary in Markdown, read back the way GitHub reads it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from chinese import CHINESE, unsaid
from hostile_samples import ATTACKS, hostile_answers
from report_samples import EMPTY_VERDICT, HOSTILE, empty_run, failed_run, sample_run, sample_verdict

from harness.records import Advice
from harness.report.facts import Regression, RunFacts, SuiteFacts, facts_of
from harness.report.languages import ENGLISH, Language
from harness.report.markdown import LIMIT, code, markdown_summary, prose

cmark = pytest.importorskip("cmarkgfm")

ATTACK = (
    "| a | b |\n|---|---|\n# head\n- item ![x](http://e.invalid/x.png) [l](http://e.invalid) <img src=x onerror=alert(1)>"
    " @octocat #123 GH-7 owner/repo#9 https://e.invalid www.e.invalid a@e.invalid mailto:a@e.invalid `code` ``` ~~~ <!-- "
    "**bold** $$x$$ \\| \\` *it* ~~gone~~ &lt;b&gt; <https://e.invalid> [ref]: http://e.invalid </details>"
)
ATTACKED = (
    *(attack[:3000] for attack in ATTACKS.values()),
    ATTACK,
    "`",
    "```\n| x |",
    " ` | ` ",
    "\\|",
    "\\\\|`",
    "1. one",
    "12) twelve",
    "# head",
    "+ plus",
    "> quote",
    "=====",
    "---",
    "[^1]: note",
    ": defined",
    "",
)
OURS = {"h2", "p", "ul", "li", "code", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "br"}
OURS |= {"details", "summary", "blockquote"}


class Read(HTMLParser):
    """What a reader of the rendered summary meets: elements, and the text outside code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.text = self.code = ""
        self._codes = 0
        options = cmark.cmark.Options.CMARK_OPT_UNSAFE
        self.feed(cmark.github_flavored_markdown_to_html(markdown, options=options))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._codes += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._codes -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._codes:
            self.code += data
        else:
            self.text += data

    def calls(self) -> list[str]:
        """What GitHub would make a link or a call of in text."""
        return re.findall(r"@\w+|#\d+|\bGH-\d+|\w+://\S+|\bwww\.\S+", self.text)


def hostile_facts(text: str) -> RunFacts:
    """Facts with one hostile text in every place that takes text."""
    facts = facts_of(sample_run(hostile=False), sample_verdict(sample_run(hostile=False)))
    regression = Regression(
        suite=text,
        case=text,
        asked=text,
        candidate=0.0,
        reference=1.0,
        candidate_answer=text,
        reference_answer=text,
    )
    return replace(
        facts,
        run=text,
        word=text,
        summary=text,
        reference=text,
        reasons=(text,),
        next_steps=(text,),
        advice=(Advice(action="ship", says=text, saw=text, source=text),) * 2,
        warnings=(text,),
        models=tuple(replace(model, model=text, endpoint=text) for model in facts.models),
        suites=tuple(replace(suite, name=text, rule=text, reason=text) for suite in facts.suites),
        gates=tuple(replace(gate, suite=text, condition=text, reason=text) for gate in facts.gates),
        regressions=(regression,),
    )


@pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=lambda language: language.code)
@pytest.mark.parametrize("text", ATTACKED, ids=lambda text: repr(text[:12]))
def test_hostile_text_adds_no_element_link_picture_or_call(text: str, language: Language) -> None:
    calm, attacked = (
        Read(markdown_summary(hostile_facts(one), page=one, link=one, language=language))
        for one in ("calm", text)
    )
    assert set(attacked.elements) <= OURS
    assert attacked.elements.count("td") == calm.elements.count("td")
    assert attacked.elements.count("tr") == calm.elements.count("tr")
    assert attacked.elements.count("li") == calm.elements.count("li")
    assert attacked.attributes <= {"align"}
    assert attacked.calls() == []


def test_hostile_text_is_shown_all_the_same() -> None:
    read = Read(markdown_summary(hostile_facts("<b>|`x`|</b> @octocat")))
    assert "<b>|`x`|</b> @octocat" in read.code
    assert "<b>|`x`|</b> @\u200boctocat" in read.text


@pytest.mark.parametrize("text", ATTACKED[:-1], ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("in_table", [False, True])
def test_code_reads_back_as_the_text_it_was_made_of(text: str, *, in_table: bool) -> None:
    shown = code(text, 4000, in_table=in_table)
    read = Read(f"| a | b |\n| --- | --- |\n| {shown} | end |\n" if in_table else f"- {shown}\n")
    # What no line shows (control characters, line ends) is a blank in both.
    seen = "".join(one if one.isprintable() or one in "\u200c\u200d" else " " for one in text)
    assert read.code.split() == seen.split()


def test_sentences_start_no_list_heading_or_quote() -> None:
    for text in ("1. one", "# head", "> quote", "- item", "+ plus", "12) twelve", "* star"):
        read = Read(f"- {prose(text, 100)}")
        assert read.elements == ["ul", "li"]
        assert read.text.strip() == text


def test_real_run_is_summed_up() -> None:
    run = sample_run(hostile=False)
    text = markdown_summary(facts_of(run, sample_verdict(run)), page="reports/x/index.html")
    assert text.startswith("## ✅ PROMOTE: `ft:smollm2-135m-instruct:tickets:3c1f`\n")
    assert (
        "| `ticket-routing` target | 0.0 | **85.7** | +85.7 | +68.7 to +102.7 | paired t | ✅ pass |" in text
    )
    assert "Cases against base: 14 improved, 1 regressed, 3 missed, 11 kept." in text
    assert "  - candidate: `Who knows.`" in text
    assert "0.0007 USD" in text
    assert text.endswith("Run `20260211-140312-7f3a`, page `reports/x/index.html`\n")


def test_gate_is_told_once_as_a_reason_or_by_itself() -> None:
    run = sample_run(hostile=False)
    facts = facts_of(run, sample_verdict(run))
    assert "- ✅ pass `ticket-routing`: label is 0.86 on 14 cases\n" in markdown_summary(facts)
    told = markdown_summary(replace(facts, reasons=(facts.gates[0].reason,)))
    assert told.count("label is 0.86 on 14 cases") == 1


def test_page_in_the_web_is_linked_and_nothing_else_is() -> None:
    run = sample_run(hostile=False)
    facts = facts_of(run, sample_verdict(run))
    assert markdown_summary(facts, link="https://ci.invalid/a/b?c=1#d").endswith(
        "[the page](<https://ci.invalid/a/b?c=1#d>)\n"
    )
    for address in ("javascript:alert(1)", "https://x>\n# y", "https://x y", "file:///x"):
        assert "a" not in Read(markdown_summary(facts, link=address)).elements


def test_summary_never_takes_more_than_its_limit() -> None:
    facts = hostile_facts("<|`*_@#1" * 2000 + "\U0001f600" * 3000)
    (suite,) = facts.suites[:1]
    many = replace(
        facts,
        suites=(suite,) * 5000,
        reasons=facts.reasons * 5000,
        warnings=facts.warnings * 5000,
        gates=tuple(replace(gate, reason=gate.reason + "!") for gate in facts.gates * 5000),
        next_steps=facts.next_steps * 5000,
        regressions=facts.regressions * 5,
    )
    text = markdown_summary(many, page="x" * 9999)
    assert len(text.encode()) <= LIMIT
    assert "more on the page" in text
    assert set(Read(text).elements) <= OURS


def test_hundred_suites_of_sane_names_are_shown_as_far_as_there_is_room() -> None:
    run = sample_run(hostile=False)
    facts = facts_of(run, sample_verdict(run))
    suites: tuple[SuiteFacts, ...] = tuple(replace(facts.suites[0], name=f"suite-{n}") for n in range(100))
    text = markdown_summary(replace(facts, suites=suites))
    assert text.count("| `suite-") == 60
    assert "41 more on the page" in text, "the row of all guards is left out too"


def test_runs_without_suites_or_answers_have_a_summary() -> None:
    assert "❔ UNDECIDED: `no candidate`" in markdown_summary(facts_of(empty_run(), EMPTY_VERDICT))
    lost = failed_run()
    text = markdown_summary(facts_of(lost, sample_verdict(lost)))
    assert "failed" in text
    assert "nan" not in text.lower()


def test_run_that_was_interrupted_says_so() -> None:
    assert "This run is interrupted" in markdown_summary(facts_of(empty_run(), EMPTY_VERDICT))


def test_summary_of_a_hostile_run_holds_no_markup_of_its_answers() -> None:
    run, verdict = hostile_answers()
    text = markdown_summary(facts_of(run, verdict), page=HOSTILE)
    assert len(text.encode()) <= LIMIT
    read = Read(text)
    assert set(read.elements) <= OURS
    assert read.calls() == []


def test_the_summary_in_chinese_says_what_the_english_one_says() -> None:
    run = sample_run(hostile=False)
    facts = replace(facts_of(run, sample_verdict(run)), status="interrupted")
    english, chinese = (
        Read(markdown_summary(facts, page="x/index.html", language=of)) for of in (ENGLISH, CHINESE)
    )
    assert chinese.elements == english.elements
    assert chinese.code == english.code
    assert "本次运行被中断：结论依据已收到的回答。" in chinese.text
    assert "基座模型" in chinese.text
    assert not re.search(r"\b(the|of|and|answered|points|cases|asked|Suite|Rule)\b", _ours(chinese.text))


def _ours(text: str) -> str:
    """Without the reasons of the sample's gates and its warnings, which are made up."""
    return re.sub(r"label is 0\.86 on 14 cases|two cases have no token count", "", text)


@pytest.mark.parametrize(
    "role", ["base", "promoted", "candidate", "judge", "embedding", "target", "guard", "critical", "info"]
)
def test_every_role_has_a_chinese_name(role: str) -> None:
    assert not unsaid([role])
