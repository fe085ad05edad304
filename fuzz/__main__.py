"""Feed the targets with what atheris finds: `python -m fuzz terms -max_total_time=600`; without a target, each in turn.

Other arguments are libFuzzer's. Inputs that led somewhere new are kept in fuzz/corpus, those that failed in fuzz/found.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

atheris: Final[Any] = import_module("atheris")  # it has an environment of its own
with atheris.instrument_imports(include=["pydist", "msgpack"]):
    from fuzz.targets import TARGETS

HERE: Final = Path(__file__).parent
OPTIONS: Final = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", f"-artifact_prefix={HERE}/found/")
TURN: Final = 60
"""Seconds for each target when all are tried in turn."""


def fuzz(name: str, options: list[str]) -> None:
    """Does not return."""
    corpus = HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    (HERE / "found").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], str(corpus), *OPTIONS, *options], TARGETS[name])
    atheris.Fuzz()


def main() -> None:
    match sys.argv[1:]:
        case [name, *options] if name in TARGETS:
            fuzz(name, options)
        case [name, *_] if not name.startswith("-"):
            raise SystemExit(f"no such target: {name}; there are {', '.join(TARGETS)}")
        case options:
            for name in TARGETS:
                subprocess.run(
                    [sys.executable, "-m", "fuzz", name, f"-max_total_time={TURN}", *options],
                    cwd=HERE.parent,
                    check=True,
                )


main()
