"""Every kind of verdict, as the page says it in Chinese."""

import re
from collections.abc import Iterator

from chinese import CHINESE, unsaid

from harness.records import Verdict
from harness.verdict import describe_gate, describe_reach, word_of
from tests.verdict import scenarios


def sentences(verdict: Verdict) -> Iterator[str]:
    yield from (word_of(verdict), verdict.summary, *verdict.reasons, *verdict.next_steps)
    for suite in [*verdict.suites.values(), *([verdict.pooled] if verdict.pooled else [])]:
        yield from (suite.role, suite.decision, suite.rule, suite.reason)
        if reach := describe_reach(suite):
            yield reach
    for gate in verdict.gates:
        yield from (describe_gate(gate.gate), gate.reason)
    for finding in verdict.classifications:
        yield from filter(None, [finding.note])


def names(verdict: Verdict) -> set[str]:
    metrics = {gate.gate.metric for gate in verdict.gates}
    cases = {case for reason in verdict.reasons for case in re.findall(r"required case ('[^']*')", reason)}
    scorers = {word for reason in verdict.reasons for word in re.findall(r"(\w+) raised \w+", reason)}
    errors = {word for reason in verdict.reasons for word in re.findall(r"raised (\w+)", reason)}
    return {*verdict.suites, *metrics, *cases, *scorers, *errors}


def test_every_verdict_is_said() -> None:
    found = [
        f"{name}: {line}"
        for name, verdict in scenarios.verdicts()
        for line in unsaid(sentences(verdict), names=names(verdict))
    ]
    assert not found, "\n".join(found)


def test_clauses_of_a_gate_keep_their_order() -> None:
    reason = "style: label is 0.825 (likely 0.68 to 0.91); at least 0.8 and at most 0.9 is asked: not met; candidate: 2 cases unscored, which leaves this open"
    assert CHINESE.said(reason) == (
        "style：label 为 0.825（可能在 0.68 到 0.91 之间）；要求至少 0.8，并且至多 0.9：未满足；候选模型：2 个用例无得分，因此尚无定论"
    )
