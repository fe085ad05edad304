from __future__ import annotations

import pytest

from benchmarks.cases import CASES, UnknownCase, cases_named, megabytes_per_second


def test_the_cases_are_those_that_the_project_promises() -> None:
    assert [case.name for case in CASES] == [
        "local_pingpong_per_s",
        "local_oneway_per_s",
        "local_call_per_s",
        "spawn_per_s",
        "spawn_monitor_exit_per_s",
        "process_bytes",
        "remote_rtt_us",
        "remote_call_us",
        "remote_rpc_us",
        "remote_oneway_int_per_s",
        "remote_oneway_map_per_s",
        "remote_oneway_message_per_s",
        "remote_oneway_1k_per_s",
        "remote_1m_MB_per_s",
        "remote_call_50_per_s",
    ]


def test_cases_are_chosen_by_name_and_keep_the_order_of_the_table() -> None:
    assert [case.name for case in cases_named("spawn_per_s, local_call_per_s")] == ["local_call_per_s", "spawn_per_s"]
    assert cases_named(None) == list(CASES)


def test_an_unknown_case_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(UnknownCase, match=r"no case 'spwan'; the cases are .*spawn_per_s"):
        cases_named("spwan")


def test_a_megabyte_has_a_million_bytes() -> None:
    assert megabytes_per_second(1000, 10**9) == pytest.approx(1048.576)  # pyright: ignore[reportUnknownMemberType]  # approx is half typed
