"""Every kind of verdict, as the page says it in Chinese."""

import re
from collections.abc import Iterator

from chinese import unsaid

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
