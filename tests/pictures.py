"""Pictures in the docs that are drawn from tables in the code. To draw them anew: python -m tests.pictures."""

from __future__ import annotations

import re
from pathlib import Path

from pydist.core.handshake_states import ACCEPTOR_BEGINS, ENDS, INITIATOR_BEGINS, TRANSITIONS, State

PAGE = Path(__file__).parent.parent / "docs/wire.md"
_BLOCK = re.compile(r"```mermaid\nstateDiagram-v2\n.*?```\n", re.DOTALL)


def handshake_states() -> str:
    """The states of a handshake, as a diagram that GitHub draws."""
    arrows = [f"[*] --> {ACCEPTOR_BEGINS.name}: acceptor", f"[*] --> {INITIATOR_BEGINS.name}: initiator"]
    for (state, cause), following in TRANSITIONS.items():
        arrows += [f"{state.name} --> {end.name}: {cause.name}" for end in State if end in following]
    arrows += [f"{end.name} --> [*]" for end in State if end in ENDS - {State.FAILED}]
    lines = ["```mermaid", "stateDiagram-v2", *[f"    {arrow}" for arrow in arrows], "```"]
    return "\n".join(lines) + "\n"


def drawn() -> str:
    """The page as it should be."""
    return _BLOCK.sub(lambda _: handshake_states(), PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(drawn())
