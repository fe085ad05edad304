"""What a process can ask of its own application, and of others: its name and its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from pydist import (
    Application,
    ApplicationController,
    ApplicationError,
    DynamicSupervisor,
    Pid,
    StartError,
    Supervisor,
    child,
    ensure_all_started,
    get_application,
    get_env,
    receive,
    self_pid,
    send,
    spawn,
    start_child,
)
from tests.helpers import in_process


class Shop(Application):
    name = "shop"
    applications = ("stock",)
    env = {"port": 8080, "host": "0.0.0.0"}  # noqa: RUF012, S104  # as users write it

    async def start(self) -> Pid:
        return await Supervisor.start_link([child(DynamicSupervisor, name="guests")], name="shop")


class Stock(Application):
    name = "stock"
    env = {"port": 1234}  # noqa: RUF012  # as users write it


async def tell(told: Pid, path: tuple[str, ...] = ()) -> None:
    """What this process sees, and what a process sees that it spawns, and so on."""
    send(told, (*path, get_application(), get_env("port"), get_env("port", application="stock")))
    if len(path) < 2:
        spawn(tell, told, (*path, "spawned"))


@in_process
async def test_what_a_process_spawns_is_of_its_application_and_so_on() -> None:
    await ApplicationController.start_link([Shop, Stock])
    await ensure_all_started("shop")

    await start_child("guests", child(tell, self_pid()))

    assert [await receive() for _ in range(3)] == [
        ("shop", 8080, 1234),
        ("spawned", "shop", 8080, 1234),
        ("spawned", "spawned", "shop", 8080, 1234),
    ]


@in_process
async def test_who_is_of_no_application_says_whose_value_is_meant() -> None:
    await ApplicationController.start_link([Shop, Stock])

    assert get_application() is None
    assert get_env("port", application="shop") == 8080
    with pytest.raises(ApplicationError, match=rf"{self_pid()} is of no application: say whose 'port' is meant"):
        get_env("port")


@in_process
async def test_what_is_configured_comes_before_the_defaults_and_the_callbacks_have_it() -> None:
    seen: list[Any] = []

    class Looks(Application):
        name = "looks"
        env = {"port": 1, "host": "here"}  # noqa: RUF012  # as users write it

        async def start(self) -> None:
            seen.append((dict(self.env), get_env("port"), get_env("more")))

    await ApplicationController.start_link([Looks, Stock], {"looks": {"port": 2, "more": True}})
    await ensure_all_started("looks")

    assert seen == [({"port": 2, "host": "here", "more": True}, 2, True)]
    assert (Looks.env, get_env("port", application="stock")) == ({"port": 1, "host": "here"}, 1234)


@in_process
async def test_a_value_that_is_not_there_is_the_default_or_an_error() -> None:
    await ApplicationController.start_link([Stock])

    assert get_env("colour", "red", application="stock") == "red"
    assert get_env("colour", None, application="stock") is None
    with pytest.raises(ApplicationError, match="the application 'stock' has no 'colour' in its env, and no default"):
        get_env("colour", application="stock")
    with pytest.raises(ApplicationError, match="application 'shop': not_loaded"):
        get_env("port", 5, application="shop")


@in_process
async def test_nobody_changes_the_configuration_by_mistake() -> None:
    class Changes(Application):
        name = "changes"
        env = {"port": 1}  # noqa: RUF012  # as users write it

        async def start(self) -> None:
            env: Any = self.env
            env["port"] = 5

    await ApplicationController.start_link([Changes])
    with pytest.raises(StartError, match="'mappingproxy' object does not support item assignment"):
        await ensure_all_started("changes")
