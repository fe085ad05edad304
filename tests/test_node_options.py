from __future__ import annotations

import inspect
from typing import Any

import pytest

from pydist import Node, NodeStartError, StaticDiscovery, WireGuardUnderlay
from pydist.node_options import NodeOptions


def test_the_options_for_type_checkers_are_those_that_a_node_has() -> None:
    keywords = [each for each in inspect.signature(Node).parameters.values() if each.kind is each.KEYWORD_ONLY]
    assert {each.name: str(each.annotation) for each in keywords} == {
        name: each.__forward_arg__ for name, each in NodeOptions.__annotations__.items()
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"underlay": "wg0"}, "underlay is an object such as WireGuardUnderlay(\"wg0\"), not 'wg0'"),
        ({"underlay": WireGuardUnderlay}, 'underlay is an object such as WireGuardUnderlay("wg0"), not <class'),
        ({"discovery": ["b@h"]}, "discovery is an object such as StaticDiscovery([\"b@10.0.0.2\"]), not ['b@h']"),
        ({"discovery": StaticDiscovery}, 'discovery is an object such as StaticDiscovery(["b@10.0.0.2"]), not <class'),
    ],
)
def test_a_name_a_list_or_a_class_in_place_of_an_object_is_refused_with_what_to_write(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(NodeStartError) as caught:
        Node("a@127.0.0.1", cookie="c", **options)
    assert str(caught.value).startswith(says)
