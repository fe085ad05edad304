"""`python -m benchmarks`: pydist beside the BEAM; README.md in this folder says what is measured and how to read it."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import mesh, scaling, transfer
from benchmarks.beam import PROGRAMS, beam_side, is_installed
from benchmarks.cases import UnknownCase, cases_named
from benchmarks.children import ChildFailed
from benchmarks.harness import Side, run_cases, table, write_results
from benchmarks.pydist_side import pydist_side

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK_MESHES: Final = (2, 4)
QUICK_SIZES: Final = (10, 1_000)
RESULTS: Final = Path(__file__).parent / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parse(arguments)
    try:
        return _bench(asked)
    except (UnknownCase, ChildFailed) as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _bench(asked: argparse.Namespace) -> int:
    cases = cases_named(asked.cases)
    with ExitStack() as stack:
        sides: list[Side] = [stack.enter_context(pydist_side())]
        if _with_beam(asked):
            sides.append(stack.enter_context(beam_side()))
        results = run_cases(cases, sides, rounds=asked.rounds, quick=asked.quick)
    print(table(results))
    if not asked.cases:
        print(f"\n{scaling.table(QUICK_SIZES if asked.quick else scaling.SIZES)}")
        print(f"\n{mesh.table(QUICK_MESHES if asked.quick else mesh.SIZES)}\n", flush=True)
        transfer.main()
    output = asked.output or (None if asked.quick or asked.cases else RESULTS)
    if output is not None:
        write_results(results, output)
        print(f"written to {output}", file=sys.stderr)
    return 0


def _with_beam(asked: argparse.Namespace) -> bool:
    if asked.no_beam:
        return False
    if not is_installed():
        print(
            f"no BEAM to compare with: {', '.join(PROGRAMS)} must be on the PATH (Debian: erlang-base)", file=sys.stderr
        )
        return False
    return True


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="pydist beside the BEAM")
    parser.add_argument("--cases", metavar="A,B", help="only these cases")
    parser.add_argument("--rounds", type=_positive, default=3, help="measurements per case and side (default: 3)")
    parser.add_argument("--quick", action="store_true", help="small counts: shows that it runs, not how fast")
    parser.add_argument("--no-beam", action="store_true", help="pydist alone")
    parser.add_argument(
        "--output", type=Path, help="where the JSON goes (default: results.json beside this file, after a whole run)"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least one round, not {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
