"""The spec's table of routes: what is served is in it, and what comes back has the members that it names."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from tests.support.server import ROOT, serving
from tests.support.wire import Answer

from tuppence_server.edge.http import Api

SPEC = (ROOT / "protocol" / "README.md").read_text("utf-8").partition("## HTTP beside it")[2]
ROW = re.compile(r"^\| (`(?:GET|POST|DELETE).*?) \|(.*?) \| (.*?) \|$", re.MULTILINE)
ROWS = {
    route: answer for routes, _, answer in ROW.findall(SPEC) for route in re.findall(r"`(\w+ /\S+)`", routes)
}


def members(route: str) -> set[str]:
    """The members of the answer, as `{a, b: [{c, d}]}` names them; inner ones too."""
    found = re.search(r"`(\{.*?\})`", ROWS[route])
    return set(re.findall(r"\w+", found[1])) if found else set()


def told(value: Any) -> set[str]:
    """The members of an answer, but those of a person, which the spec tells once for all."""
    if isinstance(value, list):
        return set().union(*map(told, value))
    if not isinstance(value, dict):
        return set()
    return set(value) | set().union(*(told(item) for name, item in value.items() if name != "user"))


def test_every_route_is_in_the_spec() -> None:
    routes = {
        f"{method} {route.path}"
        for route in Api(*[MagicMock()] * 12).app().routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    not_here = {"POST /v1/admin", "GET /v1/admin/statement", "GET /v1/ws"}
    assert set(ROWS) == routes - not_here


async def test_answers_have_the_members_that_the_spec_names(tmp_path: Path) -> None:
    async with serving(tmp_path, REGISTRATION="open") as server:

        async def ask(route: str, status: int, body: Any = None, token: str | None = None) -> Answer:
            method, path = route.split(" ")
            answer = await server.http(method, path.replace("{session}", "current"), body, token)
            assert answer.status == status, answer
            return answer

        who = {"handle": "dora", "password": "correct horse"}
        made = await ask("POST /v1/users", 201, who | {"name": "Dora"})
        assert told(made.json) == members("POST /v1/users")
        assert set(made.json["user"]) == {"id", "handle", "name"}
        login = await ask("POST /v1/sessions", 201, who | {"device": "laptop"})
        assert told(login.json) == members("POST /v1/sessions")
        token = login.json["token"]
        listed = await ask("GET /v1/sessions", 200, None, token)
        assert told(listed.json) == members("GET /v1/sessions")
        socket = await server.dial()
        await socket.hello({"token": token})
        assert (await ask("DELETE /v1/sessions/{session}", 204, None, token)).body == b""
        assert (await socket.expect(kind="bye"))["body"]["code"] == 4500
        await ask("GET /v1/sessions", 401, None, token)
        again = (await ask("POST /v1/sessions", 201, who)).json
        gone = await server.http("DELETE", f"/v1/sessions/{login.json['session']}", None, again["token"])
        assert gone.status == 204
        other = await server.person("emil")
        theirs = await server.http("DELETE", f"/v1/sessions/{other.session}", None, again["token"])
        assert (theirs.status, theirs.json["code"]) == (404, "not_found")
