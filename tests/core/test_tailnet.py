from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.tailnet import checked_allow, machine_named, may_come_in, trouble_of
from pydist.errors import NodeStartError, Unreachable
from pydist.wire.local_api import STATES, Machine, Tailnet

ALPHA = Machine("alpha.tail1234.ts.net", ("100.64.0.2", "fd7a:115c:a1e0::2"), "alpha", ("tag:sfu",))
BETA = Machine("beta.tail1234.ts.net", ("100.64.0.3",), "Big Box", ("tag:ops", "tag:sfu"))
GAMMA = Machine("gamma.tail1234.ts.net", ("100.64.0.4",), "same")
DELTA = Machine("delta.tail1234.ts.net", ("100.64.0.5",), "same")
SHARED = Machine("beta.other.ts.net", ("100.64.0.6",), "shared")
NET = Tailnet("Running", ALPHA.addresses, ALPHA, "tail1234.ts.net", (SHARED, BETA, GAMMA, DELTA))


@pytest.mark.parametrize(
    ("host", "machine"),
    [
        ("beta", BETA),
        ("BETA", BETA),
        ("beta.tail1234.ts.net", BETA),
        ("Beta.tail1234.ts.net.", BETA),
        ("100.64.0.3", BETA),
        ("big box", BETA),
        ("beta.other.ts.net", SHARED),
        ("alpha", ALPHA),
        ("fd7a:115c:a1e0:0:0:0:0:2", ALPHA),
    ],
)
def test_a_machine_is_meant_by_its_names_and_addresses(host: str, machine: Machine) -> None:
    assert machine_named(NET, host) == machine


def test_what_a_machine_calls_itself_never_hides_the_name_of_another() -> None:
    liar = Machine("omega.tail1234.ts.net", ("100.64.0.9",), "beta")
    assert machine_named(Tailnet("Running", (), None, "tail1234.ts.net", (liar, BETA)), "beta") == BETA


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("nobody", "no machine of the tailnet has the name or the address nobody: tailscale status lists them"),
        ("same", r"2 machines .* call themselves same \(delta\.tail1234\.ts\.net, gamma\.tail1234\.ts\.net\)"),
        ("10.0.0.1", "no machine"),
    ],
)
def test_where_nobody_is_meant_or_nobody_knows_who_the_error_says_so(host: str, says: str) -> None:
    with pytest.raises(Unreachable, match=says):
        machine_named(NET, host)


@pytest.mark.parametrize(
    ("allow", "addresses"),
    [
        (None, ["100.64.0.3", "100.64.0.4", "100.64.0.5", "100.64.0.6"]),
        (["tag:ops"], ["100.64.0.3"]),
        (["tag:none"], []),
        (["beta"], ["100.64.0.3"]),
        (["beta.other.ts.net", "100.64.0.4"], ["100.64.0.4", "100.64.0.6"]),
        (["same", "big box"], []),
    ],
)
def test_those_may_come_in_that_are_listed_by_tag_name_or_address_and_nobody_by_what_it_calls_itself(
    allow: Iterable[str] | None, addresses: list[str]
) -> None:
    checked = None if allow is None else checked_allow(allow)
    assert sorted(may_come_in(NET, checked) - set(ALPHA.addresses)) == addresses
    assert may_come_in(NET, checked) >= set(ALPHA.addresses)


@pytest.mark.parametrize(
    ("allow", "says"),
    [
        ("tag:ops", "not the string 'tag:ops'"),
        ([], "nobody could connect"),
        (["b@beta"], "'b@beta' is the name of a node"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(allow: Iterable[str], says: str) -> None:
    with pytest.raises(NodeStartError, match=says):
        checked_allow(allow)


def test_each_state_but_running_has_its_remedy_and_running_without_an_address_is_trouble_too() -> None:
    assert trouble_of(NET) is None
    for state in STATES - {"Running"}:
        assert f"in the state {state} (" in (trouble_of(Tailnet(state)) or "")
    assert trouble_of(Tailnet("Running")) == "tailscaled is running, and has no address yet"


names = st.sampled_from(["alpha", "beta", "gamma", "same", "x"])


@given(st.lists(st.tuples(names, names), unique_by=lambda pair: pair[0], max_size=5), names)
def test_whatever_machines_call_themselves_a_name_of_the_tailnet_means_its_machine(
    pairs: list[tuple[str, str]], wanted: str
) -> None:
    machines = [
        Machine(f"{label}.t.net", (f"100.64.0.{number}",), calls_itself)
        for number, (label, calls_itself) in enumerate(pairs)
    ]
    net = Tailnet("Running", (), None, "t.net", tuple(machines))
    of_label = [machine for machine in machines if machine.label == wanted]
    of_host = [machine for machine in machines if machine.host_name == wanted]
    if of_label or len(of_host) == 1:
        assert machine_named(net, wanted) == (of_label or of_host)[0]
    else:
        with pytest.raises(Unreachable):
            machine_named(net, wanted)
