"""Rules about how long to train: an earlier checkpoint, fewer epochs, more epochs, or nobody can tell."""

from harness.advice.sightings import CurveSight, Saying, Sightings
from harness.advice.wording import count, loss, losses, percent, quoted
from harness.records import CheckpointChoice

MEMORISED_LOSS = 0.01
"""A training loss below this is of answers known by heart, nats a token."""
MANY_EPOCHS = 3
ALIKE = 0.15
"""Validation and training loss within this share of each other, or within `ALIKE_NATS`, tell of no overfitting."""
ALIKE_NATS = 0.05
LEAST_FALL = 0.25
"""A loss that fell by less than this share of its start has hardly been learned from."""
LOW_LOSS = 0.1
"""A validation loss below this is of rows that were learned, not learned by heart."""
FEWEST_RECITALS = 2
"""One recital in a suite may be a phrase that everybody writes."""
VALIDATION_ROWS = 50


def earlier_checkpoint(seen: Sightings) -> Saying | None:
    """The suites were asked at each checkpoint and prefer one from before the end, which is not the candidate."""
    choice = _preferred(seen)
    if choice is None:
        return None
    says = f"judge the checkpoint of step {choice.step:,}, and ship it if it passes: {_judging(choice, seen)}"
    return Saying(says=says, saw=_chosen(choice))


def earlier_as_well(seen: Sightings) -> Saying | None:
    """The verdict promotes, and the suites were asked at each checkpoint and prefer one from before the end."""
    choice = _preferred(seen)
    if choice is None or seen.verdict.outcome != "promote":
        return None
    says = f"or judge the checkpoint of step {choice.step:,} too, and ship what you prefer: {_judging(choice, seen)}"
    return Saying(says=says, saw=_chosen(choice))


def recites(seen: Sightings) -> Saying | None:
    """The candidate recites training rows in at least two cases more of a suite than the base does."""
    worst = max(seen.recitals, key=lambda sight: sight.candidate - sight.base, default=None)
    if worst is None or worst.candidate - worst.base < FEWEST_RECITALS:
        return None
    saw = (
        f"in {worst.suite} the candidate recites training rows in {worst.candidate} of {count(worst.cases, 'case')}, "
        f"the base in {worst.base}"
    )
    return Saying(says=f"{_fewer(seen)}, and remove rows that repeat others", saw=saw)


def diverged(seen: Sightings) -> Saying | None:
    """The training loss is not a number to the end: training broke."""
    fault = seen.curve.fault("not a number") if seen.curve is not None else None
    if fault is None or fault.column != "train_loss":
        return None
    return Saying(says=f"train again: {fault.remedy}", saw=fault.says)


def memorised(seen: Sightings) -> Saying | None:
    """The training loss ends below 0.01 after more than three epochs, or is below 0.1 for most steps, and the validation loss is not."""
    curve = seen.curve
    if curve is None or curve.word == "underfit" or _suites_prefer_it(seen):
        return None
    found, fault = curve.diagnosis, curve.fault("memorised")
    is_known = (
        found.train_end is not None and found.train_end < MEMORISED_LOSS and (seen.epochs or 0) > MANY_EPOCHS
    )
    is_learned = found.valid_end is not None and found.valid_end < LOW_LOSS
    if fault is None and (not is_known or is_learned):
        return None
    by_heart = f"the training loss ends at {loss(found.train_end or 0.0)} after {seen.epochs} epochs: the rows are known by heart"
    watch = "" if seen.recitals else "; a scorer of type `regurgitation` shows whether it recites them"
    return Saying(says=f"{_fewer(seen)}{watch}", saw=fault.says if fault else by_heart)


def overfit(seen: Sightings) -> Saying | None:
    """The validation loss rose again before the end, beyond its noise."""
    curve = seen.curve
    if curve is None or curve.word != "overfit" or _suites_prefer_it(seen):
        return None
    looked = "" if seen.checkpoint else ", or see whether an earlier checkpoint does better: --checkpoints"
    return Saying(says=f"{_fewer(seen)}{looked}", saw=curve.diagnosis.saw)


def less_varied(seen: Sightings) -> Saying | None:
    """The targets want free text, and the answers have a tenth fewer different word pairs than the base's and pack smaller."""
    shift = seen.diversity
    if shift is None or not shift.is_lost or seen.task == "single" or _suites_prefer_it(seen):
        return None
    pairs = shift.distinct_2
    saw = (
        f"of the word pairs in the answers {percent(pairs.base)} were different ones with the base, {percent(pairs.candidate)} "
        f"are with the candidate (likely {100 * pairs.low:+.0f} to {100 * pairs.high:+.0f} points), and they pack "
        f"{shift.compression.candidate:.1f} times smaller instead of {shift.compression.base:.1f}: "
        f"{shift.prompts} prompts, at equal length"
    )
    return Saying(says=f"if answers should vary, {_fewer(seen)}", saw=saw)


def underfit(seen: Sightings) -> Saying | None:
    """The validation loss was still falling at the end, beyond its noise."""
    curve = seen.curve
    if curve is None or curve.word != "underfit":
        return None
    return Saying(says=_more(seen), saw=curve.diagnosis.saw)


def not_followed(seen: Sightings) -> Saying | None:
    """The targets have one right answer each and cases of them fail, and training and validation loss end alike and level."""
    curve = seen.curve
    if curve is None or curve.word != "plateau" or seen.task != "single" or seen.verdict.outcome == "promote":
        return None
    missed = [kind for kind in seen.failing if kind.role == "target" and kind.is_missed]
    if not missed or not _is_alike(curve) or _hardly_fell(curve):
        return None
    first = missed[0]
    saw = (
        f"{first.failed} of {count(first.cases, 'case')} of {first.suite} fail, where one answer is right "
        f"({', '.join(seen.scored_by)}); training and validation loss end alike, at {_ends(curve)}"
    )
    return Saying(says=_more(seen), saw=saw)


def not_learned(seen: Sightings) -> Saying | None:
    """Training and validation loss end alike, and the training loss fell by less than a quarter."""
    curve = seen.curve
    if (
        curve is None
        or curve.word in {"overfit", "underfit"}
        or not (_is_alike(curve) and _hardly_fell(curve))
    ):
        return None
    saw = f"the training loss went from {losses(curve.train_start, curve.diagnosis.train_end)}, and the validation loss ends alike"
    says = "look at the rows, not at the epochs: what they ask may not tell what they answer. harness data check; then a higher learning-rate multiplier"
    return Saying(says=says, saw=saw)


def validation_file(seen: Sightings) -> Saying | None:
    """The validation loss was never measured, or too seldom to show a trend."""
    curve = seen.curve
    if curve is None or curve.word != "unknown":
        return None
    file = quoted(seen.data.file) if seen.data is not None else "FILE"
    says = (
        f"cannot tell about epochs: give the job a validation file of {VALIDATION_ROWS} rows, "
        f"as harness data split {file} --valid 0.2 makes one"
    )
    return Saying(says=says, saw=curve.diagnosis.saw)


def level(seen: Sightings) -> Saying | None:
    """The validation loss has levelled off, and nothing else speaks for other epochs."""
    curve = seen.curve
    if curve is None or curve.word != "plateau":
        return None
    kept = "keep the number of epochs" if seen.epochs is None else f"keep {count(seen.epochs, 'epoch')}"
    looked = "" if seen.checkpoint else "; --checkpoints asks the suites whether an earlier end is as good"
    return Saying(
        says=f"{kept}: neither more nor fewer can be shown to be better{looked}",
        saw=curve.diagnosis.saw,
    )


def name_the_job(seen: Sightings) -> Saying | None:
    """No curve belongs to the run."""
    if seen.curve is not None:
        return None
    if seen.job is None:
        says, saw = (
            "cannot tell about epochs: name the job the candidate came from, --job ftjob-...",
            "no job is recorded",
        )
    else:
        says, saw = (
            "cannot tell about epochs: the job left no metrics; --checkpoints asks the suites instead",
            f"{seen.job} has no curve",
        )
    return Saying(says=says, saw=saw)


# --- in words ------------------------------------------------------------------------------------------


def _fewer(seen: Sightings) -> str:
    """`train 1 to 2 epochs less: 1 or 2 instead of 3`."""
    match seen.epochs:
        case None:
            return "train 1 to 2 epochs less"
        case 1:
            return "train with a smaller learning-rate multiplier, as there is no epoch to spare"
        case 2:
            return "train 1 epoch instead of 2"
        case epochs:
            return f"train 1 to 2 epochs less: {epochs - 2} or {epochs - 1} instead of {epochs}"


def _more(seen: Sightings) -> str:
    """`train 1 to 2 epochs more: 4 or 5 instead of 3`."""
    if seen.epochs is None:
        return "train 1 to 2 epochs more"
    return f"train 1 to 2 epochs more: {seen.epochs + 1} or {seen.epochs + 2} instead of {seen.epochs}"


def _suites_prefer_it(seen: Sightings) -> bool:
    """Whether the checkpoints were asked the suites and the candidate won: what a loss says against it does not count."""
    return seen.checkpoint is not None and _preferred(seen) is None


def _preferred(seen: Sightings) -> CheckpointChoice | None:
    """The checkpoint that the suites prefer to the candidate, if any."""
    choice = seen.checkpoint
    return None if choice is None or choice.is_last or choice.model == seen.candidate else choice


def _judging(choice: CheckpointChoice, seen: Sightings) -> str:
    """The command that judges a checkpoint; with the job it came from, its curve and its base are known."""
    job = f" --job {quoted(seen.job)}" if seen.job else ""
    return f"pytest suites/ --candidate {quoted(choice.model)}{job}"


def _chosen(choice: CheckpointChoice) -> str:
    """Why it was chosen, and how it did where the choice did not look, beside the job's own model."""
    if choice.on == "nothing":
        return f"{choice.why}; nothing but the choice itself speaks for it yet"
    where = {"fresh trials": "on fresh trials", "other cases": "on cases that took no part in choosing"}
    last = {mark.suite: mark.mean for mark in choice.last}
    told = [
        f"{mark.suite} {percent(mark.mean)} ({percent(end)} at the end)"
        for mark in choice.fresh
        if mark.mean is not None and (end := last.get(mark.suite)) is not None
    ]
    return f"{choice.why}; judged again {where[choice.on]}" + (f": {', '.join(told)}" if told else "")


def _is_alike(curve: CurveSight) -> bool:
    """Whether the validation loss ends where the training loss does."""
    train, valid = curve.diagnosis.train_end, curve.diagnosis.valid_end
    return train is not None and valid is not None and abs(valid - train) <= max(ALIKE_NATS, ALIKE * train)


def _hardly_fell(curve: CurveSight) -> bool:
    start, end = curve.train_start, curve.diagnosis.train_end
    return start is not None and end is not None and end > (1 - LEAST_FALL) * start


def _ends(curve: CurveSight) -> str:
    """`0.34 and 0.36`."""
    ends = (curve.diagnosis.train_end, curve.diagnosis.valid_end)
    return " and ".join(loss(end) for end in ends if end is not None)
