"""Who may do what: every verb of every route, by owner, operator, viewer, stranger and admin.

The routes are those of the OpenAPI document, so one that is added without a rule here fails.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tornado.websocket import WebSocketClientConnection

from mellea_jupyter.testing.people import people_options, token_of
from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.testing.websockets import open_websocket

PEOPLE = {
    "ada": ["staff"], "bob": [], "cleo": ["lab"], "eve": ["class"], "root": ["admins"],
}  # fmt: skip
ROLES = {"owner": "ada", "operator": "cleo", "viewer": "bob", "stranger": "eve", "admin": "root"}
FAILS = """
import os, pathlib
pathlib.Path(os.environ["MELLEA_OUTPUT_DIR"], "out.txt").write_text("0123456789")
print("a line")
raise SystemExit(3)
"""
SLEEPS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class Rule:
    """What each role gets: a status, or one with the error's code."""

    owner: str
    operator: str
    viewer: str
    stranger: str
    admin: str
    json: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    fresh: str = ""  # a thing that is made anew for each role, because the verb removes it


HIDDEN, MAY_NOT = "404 run_not_found", "403 permission_denied"
NO_NOTICE = "404 notice_not_found"


def reads(said: str = "200", **kwargs: Any) -> Rule:
    return Rule(said, said, said, HIDDEN, said, **kwargs)


def operates(said: str, **kwargs: Any) -> Rule:
    return Rule(said, said, MAY_NOT, HIDDEN, said, **kwargs)


def owns(said: str, **kwargs: Any) -> Rule:
    return Rule(said, MAY_NOT, MAY_NOT, HIDDEN, said, **kwargs)


def private(noun: str, said: str = "200", **kwargs: Any) -> Rule:
    """Things that are not shared in this test: their owner's and administrators' alone."""
    hidden = f"404 {noun}_not_found"
    return Rule(said, hidden, hidden, hidden, said, **kwargs)


def everybody(said: str = "200", **kwargs: Any) -> Rule:
    return Rule(said, said, said, said, said, **kwargs)


def admins(said: str = "200", **kwargs: Any) -> Rule:
    return Rule(MAY_NOT, MAY_NOT, MAY_NOT, MAY_NOT, said, **kwargs)


NOBODY = {"kind": "user", "name": "nobody-at-all"}
RULES: dict[tuple[str, str], Rule] = {
    ("get", "/runs"): everybody(),
    ("post", "/runs"): private("asset", "201", json={"asset_id": "{asset_id}"}),
    ("get", "/runs/summary"): everybody(),
    ("post", "/runs/check"): operates("200", json={"retry_of": "{run_id}"}),
    ("get", "/runs/compare"): reads(params={"run_id": ["{run_id}", "{other_id}"]}),
    ("get", "/runs/ws"): everybody("400 bad_request"),
    ("post", "/runs/bulk/create"): private("asset", "201", json={"asset_id": "{asset_id}"}),
    ("post", "/runs/bulk/cancel"): everybody(json={"run_ids": ["{run_id}"]}),
    ("post", "/runs/bulk/delete"): everybody(json={"run_ids": ["{run_id}"]}, fresh="run"),
    ("get", "/runs/{run_id}"): reads(),
    ("patch", "/runs/{run_id}"): owns("200", json={"note": "x"}),
    ("delete", "/runs/{run_id}"): operates("409 illegal_transition"),
    ("post", "/runs/{run_id}/retry"): operates("201", json={}),
    ("post", "/runs/{run_id}/budget"): owns("409 conflict", json={"decision": "stop"}),
    ("get", "/runs/{run_id}/logs"): reads(),
    ("get", "/runs/{run_id}/logs/stream"): reads(),
    ("get", "/runs/{run_id}/artifacts"): reads(),
    ("get", "/runs/{run_id}/artifacts.zip"): reads(),
    ("get", "/runs/{run_id}/artifacts/{artifact_id}"): reads(),
    ("get", "/runs/{run_id}/artifacts/{artifact_id}/preview"): reads(),
    ("post", "/runs/{run_id}/artifacts/{artifact_id}/url"): reads(json={}),
    ("get", "/runs/{run_id}/artifacts/{artifact_id}/signed"): everybody(
        MAY_NOT, params={"link_key": "no signature"}
    ),
    ("post", "/runs/{run_id}/kernel"): owns("409 conflict"),
    ("post", "/runs/{run_id}/share"): owns("200", json={**NOBODY, "role": "viewer"}),
    ("delete", "/runs/{run_id}/share"): owns(
        "404 share_not_found", params={"kind": "user", "name": "never-shared"}
    ),
    ("get", "/runs/{run_id}/shares"): owns("200"),
    ("get", "/runs/{run_id}/audit"): owns("200"),
    ("get", "/runs/{run_id}/metrics"): reads(),
    ("get", "/runs/{run_id}/calls"): reads(),
    ("get", "/runs/{run_id}/calls/{call}/content"): reads("404 call_not_found"),
    ("get", "/runs/{run_id}/loops"): reads(),
    ("get", "/runs/{run_id}/usage"): reads(),
    ("get", "/runs/{run_id}/outputs"): reads(),
    ("get", "/runs/{run_id}/source"): reads(),
    ("get", "/assets"): everybody(),
    ("post", "/assets"): everybody("201", json={"path": "fails.py"}),
    ("get", "/assets/{asset_id}"): private("asset"),
    ("get", "/assets/{asset_id}/runs"): private("asset"),
    ("get", "/assets/{asset_id}/shares"): private("asset"),
    ("post", "/assets/{asset_id}/share"): private("asset", json=NOBODY),
    ("delete", "/assets/{asset_id}/share"): private(
        "asset", "404 share_not_found", params={"kind": "user", "name": "never-shared"}
    ),
    ("get", "/assets/{asset_id}/forecast"): private("asset"),
    ("get", "/datasets"): everybody(),
    ("post", "/datasets"): everybody("201", json={"path": "data.csv"}),
    ("get", "/datasets/{dataset_id}"): private("dataset"),
    ("delete", "/datasets/{dataset_id}"): private("dataset", fresh="dataset"),
    ("get", "/datasets/{dataset_id}/versions"): private("dataset"),
    ("get", "/environments"): everybody(),
    ("post", "/environments"): everybody("201", json={"name": "own box"}),
    ("get", "/environments/{environment_id}"): private("environment"),
    ("patch", "/environments/{environment_id}"): private("environment", json={"memory_mb": 512}),
    ("delete", "/environments/{environment_id}"): private("environment", fresh="environment"),
    ("get", "/models"): everybody(),
    ("get", "/users/me/runs"): everybody(),
    ("get", "/users/me/notification-preferences"): everybody(),
    ("patch", "/users/me/notification-preferences"): everybody(json={}),
    ("post", "/users/me/notification-preferences/test-mail"): everybody(
        "409 mail_not_sent", json={}
    ),
    ("get", "/notifications"): everybody(),
    ("post", "/notifications/read"): everybody(json={"until": "2020-01-01T00:00:00Z"}),
    ("patch", "/notifications/{notice_id}"): Rule(
        "200", NO_NOTICE, NO_NOTICE, NO_NOTICE, NO_NOTICE, json={"read": False}
    ),
    ("get", "/prices"): everybody(),
    ("post", "/prices/reprice"): everybody(json={"dry_run": True}),
    ("get", "/audit"): admins(),
    ("get", "/retention"): everybody(),
    ("post", "/retention/sweep"): admins(json={"dry_run": True}),
    ("get", "/openapi.json"): everybody(),
}


class Site:
    """A server, its people, and a failed run of ada's that is shared."""

    def __init__(self, server: JupyterServer, stack: ExitStack) -> None:
        self.server = server
        self.http = {
            role: stack.enter_context(server.http(token=token_of(server.token, name)))
            for role, name in ROLES.items()
        }
        for client in self.http.values():  # so that their groups are known
            assert client.get("api/runs").status_code == 200
        server.write("fails.py", FAILS)
        server.write("sleeps.py", SLEEPS)
        server.write("data.csv", "a,b\n1,2\n")
        self.run = self.new_run()
        other = self.new_run()
        artifact = self.run["artifacts"][0]
        found = self.http["owner"].get("api/notifications").json()["notifications"]
        self.ids: dict[str, Any] = {
            "run_id": self.run["id"], "other_id": other["id"], "artifact_id": artifact["id"],
            "asset_id": self.run["asset_id"], "call": 1, "notice_id": found[0]["id"],
            "dataset_id": self.make("dataset"), "environment_id": self.make("environment"),
        }  # fmt: skip

    def new_run(self, program: str = "fails.py", *, shared: bool = True) -> dict[str, Any]:
        owner = self.http["owner"]
        run = self.server.create(owner, program)
        if program == "fails.py":
            run = self.server.wait_for(owner, run["id"])
        if shared:
            self.share(run["id"], "user", "bob", "viewer")
            self.share(run["id"], "group", "lab", "operator")
        return run

    def share(self, run_id: str, kind: str, name: str, role: str) -> None:
        body = {"kind": kind, "name": name, "role": role}
        self.http["owner"].post(f"api/runs/{run_id}/share", json=body).raise_for_status()

    def unshare(self, run_id: str, kind: str, name: str) -> None:
        params = {"kind": kind, "name": name}
        reply = self.http["owner"].delete(f"api/runs/{run_id}/share", params=params)
        reply.raise_for_status()

    def make(self, thing: str) -> str:
        owner = self.http["owner"]
        if thing == "run":
            return str(self.new_run()["id"])
        name = uuid.uuid4().hex[:8]
        if thing == "dataset":
            path = self.server.write(f"{name}.csv", "a,b\n1,2\n")
            reply = owner.post("api/datasets", json={"path": path})
        else:
            reply = owner.post("api/environments", json={"name": name, "memory_mb": 256})
        reply.raise_for_status()
        return str(reply.json()["id"])

    def ask(self, role: str, verb: str, path: str, rule: Rule, **replaced: Any) -> httpx.Response:
        """Send the rule's request, with our ids or `replaced` ones."""
        ids = {**self.ids, **replaced}

        def filled(value: Any) -> Any:
            if isinstance(value, str):
                return value.format(**ids)
            if isinstance(value, list):
                return [filled(each) for each in value]
            if isinstance(value, dict):
                return {name: filled(each) for name, each in value.items()}
            return value

        return self.http[role].request(
            verb, "api" + path.format(**ids), json=filled(rule.json), params=filled(rule.params)
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    options = [
        *people_options(PEOPLE),
        "--MelleaApp.admin_groups=admins",
        "--MelleaApp.heartbeat_seconds=0.2",
        "--MelleaApp.grace_seconds=1",
    ]
    with ExitStack() as stack:
        server = JupyterServer(tmp_path_factory.mktemp("matrix"), options=options)
        yield Site(stack.enter_context(server), stack)


def said(reply: httpx.Response) -> str:
    if reply.is_success:
        return str(reply.status_code)
    return f"{reply.status_code} {reply.json()['code']}"


def test_every_route_of_the_document_has_a_rule(site: Site) -> None:
    document = site.http["owner"].get("api/openapi.json").json()
    verbs = {"get", "post", "put", "patch", "delete"}
    routes = {(verb, path) for path, item in document["paths"].items() for verb in item}
    assert {route for route in routes if route[0] in verbs} == set(RULES)


@pytest.mark.parametrize(("verb", "path"), RULES, ids=lambda part: part.replace("/", "."))
def test_each_role_gets_what_it_may(site: Site, verb: str, path: str) -> None:
    rule = RULES[verb, path]
    found = {}
    for role in ROLES:
        own = {f"{rule.fresh}_id": site.make(rule.fresh)} if rule.fresh else {}
        reply = site.ask(role, verb, path, rule, **own)
        found[role] = said(reply)
        if reply.status_code == 403 and path != "/runs/{run_id}/artifacts/{artifact_id}/signed":
            assert reply.json()["message"]
            assert reply.json()["hint"]
    assert found == {role: getattr(rule, role) for role in ROLES}


def test_a_run_of_others_is_answered_as_one_that_is_not_there(site: Site) -> None:
    for (verb, path), rule in RULES.items():
        if rule.stranger != HIDDEN:
            continue
        absent = str(uuid.uuid4())
        of_others = site.ask("stranger", verb, path, rule)
        of_nobody = site.ask("stranger", verb, path, rule, run_id=absent)
        alike = []
        for reply, run_id in ((of_others, site.run["id"]), (of_nobody, absent)):
            body = {**reply.json(), "request_id": ""}
            alike.append(json.dumps(body).replace(run_id, "…"))
        assert alike[0] == alike[1], (verb, path)
        assert of_others.status_code == of_nobody.status_code


def test_bulk_verbs_say_for_each_run_what_became_of_it(site: Site) -> None:
    outcomes = {}
    run_id = site.make("run")
    for role in ("stranger", "viewer", "operator", "admin"):
        reply = site.http[role].post("api/runs/bulk/delete", json={"run_ids": [run_id]}).json()
        outcomes[role] = reply[run_id]
    assert outcomes["stranger"] == f"error: No run with id '{run_id}'"
    assert outcomes["viewer"] == "error: A viewer of this run may not delete it"
    assert outcomes["operator"] == "error: An operator of this run may not delete it"
    assert outcomes["admin"] == "deleted"


def listed(client: httpx.Client, path: str, **params: Any) -> set[str]:
    reply = client.get(path, params={"limit": 1000, **params})
    return {run["id"] for run in reply.json()["runs"]}


def test_listings_have_what_each_may_see_and_their_role(site: Site) -> None:
    private_id = site.new_run(shared=False)["id"]
    shared_id = site.run["id"]
    for role, client in site.http.items():
        every = listed(client, "api/runs")
        assert (shared_id in every) == (role != "stranger")
        assert (private_id in every) == (role in ("owner", "admin"))
        with_me = listed(client, "api/runs", shared="with_me")
        assert (shared_id in with_me) == (role in ("viewer", "operator"))
        assert private_id not in with_me
        own = listed(client, "api/users/me/runs")
        assert (shared_id in own) == (private_id in own) == (role == "owner")
        total = client.get("api/runs/summary").json()["total_runs"]
        assert total == len(every)
        if role != "stranger":
            assert client.get(f"api/runs/{shared_id}").json()["role"] == role
            page = client.get("api/runs", params={"limit": 1000}).json()["runs"]
            assert {run["role"] for run in page if run["id"] == shared_id} == {role}


def test_an_operator_cancels_and_retries_for_the_owner_and_keeps_seeing_it(site: Site) -> None:
    operator, owner = site.http["operator"], site.http["owner"]
    run_id = site.new_run("sleeps.py")["id"]
    site.server.wait_for(owner, run_id, ("running",))
    assert operator.delete(f"api/runs/{run_id}").status_code == 202
    run = site.server.wait_for(owner, run_id)
    assert (run["status"], run["status_reason"]) == ("cancelled", "operator")
    assert run["cancelled_by"] == "cleo"
    changed = operator.post(
        f"api/runs/{run_id}/retry", json={"config_overrides": {"env_vars": {"A": "b"}}}
    )
    assert said(changed) == MAY_NOT
    assert "another configuration" in changed.json()["message"]
    again = operator.post(f"api/runs/{run_id}/retry", json={}).json()
    assert (again["owner_id"], again["role"]) == ("ada", "operator")
    assert operator.get(f"api/runs/{again['id']}").status_code == 200
    assert site.http["viewer"].get(f"api/runs/{again['id']}").json()["role"] == "viewer"
    assert operator.delete(f"api/runs/{again['id']}").status_code == 202
    site.server.wait_for(owner, again["id"])
    mine = owner.post(f"api/runs/{run_id}/retry", json={}).json()
    assert site.http["viewer"].get(f"api/runs/{mine['id']}").status_code == 404
    owner.delete(f"api/runs/{mine['id']}")


def test_a_shared_program_can_be_run_and_not_shared_on(site: Site) -> None:
    owner, viewer = site.http["owner"], site.http["viewer"]
    asset = owner.post("api/assets", json={"path": "sleeps.py"}).json()
    path, create = f"api/assets/{asset['id']}", {"asset_id": asset["id"]}
    assert said(viewer.post("api/runs", json=create)) == "404 asset_not_found"
    bob = {"kind": "user", "name": "bob"}
    shares = owner.post(f"{path}/share", json=bob).json()["shares"]
    assert [(each["kind"], each["name"]) for each in shares] == [("user", "bob")]
    assert asset["id"] in {a["id"] for a in viewer.get("api/assets").json()["assets"]}
    run = viewer.post("api/runs", json=create).json()
    assert (run["owner_id"], run["role"]) == ("bob", "owner")
    assert owner.get(f"api/runs/{run['id']}").status_code == 404  # the program is hers, not the run
    for verb, where in (("GET", "shares"), ("POST", "share")):
        refused = viewer.request(verb, f"{path}/{where}", json=bob if verb == "POST" else None)
        assert said(refused) == MAY_NOT
    assert owner.delete(f"{path}/share", params=bob).json()["shares"] == []
    assert said(viewer.post("api/runs", json=create)) == "404 asset_not_found"
    viewer.delete(f"api/runs/{run['id']}")


def test_a_link_stops_working_when_its_signer_loses_access(site: Site) -> None:
    run = site.new_run()
    path = f"api/runs/{run['id']}/artifacts/{run['artifacts'][0]['id']}/url"
    links = {role: site.http[role].post(path, json={}).json()["url"]
             for role in ("owner", "viewer", "operator", "admin")}  # fmt: skip
    with httpx.Client() as anybody:
        assert {anybody.get(link).status_code for link in links.values()} == {200}
        site.unshare(run["id"], "user", "bob")
        assert anybody.get(links["viewer"]).status_code == 404
        site.unshare(run["id"], "group", "lab")
        assert anybody.get(links["operator"]).status_code == 404
        assert anybody.get(links["owner"]).status_code == 200
        assert anybody.get(links["admin"]).status_code == 200


def test_everyone_means_everyone_until_it_is_revoked(site: Site) -> None:
    run_id = site.new_run(shared=False)["id"]
    stranger = site.http["stranger"]
    site.share(run_id, "everyone", "", "viewer")
    assert stranger.get(f"api/runs/{run_id}").json()["role"] == "viewer"
    site.unshare(run_id, "everyone", "")
    assert stranger.get(f"api/runs/{run_id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "user", "name": "ada"}, "name"),
        ({"kind": "user"}, "name of the user"),
        ({"kind": "user", "name": "  "}, "name of the user"),
        ({"kind": "everyone", "name": "x"}, "everyone has no name"),
        ({"kind": "team", "name": "x"}, "kind"),
        ({"kind": "user", "name": "a\nb"}, "name"),
        ({"kind": "user", "name": "bob", "role": "owner"}, "role"),
    ],
)
def test_a_share_that_makes_no_sense_is_refused(
    site: Site, body: dict[str, str], field: str
) -> None:
    reply = site.http["owner"].post(f"api/runs/{site.run['id']}/share", json=body)
    assert reply.status_code == 422
    assert field in json.dumps(reply.json())


# -- what stays open ---------------------------------------------------------------------------


def test_a_log_stream_ends_when_the_share_is_revoked(site: Site) -> None:
    run_id = site.new_run("sleeps.py")["id"]
    url = f"api/runs/{run_id}/logs/stream"
    with (
        site.http["viewer"].stream("GET", url) as mine,
        site.http["owner"].stream("GET", url) as hers,
    ):
        received, owners = mine.iter_text(), hers.iter_text()
        text = ""
        while "begun" not in text:
            text += next(received)
        site.unshare(run_id, "user", "bob")
        rest = "".join(received)  # ends
        assert "event: complete" not in rest
        text = ""
        while text.count(": keep-alive") < 2:
            text += next(owners)
    assert site.http["viewer"].get(url).status_code == 404
    site.http["owner"].delete(f"api/runs/{run_id}")


class Socket:
    """A websocket of one of the people."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection

    async def subscribe(self, topic: str) -> None:
        await self._connection.write_message(json.dumps({"type": "subscribe", "topic": topic}))

    async def wait_for(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                raw = await self._connection.read_message()
                assert raw is not None
                message: dict[str, Any] = json.loads(raw)
                if matches(message):
                    return message

    async def next_of(self, topic: str, kind: str) -> dict[str, Any]:
        return await self.wait_for(lambda m: m.get("topic") == topic and m["type"] == kind)


@asynccontextmanager
async def dial(site: Site, role: str) -> AsyncIterator[Socket]:
    server = site.server
    headers = {"Authorization": f"token {token_of(server.token, ROLES[role])}"}
    async with open_websocket(f"{server.url}api/runs/ws", headers) as connection:
        yield Socket(connection)


async def connected(
    site: Site, follow: Callable[..., Coroutine[Any, Any, None]], *roles: str
) -> None:
    """Call `follow` with a socket of each role."""
    async with AsyncExitStack() as stack:
        await follow(*[await stack.enter_async_context(dial(site, role)) for role in roles])


def test_topics_of_a_run_are_for_those_who_see_it_and_end_with_the_share(site: Site) -> None:
    run_id = site.new_run("sleeps.py")["id"]
    topics = [f"run/{run_id}", f"run/{run_id}/logs", f"run/{run_id}/calls"]

    async def follow(stranger: Socket, viewer: Socket, operator: Socket) -> None:
        for topic in topics:
            await stranger.subscribe(topic)
            refused = await stranger.next_of(topic, "error")
            assert refused["code"] == "run_not_found"
            for seeing in (viewer, operator):
                await seeing.subscribe(topic)
                await seeing.next_of(topic, "subscribed")
        await asyncio.to_thread(site.unshare, run_id, "user", "bob")
        ended: set[str] = set()
        while ended != set(topics):
            message = await viewer.wait_for(lambda m: m["type"] == "error")
            assert message["code"] == "run_not_found"
            ended.add(message["topic"])
        await asyncio.to_thread(site.http["owner"].delete, f"api/runs/{run_id}")
        complete = await operator.next_of(f"run/{run_id}/logs", "complete")
        assert complete["status"] == "cancelled"

    asyncio.run(connected(site, follow, "stranger", "viewer", "operator"))


def test_the_list_of_runs_gains_and_loses_what_is_shared(site: Site) -> None:
    async def follow(viewer: Socket, stranger: Socket) -> None:
        for socket in (viewer, stranger):
            await socket.subscribe("runs")
            await socket.next_of("runs", "subscribed")
        run_id = (await asyncio.to_thread(site.new_run, shared=False))["id"]

        def tells(**wanted: str) -> Callable[[dict[str, Any]], bool]:
            """Of this run; its record may be told again in between, as it was."""

            def matches(message: dict[str, Any]) -> bool:
                event = message.get("event", {})
                run = event.get("run", {"id": event.get("run_id")})
                said = {"type": event.get("type"), **run}
                return run["id"] == run_id and all(said.get(k) == v for k, v in wanted.items())

            return matches

        await asyncio.to_thread(site.share, run_id, "user", "bob", "viewer")
        await viewer.wait_for(tells(type="run_changed", role="viewer"))
        await asyncio.to_thread(site.share, run_id, "user", "bob", "operator")
        await viewer.wait_for(tells(type="run_changed", role="operator"))
        await asyncio.to_thread(
            lambda: site.http["owner"].patch(f"api/runs/{run_id}", json={"name": "renamed"})
        )
        await viewer.wait_for(tells(name="renamed", role="operator"))
        await asyncio.to_thread(site.unshare, run_id, "user", "bob")
        await viewer.wait_for(tells(type="run_deleted"))
        # Nothing of it came to the stranger: their next event is that of a run of their own.
        path = site.server.write("eves.py", "print('mine')\n")
        own = await asyncio.to_thread(site.server.create, site.http["stranger"], path)
        first = (await stranger.wait_for(lambda m: m["type"] == "event"))["event"]
        assert first["run"]["id"] == own["id"]

    asyncio.run(connected(site, follow, "viewer", "stranger"))


# -- what is told and recorded -----------------------------------------------------------------


def test_those_a_run_is_shared_with_are_told_of_it_and_of_its_end(site: Site) -> None:
    owner, viewer, operator = (site.http[role] for role in ("owner", "viewer", "operator"))
    for client in (owner, viewer, operator):  # a notice that was read is not joined
        client.post("api/notifications/read", json={})
    run_id = site.new_run("sleeps.py")["id"]
    owner.delete(f"api/runs/{run_id}")
    site.server.wait_for(owner, run_id)

    def told(client: httpx.Client) -> dict[str, str]:
        found = client.get("api/notifications", params={"unread": True}).json()["notifications"]
        return {n["type"]: n["title"] for n in found if run_id in json.dumps(n)}

    for client in (viewer, operator):  # by name, and as a member of a group
        assert told(client) == {
            "run_shared": "ada shared sleeps.py with you",
            "shared_run_complete": "Shared run cancelled: sleeps.py",
        }
    assert told(site.http["stranger"]) == {}
    assert set(told(owner)) == {"run_complete"}


def test_what_was_done_is_on_record_and_stays_after_the_run(site: Site) -> None:
    owner, operator, admin = (site.http[role] for role in ("owner", "operator", "admin"))
    run_id = site.new_run("sleeps.py")["id"]
    operator.delete(f"api/runs/{run_id}")
    site.server.wait_for(owner, run_id)
    owner.patch(f"api/runs/{run_id}", json={"pinned": True})
    owner.patch(f"api/runs/{run_id}", json={"name": "x", "tags": ["y"]})
    site.unshare(run_id, "user", "bob")
    admin.post("api/runs/bulk/delete", json={"run_ids": [run_id]})
    assert owner.get(f"api/runs/{run_id}").status_code == 404
    kept = owner.get(f"api/runs/{run_id}/audit").json()["entries"]
    assert [(e["action"], e["user"], e["admin_override"]) for e in kept] == [
        ("delete", "root", True),
        ("unshare", "ada", False),
        ("patch", "ada", False),
        ("pin", "ada", False),
        ("cancel", "cleo", False),
        ("share", "ada", False),
        ("share", "ada", False),
        ("create", "ada", False),
    ]
    assert kept[0]["details"] == {"asset_name": "sleeps.py", "name": "x", "bulk": 1}
    assert kept[1]["details"] == {"principal": "user:bob"}
    assert kept[2]["details"] == {"fields": ["name", "tags"]}
    for role in ("operator", "viewer", "stranger"):
        assert said(site.http[role].get(f"api/runs/{run_id}/audit")) == HIDDEN
    override = admin.get("api/audit", params={"user": "root", "run_id": run_id}).json()["entries"]
    assert [entry["action"] for entry in override] == ["delete"]
    page = admin.get("api/audit", params={"limit": 3}).json()
    following = admin.get("api/audit", params={"limit": 3, "cursor": page["next"]}).json()
    numbers = [entry["id"] for entry in (*page["entries"], *following["entries"])]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 6


def test_another_server_on_the_store_notices_a_revoked_share(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_id = site.new_run("sleeps.py")["id"]
    options = [*people_options(PEOPLE), "--MelleaApp.heartbeat_seconds=0.2"]
    home = tmp_path_factory.mktemp("second")
    second = JupyterServer(home, options=options, data_dir=site.server.data_dir)
    with second, second.http(token=token_of(second.token, "bob")) as bob:
        with bob.stream("GET", f"api/runs/{run_id}/logs/stream") as stream:
            received = stream.iter_text()
            next(received)
            site.unshare(run_id, "user", "bob")
            rest = "".join(received)
        assert "event: complete" not in rest
        assert bob.get(f"api/runs/{run_id}").status_code == 404
    site.http["owner"].delete(f"api/runs/{run_id}")
