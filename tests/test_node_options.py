from __future__ import annotations

import inspect

from pydist import Node
from pydist.node_options import NodeOptions


def test_the_options_for_type_checkers_are_those_that_a_node_has() -> None:
    keywords = [each for each in inspect.signature(Node).parameters.values() if each.kind is each.KEYWORD_ONLY]
    assert {each.name: str(each.annotation) for each in keywords} == {
        name: each.__forward_arg__ for name, each in NodeOptions.__annotations__.items()
    }
