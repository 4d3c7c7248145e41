"""What a session asks of whom: its suites, the selected cases, the seats, and what that will cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config import Settings
from harness.errors import UsageError
from harness.evals import (
    REUSED,
    Cell,
    Count,
    Paid,
    Plan,
    Precedents,
    RoleEstimate,
    cells_of,
    changes_since_last,
    continued,
    estimate,
    estimate_judging,
    exact_tokens,
    margin_warnings,
    messages_for,
    new_manifest,
    resumable,
    suites_asking,
)
from harness.lineup import (
    Lineup,
    Seat,
    Teller,
    ask_shutdown_dates,
    kinship,
    known_answers,
    lacking,
    planned_seats,
    retirements_of,
)
from harness.models import AnswerCache, Purse, answer_key, vector_key
from harness.records import Case, Completion, Manifest, Question, Role, Suite
from harness.serial import file_digest
from harness.verdict import role_under

if TYPE_CHECKING:
    from harness.experiments.asking import Terms
    from harness.experiments.checkpoints import Trained

ASKED: tuple[Role, ...] = ("candidate", "base", "promoted")


class Questions:
    """Filled as pytest collects; complete when the run begins."""

    def __init__(self, settings: Settings, *, root: Path) -> None:
        self.settings = settings
        self.root = root
        self.suites: dict[str, Suite] = {}
        self.selected: Mapping[str, tuple[Case, ...]] = {}
        self.seats: Mapping[Role, Seat] = {}
        self.code: Mapping[str, str] = {}
        self.trained: Trained | None = None
        self.purse: Purse | None = None
        self.batches: frozenset[str] = frozenset()

    @cached_property
    def known(self) -> Mapping[str, Completion]:
        """The answers stored with the run that was promoted last, by `answer_key`."""
        return known_answers(self.settings)

    def tell_reuse(self, teller: Teller) -> None:
        """Say how many answers of each model are there already, stored with the run that was promoted."""
        cells = [cell for name in self.selected for cell in self.cells(self.suites[name])]
        for role in REUSED:
            mine = [cell for cell in cells if cell.role == role]
            there = sum(self._is_known(cell) for cell in mine)
            if mine and self.known:
                teller.say(
                    f"{role}: {there} of {len(mine)} answers are reused from the run that was promoted"
                )
            on_record = role == "promoted" and self.settings.promoted is None
            if on_record and there < len(mine) and self.seats[role].embedded:
                teller.say(
                    f"{role}: a fine-tune of the local server is only where it was trained; elsewhere --promoted none "
                    "does without, and the folder of its run has its answers"
                )

    def _is_known(self, cell: Cell) -> bool:
        return bool(self.known) and cell.role in REUSED and self._answer_key(cell) in self.known

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that are asked the cases."""
        return tuple(role for role in ASKED if role in self.seats)

    @property
    def reference(self) -> Role:
        """What the candidate is compared with: the promoted model when there is one, else the base."""
        return "promoted" if "promoted" in self.seats else "base"

    def lacking(self, suite: Suite) -> list[str]:
        """What the suite needs and the models of this run cannot give."""
        return [need for need in suite.needs if need in lacking(self.seats)]

    def add(self, suite: Suite) -> Suite:
        """Take note of a suite, as this session asks it.

        Raises:
            pytest.UsageError: Two files of the session give the same suite name.
        """
        role = role_under(suite.role, self.settings.goal)
        suite = replace(suite, role=role, trials=self.settings.trials or suite.trials)
        known = self.suites.get(suite.name)
        if known is not None and known.path != suite.path:
            raise pytest.UsageError(f"two suites are called {suite.name!r}: {known.path} and {suite.path}")
        self.suites[suite.name] = suite
        return suite

    def select_ids(self, node_ids: set[str]) -> None:
        """The cases among node ids that another process collected."""
        chosen = {
            suite.name: tuple(case for case in suite.cases if f"{suite.path}::{case.id}" in node_ids)
            for suite in self.suites.values()
        }
        self.selected = {name: cases for name, cases in chosen.items() if cases}

    def note_code(self, node_ids: Iterable[str], *, root: Path) -> None:
        """Take note of the Python files behind node ids: who edits one of them asks for another run."""
        files = {node_id.partition("::")[0] for node_id in node_ids}
        self.code = {
            file: file_digest(root / file)
            for file in sorted(files)
            if file.endswith(".py") and (root / file).is_file()
        }

    def cases(self, suite: Suite) -> tuple[Case, ...]:
        """The selected cases of a suite; none when it is skipped."""
        return () if self.lacking(suite) else self.selected.get(suite.name, ())

    def cells(self, suite: Suite, cases: Sequence[Case] | None = None) -> list[Cell]:
        """Everything to ask of a suite, or of some of its cases, in the order of asking.

        Blocks of one role fill a server's batch with one model, yet a case's answers come close together.
        """
        chosen, size = self.cases(suite) if cases is None else cases, self.settings.at_once
        return [
            cell
            for start in range(0, len(chosen), size)
            for role in self.roles
            for cell in cells_of(suite, chosen[start : start + size], [role])
        ]

    def estimate(
        self,
        cache: AnswerCache | None,
        *,
        count: Count = exact_tokens,
        precedents: Precedents | None = None,
    ) -> tuple[RoleEstimate, ...]:
        """What is still to be asked, of the judge too; answers in the cache are paid for already.

        Without `precedents` it is the most that it may be.
        """
        stored = cache if self.settings.cache else None
        cells = [cell for name in self.selected for cell in self.cells(self.suites[name])]
        models = {role: seat.model for role, seat in self.seats.items()}
        prices = {role: self._price(role) for role in self.seats}
        asked: set[str] = set()

        def is_paid(cell: Cell) -> bool:
            key = self._answer_key(cell)
            is_there = key in asked or self._is_known(cell) or (stored is not None and stored.holds(key))
            asked.add(key)  # whoever asks the same once more gets the same answer
            return is_there

        answers = estimate(cells, models, prices, is_paid=is_paid, count=count, precedents=precedents)
        paid = self._paid(stored) if stored is not None else None
        judging = estimate_judging(cells, models, prices, paid=paid, count=count, precedents=precedents)
        return (*answers, *judging, *self._checkpoints(cache, count, precedents))

    def _price(self, role: Role) -> Mapping[str, float]:
        """USD per 1M tokens, as this session asks: vectors come from no batch."""
        seat = self.seats[role]
        return seat.facts().batch_price if self.settings.batch and role != "embedding" else seat.price

    def _checkpoints(
        self, cache: AnswerCache | None, count: Count, precedents: Precedents | None
    ) -> tuple[RoleEstimate, ...]:
        """What the checkpoints beside the candidate will be asked."""
        if self.trained is None:
            return ()
        from harness.experiments.checkpoints import estimate_checkpoints

        chosen = {name: self.cases(self.suites[name]) for name in self.selected}
        suites = [replace(self.suites[name], cases=cases) for name, cases in chosen.items() if cases]
        terms = self.terms(cache)
        return estimate_checkpoints(
            self.trained, suites, self.seats, terms=terms, count=count, precedents=precedents
        )

    def terms(self, cache: AnswerCache | None) -> "Terms":
        """How this session asks models, for others that are asked beside the run."""
        from harness.experiments.asking import Terms

        read = self.settings.cache and cache is not None
        at_once = self.settings.at_once
        return Terms(cache=cache, read=read, concurrency=at_once, known=self.known, purse=self.purse)

    def _answer_key(self, cell: Cell) -> str:
        messages = messages_for(cell.suite, cell.case, cell.role)
        seat = self.seats[cell.role]
        return answer_key(
            messages, cell.suite.sampling, endpoint=seat.endpoint.label, model=seat.model, trial=cell.trial
        )

    def _paid(self, stored: AnswerCache) -> Paid:
        """What the cache holds of what judging asks for."""

        def reply(question: Question, repeat: int) -> bool:
            seat = self.seats["judge"]
            key = answer_key(
                question.messages,
                question.sampling,
                endpoint=seat.endpoint.label,
                model=seat.model,
                trial=repeat,
            )
            return stored.holds(key)

        def vector(text: str) -> bool:
            seat = self.seats["embedding"]
            return stored.holds(vector_key(text, endpoint=seat.endpoint.label, model=seat.model))

        return Paid(
            answer=lambda cell: (
                self.known[self._answer_key(cell)]
                if self._is_known(cell)
                else stored.find(self._answer_key(cell), Completion)
            ),
            reply=reply,
            vector=vector,
        )

    def check_roles(self, environment: Mapping[str, str]) -> None:
        """Refuse suites whose scorers ask a model that nobody named, before anything is trained or asked.

        Raises:
            UsageError: Which suites, and what to name.
        """
        seats = planned_seats(self.settings, environment)
        chosen = [self.suites[name] for name in self.selected] or list(self.suites.values())
        asked = [suite for suite in chosen if not any(need in lacking(seats) for need in suite.needs)]
        others: tuple[Role, ...] = ("judge", "embedding")
        for role in others:
            names = suites_asking(role, asked)
            if names and role not in seats:
                what = f"{', '.join(names)}: scored with {'a judge' if role == 'judge' else 'embeddings'}"
                remedy = f"give --{role} MODEL, or set `{role}`: a model id or a name under `models`"
                raise UsageError(f"{what}, and no {role} model is named", remedy=remedy)

    def margin_warnings(self, names: Iterable[str]) -> tuple[str, ...]:
        """A sentence for each of some suites whose margin its cases cannot show."""
        asked = [self.suites[name] for name in names if not self.lacking(self.suites[name])]
        return tuple(
            warning
            for suite in asked
            for warning in margin_warnings(
                replace(suite, role=role_under(suite.role, self.settings.goal)), file=self.root / suite.path
            )
        )

    def manifest(self, lineup: Lineup, *, reports: Path) -> tuple[Manifest, Manifest | None]:
        """The manifest of the run about to begin, and the unfinished run it continues, if any."""
        suites = tuple(self.suites[name] for name in self.selected)
        needs = {suite.name: ", ".join(self.lacking(suite)) for suite in suites}
        plan = Plan(
            suites=suites,
            selected={suite.name: self.cases(suite) for suite in suites if not needs[suite.name]},
            models={role: seat.facts() for role, seat in self.seats.items()},
            code=self.code,
            goal=self.settings.goal,
            may_stop=self.settings.early_stop,
        )
        manifest = new_manifest(
            plan,
            root=self.settings.root,
            skipped={name: f"needs {need}" for name, need in needs.items() if need},
            job=lineup.job,
            data=lineup.data,
            reports=reports,
        )
        earlier = resumable(reports, manifest.plan) if self.settings.cache else None
        manifest = continued(manifest, earlier) if earlier else manifest
        if plan.may_stop:
            from harness.evals import with_looks

            manifest = with_looks(manifest)
        kin = kinship(self.seats, lineup.job) if manifest.judging else ()
        margins = self.margin_warnings(self.selected)
        warnings = (*margins, *kin, *changes_since_last(reports, manifest))
        retirements = retirements_of(self.seats, ask_shutdown_dates(self.seats), job=lineup.job)
        return replace(manifest, warnings=warnings, retirements=retirements), earlier
