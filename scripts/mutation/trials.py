"""Which mutants the tests notice: one pytest session collects the tests, then forks for every mutant.

Starting pytest takes a second, a forked trial some hundredths: that is the difference between hours and minutes. A trial runs only
the tests that call the mutated function, first those that noticed its neighbours, then the quick ones, and ends with the first failure.
"""

import contextlib
import functools
import gc
import importlib
import inspect
import itertools
import os
import pickle
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import pytest
from generation import Mutant
from switching import SWITCH, Remembering

Fate = Literal["killed", "timeout", "survived", "untested"]
Tell = Callable[[Mutant, Fate, str], None]

# A trial's test may take this many times its own time without a mutant, and seconds more: of the processor, and of the clock.
PATIENCE, GRACE_S = 8, 5.0
CLOCK_PATIENCE, CLOCK_GRACE_S = 40, 100.0
# A mutant that no test has noticed after so long counts as not noticed.
LONGEST_TRIAL_S = 6.0
# A mutant that fills the memory fails like any other.
MEMORY_LIMIT = 3 * 2**30


@dataclass
class CleanRun:
    """What the tests do without a mutant: which call which function, how long each takes, and which fail."""

    tests: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[int, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def merge(self, other: "CleanRun") -> None:
        """Take in what other tests do."""
        for function, places in other.tests.items():
            self.tests[function] |= places
        self.seconds |= other.seconds
        self.failed += other.failed
        self.imported += other.imported


class Trials:
    """A pytest plugin that tries mutants in place of running the tests once."""

    def __init__(self, mutants: Sequence[Mutant], *, children: int, slowest_s: float, tell: Tell) -> None:
        self.mutants = mutants
        self.children = children
        self.slowest_s = slowest_s
        self.clean = CleanRun()
        self.tell = tell
        self._items: Sequence[pytest.Item] = ()
        self._in_trial: int | None = None
        self._fixture_calls: dict[int, set[str]] = defaultdict(set)
        self._kills: dict[str, Counter[int]] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """The same examples in every trial, and none made smaller once one has failed."""
        # Not above: pytest refuses plugins that were imported before it.
        from hypothesis import Phase, settings  # noqa: PLC0415

        steady = settings(derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
        settings.register_profile("mutation", steady)
        settings.load_profile("mutation")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        """A fixture that several tests share is set up for the first: its calls are all of theirs."""
        before = SWITCH.called
        SWITCH.called = set() if before is not None else None
        try:
            return (yield)
        finally:
            if before is not None and SWITCH.called is not None:
                self._fixture_calls[id(fixturedef)] |= SWITCH.called
                SWITCH.called = before | SWITCH.called

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first failure ends a trial."""
        if not report.failed:
            return
        if self._in_trial is None:
            self.clean.failed.append(report.nodeid)
        else:
            os.write(self._in_trial, report.nodeid.encode())
            os._exit(1)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once without a mutant, then try all mutants."""
        self._items = session.items
        parts = [
            _forked(functools.partial(self._run_clean, part, self.children)) for part in range(self.children)
        ]
        for part in parts:
            self.clean.merge(_result(part))
        for test in self.clean.failed:
            print(f"left out, because it fails without a mutant too: {test}", flush=True)
        _warm(self.clean.imported)
        place_of = {item.nodeid: place for place, item in enumerate(session.items)}
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant in self.mutants:
            if not self.clean.tests[mutant.function]:
                self.tell(mutant, "untested", "")
                continue
            if len(running) == self.children:
                self._take_one(running, place_of)
            child, reading = self._begin(mutant)
            running[child] = (mutant, reading)
        while running:
            self._take_one(running, place_of)
        return True

    def _run_clean(self, part: int, parts: int) -> CleanRun:
        _silence()
        for module in {mutant.module for mutant in self.mutants} & sys.modules.keys():
            _forget(module)
        SWITCH.called = set()
        _load()
        places = range(len(self._items) * part // parts, len(self._items) * (part + 1) // parts)
        for place in places:
            item, later = self._items[place], self._items[place + 1] if place + 1 in places else None
            SWITCH.called, failures, loaded = set(), len(self.clean.failed), len(sys.modules)
            started = time.process_time()
            item.ihook.pytest_runtest_protocol(item=item, nextitem=later)
            self.clean.seconds[place] = seconds = time.process_time() - started
            # What a test imports is there already when it is tried, so that then it is quicker.
            is_slow = seconds > self.slowest_s and len(sys.modules) == loaded
            if not is_slow and len(self.clean.failed) == failures:
                self._note_calls(place)
        SWITCH.called = None
        self.clean.imported = list(sys.modules)
        return self.clean

    def _note_calls(self, place: int) -> None:
        definitions = self._items[place]._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        shared = (self._fixture_calls[id(each)] for group in definitions for each in group)
        for function in (SWITCH.called or set()).union(*shared):
            self.clean.tests[function].add(place)

    def _tests_for(self, mutant: Mutant) -> Iterator[int]:
        """The tests that call what is mutated, the most promising first, as long as a trial may take."""
        kills, seconds = self._kills[mutant.function], self.clean.seconds
        order = sorted(self.clean.tests[mutant.function], key=lambda place: (-kills[place], seconds[place]))
        spent = itertools.accumulate(seconds[place] for place in order)
        return (place for place, total in zip(order, spent, strict=True) if total <= LONGEST_TRIAL_S)

    def _begin(self, mutant: Mutant) -> tuple[int, int]:
        """Fork a trial; its process, and where to read which test noticed the mutant."""
        places = list(self._tests_for(mutant))
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.close(reading)
            self._in_trial = writing
            self._try(mutant, places)
        os.close(writing)
        return child, reading

    def _try(self, mutant: Mutant, places: Sequence[int]) -> NoReturn:
        SWITCH.module, SWITCH.mutant = mutant.module, mutant.name
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        _silence()
        _forget(mutant.module)
        items = [self._items[place] for place in places]
        try:
            for item, later, place in zip(items, [*items[1:], None], places, strict=True):
                seconds = self.clean.seconds[place]
                signal.setitimer(signal.ITIMER_PROF, GRACE_S + PATIENCE * seconds)
                signal.setitimer(signal.ITIMER_REAL, CLOCK_GRACE_S + CLOCK_PATIENCE * seconds)
                item.ihook.pytest_runtest_protocol(item=item, nextitem=later)
        except BaseException:  # noqa: BLE001 - a mutant may break pytest itself through the harness's plugin
            os._exit(1)
        os._exit(0)

    def _take_one(self, running: dict[int, tuple[Mutant, int]], place_of: dict[str, int]) -> None:
        child, status = os.wait()
        mutant, reading = running.pop(child)
        with os.fdopen(reading, "rb") as pipe:
            test = pipe.read().decode()
        ended = os.waitstatus_to_exitcode(status)
        if test in place_of:
            self._kills[mutant.function][place_of[test]] += 1
        fate: Fate = "survived" if ended == 0 else "timeout" if -ended in _TIMERS else "killed"
        self.tell(mutant, fate, test)


_TIMERS = (signal.SIGPROF, signal.SIGALRM)


def _forked(work: Callable[[], CleanRun]) -> int:
    """Begin something in a process of its own, so that nothing it does stays in this one; where to read what it returns."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
        os._exit(0)
    os.close(writing)
    return reading


def _result(reading: int) -> CleanRun:
    with os.fdopen(reading, "rb") as pipe:
        result: CleanRun = pickle.load(pipe)
    os.wait()
    return result


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _warm(imported: Iterable[str]) -> None:
    """Load here once what every trial would load anew."""
    for name in imported:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    _load()
    gc.collect()
    gc.freeze()


def _load() -> None:
    """Fill the caches of what is read from files: models, tables, encodings."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "harness":
            for value in list(vars(module).values()):
                if hasattr(value, "cache_info") and not inspect.signature(value).parameters:
                    with contextlib.suppress(Exception):
                        value()
    tokens = importlib.import_module("harness.dataset.tokens")
    for encoding in tokens.ENCODINGS:
        tokens.count_tokens("a", encoding=encoding)


def _forget(module: str) -> None:
    """Empty a module's caches: what is in them was computed without a mutant."""
    for value in vars(sys.modules[module]).values():
        if isinstance(value, Remembering):
            value.cache_clear()
