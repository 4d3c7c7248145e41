"""What every rule of advice says, as the page says it in Chinese."""

from dataclasses import replace

from chinese import unsaid
from sighting_samples import RUN, choice, data, finding, seen, target, verdict
from test_rules import RECITING, REFUSING, SPEAKING

from harness.advice import RULES, advise
from harness.advice.sightings import Sightings
from harness.records import SuiteMark

REASON = "routing rose by 4 points on 60 cases (likely -2 to +10): chance alone could explain that"
FOUND = "5 % of the answers refuse (10 of 200)"
FAULT = "training loss is not a number at step 11"
SAW = "the validation loss was measured once only; its trend needs 12 measurements, or two of the whole validation file"
TO_TELL = "if the scores stay as they are: one size more, 1/8 of the data"
MARKS = {"fresh": (SuiteMark(suite="routing", mean=0.82),), "last": (SuiteMark(suite="routing", mean=0.74),)}
OTHERS = [
    *(seen(checkpoint=replace(choice(on=on), **MARKS)) for on in ("fresh trials", "other cases")),  # type: ignore[arg-type]
    seen(checkpoint=choice(on="nothing")),
    *(seen(epochs=epochs, recitals=(RECITING,)) for epochs in (None, 1, 2, 5)),
    seen(refusals=(REFUSING,), data=replace(data(finding("refusal_share")), is_the_jobs=False)),
    seen(data=replace(data(finding("conflicting_answers", lines=(3,))), is_the_jobs=False)),
    seen(verdict=verdict("promote")),
]


NAMES = (
    "ftjob-1",
    "ft:m:ckpt-step-40",
    "billing",
    "routing",
    "privacy",
    "label",
    "conflicting_answers",
    "c1",
    "c2",
    RUN,
)


def real(sightings: Sightings) -> Sightings:
    """The same with sentences that their rooms say, where the samples have some that only stand in for them."""
    suite = replace(target(), reason=REASON)
    suites = {name: replace(one, reason=REASON) for name, one in sightings.verdict.suites.items()} or {
        "routing": suite
    }
    told = replace(sightings.verdict, suites=suites, reasons=(REASON,))
    changed = replace(sightings, verdict=told)
    if sightings.data is not None:
        found = sightings.data.findings
        findings = found and tuple(replace(one, what=FOUND, remedy="remove them") for one in found)
        why = sightings.data.why and "train.jsonl is too large to be checked at the end of a run"
        changed = replace(changed, data=replace(sightings.data, findings=findings, why=why))
    if sightings.curve is not None:
        diagnosis = sightings.curve.diagnosis
        faults = tuple(
            replace(one, says=FAULT, remedy="lower the learning rate multiplier") for one in diagnosis.faults
        )
        changed = replace(
            changed, curve=replace(sightings.curve, diagnosis=replace(diagnosis, saw=SAW, faults=faults))
        )
    if sightings.checkpoint is not None:
        changed = replace(changed, checkpoint=replace(sightings.checkpoint, why="the earliest"))
    if sightings.doubling is not None and sightings.doubling.to_tell:
        changed = replace(changed, doubling=replace(sightings.doubling, to_tell=TO_TELL))
    return changed


def test_all_advice_is_said() -> None:
    found = []
    for sightings in [*(sample[1] for sample in SPEAKING), *OTHERS]:
        given = advise(real(sightings))
        sentences = [text for line in given for text in (line.says, line.saw)]
        sentences += [line.says.partition(": harness ")[0] for line in given]
        found += unsaid(sentences, names=NAMES)
    assert not found, "\n".join(dict.fromkeys(found))


def test_where_advice_comes_from_is_said() -> None:
    found = unsaid(rule.source for rule in RULES)
    assert not found, "\n".join(found)
