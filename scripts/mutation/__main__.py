"""How many planted faults the tests of verdicts, scorers and token counts notice.

    python scripts/mutation [--sample N] [--again] [FILE ...]

Prints the share of mutants that a test noticed, by module and in all, and writes the others into `mutants/survivors.txt`.
docs/quality.md explains the figures.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import pytest
from generation import Mutant, drawn, planted
from results import Results, interval
from trials import Trials

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "mutants"
SCOPE = (
    "harness/verdict/**/*.py",
    "harness/scorers/**/*.py",
    *(f"harness/dataset/{name}.py" for name in ("billing", "cost", "lengths", "limits", "model_names")),
    *(f"harness/dataset/{name}.py" for name in ("pricing", "tallies", "tokens", "tools")),
)
TESTS = (
    "tests/verdict",
    "tests/scorers",
    *(f"tests/dataset/test_{name}.py" for name in ("billing", "checking", "cost", "limits", "official")),
    *(f"tests/dataset/test_{name}.py" for name in ("pricing", "tokens", "tools")),
)
WANTED = 0.85
# Simulations and searches over all inputs: too slow to run for every mutant, and a fault should not need them to be seen.
SLOWEST_S = 1.5


def main() -> int:
    """Make the mutants, try them, print the table; 1 below the wanted score."""
    options = _options()
    # Trials run side by side: threads inside one would fight over the same cores.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    tree = FOLDER / "tree"
    _copy_tree(tree)
    os.chdir(tree)
    # Before the project's own folder: what pytest imports from here on is the mutated copy.
    sys.path.insert(0, str(tree))

    files = sorted(
        {path.relative_to(tree) for pattern in options.files or SCOPE for path in tree.glob(pattern)}
    )
    with Pool(options.children) as pool:
        made = pool.map(partial(planted, root=tree), files, chunksize=1)
    mutants = [mutant for of_file in made for mutant in of_file]
    print(f"{len(mutants):,} mutants in {len(files)} files", flush=True)
    if options.sample:
        mutants = drawn(mutants, count=options.sample, seed=options.seed)
    results = Results(FOLDER / "results.jsonl", keep_noticed=options.again)
    # In random order, so that the score while it runs, and of a run that is stopped, is one of a random part.
    order = random.Random(options.seed).sample(mutants, k=len(mutants))
    _try(
        [mutant for mutant in order if mutant.key not in results.fates],
        results=results,
        options=options,
    )

    print(*results.table(mutants), sep="\n")
    (FOLDER / "survivors.txt").write_text("\n".join(results.survivors(mutants)), encoding="utf-8")
    score = results.noticed(mutants) / len(mutants)
    if options.sample:
        low, high = interval(score, count=len(mutants))
        print(
            f"drawn {len(mutants):,}, seed {options.seed}: between {low:.1%} and {high:.1%} in 95 of 100 draws"
        )
    return 0 if score >= WANTED else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="modules to mutate, from the project's root; default all"
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="try about N mutants, drawn from every module by its share"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument(
        "--tests", nargs="+", default=TESTS, metavar="PATH", help="tests to try them with; default all"
    )
    parser.add_argument(
        "--again", action="store_true", help="keep what the last run saw noticed in unchanged functions"
    )
    parser.add_argument("--children", type=int, default=2, help="trials at once")
    return parser.parse_args()


def _copy_tree(tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _try(mutants: Sequence[Mutant], *, results: Results, options: argparse.Namespace) -> None:
    started, tried = time.monotonic(), 0

    def tell(mutant: Mutant, fate: str, test: str) -> None:
        nonlocal tried
        tried += 1
        results.add(mutant, fate, test)
        if tried % 100 == 0 or tried == len(mutants):
            share = results.noticed(mutants) / len(results.fates)
            print(
                f"{tried:,} of {len(mutants):,} after {time.monotonic() - started:.0f} s: {share:.1%} noticed",
                flush=True,
            )

    trials = Trials(mutants, children=options.children, slowest_s=SLOWEST_S, tell=tell)
    settings = ["-q", "-s", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
    status = pytest.main([*settings, *options.tests], plugins=[trials])
    if status != pytest.ExitCode.OK and tried < len(mutants):
        sys.exit(f"the tests ended with {status!s}")


if __name__ == "__main__":
    sys.exit(main())
