"""`pytest suites/`: the hooks. Everything heavy is imported when a suite is really there.

The plugin is loaded in every pytest session of the environment, so this module imports pytest alone.
"""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.pytest_plugin.session import HarnessSession

# The second is collected to be refused with a word on its name, which is better than silence.
ENDINGS = (".suite.yaml", ".suite.yml")
SESSION: pytest.StashKey[HarnessSession] = pytest.StashKey()

# Modes of xdist that deal the items of one file out to several workers.
SCATTERING = ("load", "loadgroup", "worksteal")

# Letter and colour of a case's change in pytest's progress; a kept case is an ordinary pass.
STATUS = {"improved": ("i", "green"), "regressed": ("r", "red"), "missed": ("m", "yellow")}

FLAGS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "--candidate",
        {"metavar": "MODEL", "help": "the model to judge: an id, a configured name, or 'latest'"},
    ),
    ("--base", {"metavar": "MODEL", "help": "the untuned model it is compared with"}),
    (
        "--promoted",
        {
            "metavar": "MODEL",
            "help": "the model in production, the gate's reference (default: the one on record; 'none')",
        },
    ),
    ("--judge", {"metavar": "MODEL", "help": "the model that judges answers: any endpoint's"}),
    ("--embedding", {"metavar": "MODEL", "help": "the model that gives vectors to scorers by embedding"}),
    ("--job", {"metavar": "ID", "help": "the fine-tuning job of the candidate: its curve is shown"}),
    (
        "--goal",
        {"metavar": "GOAL", "help": "improvement (default), or migration: can the candidate replace it?"},
    ),
    ("--base-url", {"metavar": "URL", "help": "any OpenAI-compatible endpoint for models named by id"}),
    ("--trials", {"metavar": "K", "type": int, "help": "ask every case K times, whatever its suite says"}),
    (
        "--concurrency",
        {
            "metavar": "N",
            "type": int,
            "help": "requests under way at once (default 32, more where that pays)",
        },
    ),
    (
        "--budget-usd",
        {
            "metavar": "X",
            "type": float,
            "help": "ask nothing if the run would cost more, and stop before it does (exit 2)",
        },
    ),
    ("--reports", {"metavar": "DIR", "help": "where runs are stored (default reports/)"}),
    ("--no-cache", {"action": "store_true", "help": "ask everything anew; the new answers are kept"}),
    (
        "--checkpoints",
        {
            "action": "store_true",
            "help": "ask the suites of every checkpoint of the candidate's job too, and say which to take",
        },
    ),
    (
        "--early-stop",
        {
            "action": "store_true",
            "help": "ask a quarter at a time, and stop where the rest would change nothing",
        },
    ),
    (
        "--batch",
        {
            "action": "store_true",
            "help": "ask through the Batch API: half the price, within a day; Ctrl-C leaves the batches at work",
        },
    ),
    ("--estimate", {"action": "store_true", "help": "print requests, tokens and cost; ask nothing"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One group of options; names of the contract with users."""
    group = parser.getgroup("harness", "harness: does the fine-tuned model ship?")
    for name, settings in FLAGS:
        group.addoption(name, dest=f"harness_{name[2:].replace('-', '_')}", default=None, **settings)


def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep a suite on one xdist worker, or every worker would ask for all of it; an estimate needs none."""
    mode = getattr(config.option, "dist", "no")
    if mode != "no" and config.option.harness_estimate:
        config.option.dist = "no"
    elif mode in SCATTERING and suite_files(config):
        config.option.dist = "loadfile"


def suite_files(config: pytest.Config) -> list[Path]:
    """Suite files at or under the paths of the command line that pytest will collect."""
    found: set[Path] = set()
    for argument in config.args:
        path = config.invocation_params.dir / str(argument).split("::", 1)[0]
        if path.is_dir():
            found.update(_collected(path, config, above=frozenset()))
        elif path.name.endswith(ENDINGS) and path.is_file():
            found.add(path)
    return sorted(found)


def _collected(folder: Path, config: pytest.Config, *, above: frozenset[Path]) -> Iterator[Path]:
    """Suite files below a folder, without what --ignore, norecursedirs and their like leave out."""
    real = folder.resolve()
    if real in above:  # a link to a folder it is in
        return
    for path in folder.iterdir():
        is_suite = path.name.endswith(ENDINGS)
        is_folder = not is_suite and path.is_dir()
        if not (is_suite or is_folder) or config.hook.pytest_ignore_collect(
            collection_path=path, config=config
        ):
            continue
        if is_folder:
            yield from _collected(path, config, above=above | {real})
        elif path.is_file():
            yield path


def harness_session(config: pytest.Config) -> HarnessSession:
    """The session's one state, made when it is first needed."""
    if SESSION not in config.stash:
        with uncollected():
            from harness.pytest_plugin.session import HarnessSession
        config.stash[SESSION] = HarnessSession(config)
    return config.stash[SESSION]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Load modules without looking for garbage among what stays to the end: then, and whenever it is looked for later."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite file is a node of its own kind."""
    if not file_path.name.endswith(ENDINGS):
        return None
    with uncollected():
        from harness.pytest_plugin.items import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """What the collected suites cannot show, told before anybody is asked, and with `--collect-only` too."""
    return harness_session(config).cautions(items) if SESSION in config.stash else []


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Before the first item: models resolved, server started, candidate trained, run opened."""
    broken = session.testsfailed and not session.config.option.continue_on_collection_errors
    if session.config.option.collectonly or broken:
        return None
    if SESSION not in session.config.stash and not session.config.option.harness_estimate:
        return None
    return harness_session(session.config).begin(session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Ask for this item's suite and the next one's before waiting."""
    if SESSION in item.config.stash:
        from harness.pytest_plugin.items import SuiteItem
        from harness.pytest_plugin.readiness import load_conclusion

        for one in (item, nextitem):
            if isinstance(one, SuiteItem):
                harness_session(item.config).prefetch(one.suite)
        if not hasattr(item.config, "workerinput"):  # xdist's controller concludes
            load_conclusion()
    outcome = yield
    if SESSION in item.config.stash and (reason := harness_session(item.config).stop_reason):
        item.session.shouldfail = reason
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the item's results on its report as plain text: it survives the way from an xdist worker."""
    report = yield
    if SESSION in item.config.stash:
        from harness.pytest_plugin.items import SuiteItem, attach
        from harness.pytest_plugin.junit import properties_of

        attach(item, report)
        if isinstance(item, SuiteItem) and report.when == "teardown":
            report.user_properties += properties_of(item)
    return report


def pytest_report_teststatus(
    report: pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """A case that need not pass says how it changed: improved, regressed, missed (both wrong)."""
    change = getattr(report, "harness_change", None)
    if report.when != "call" or not report.passed or change not in STATUS:
        return None
    letter, colour = STATUS[change]
    return change, letter, (change.upper(), {colour: True})


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """The xdist controller prepares once; its workers take the lineup over."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    if suite_files(config) and not config.option.collectonly:
        from harness.pytest_plugin.trouble import as_collection_errors

        with as_collection_errors():
            state = harness_session(config)
        node.workerinput["harness"] = state.handed_over()  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: object, ids: list[str]) -> None:
    """The first worker's collection tells the controller which cases were selected."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    if SESSION in config.stash:
        from harness.pytest_plugin.readiness import load_conclusion

        harness_session(config).open_collected(ids)
        load_conclusion()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A worker that stopped says why, before xdist makes an interruption of it."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    reason = getattr(node, "workeroutput", {}).get("shouldfail")
    if SESSION in config.stash and reason:
        harness_session(config).worker_failed(str(reason))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Close the run, compute the verdict, write the page, stop the server."""
    if SESSION in session.config.stash:
        from harness.pytest_plugin.readiness import leave_no_garbage

        harness_session(session.config).finish(session, exitstatus)
        leave_no_garbage(session.items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, the verdict, the path of the page."""
    if SESSION in terminalreporter.config.stash:
        harness_session(terminalreporter.config).summarise(terminalreporter)


@pytest.fixture(scope="session")
def candidate(request: pytest.FixtureRequest) -> object:
    """The candidate model, for suites written in Python: `candidate.ask("...")`."""
    return harness_session(request.config).asker("candidate", items=request.session.items)


@pytest.fixture(scope="session")
def base(request: pytest.FixtureRequest) -> object:
    """The base model; skips when the run has none."""
    return harness_session(request.config).asker("base", items=request.session.items)


@pytest.fixture(scope="session")
def promoted(request: pytest.FixtureRequest) -> object:
    """The model now in production; skips when the run has none."""
    return harness_session(request.config).asker("promoted", items=request.session.items)


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> object:
    """The judge model; skips when the run has none."""
    return harness_session(request.config).asker("judge", items=request.session.items)


@pytest.fixture
def score(request: pytest.FixtureRequest) -> object:
    """`score(answer, {"type": "length", ...}, expected=...)`: a Score that lands in the run's results."""
    return harness_session(request.config).scorer_of(request.node)
