from __future__ import annotations

from pydist.core.handshake_states import ACCEPTOR_BEGINS, ENDS, INITIATOR_BEGINS, TRANSITIONS, State
from tests.pictures import PAGE, drawn, handshake_states


def test_the_picture_in_the_docs_is_drawn_from_the_table() -> None:
    assert handshake_states() in PAGE.read_text()
    assert drawn() == PAGE.read_text(), "draw it anew: python -m tests.pictures"


def test_nothing_leads_out_of_an_end_and_every_state_is_reached() -> None:
    left = {state for state, _ in TRANSITIONS}
    reached = {ACCEPTOR_BEGINS, INITIATOR_BEGINS, State.FAILED}.union(*TRANSITIONS.values())
    assert (left & ENDS, left | ENDS, reached) == (set(), set(State), set(State))
