"""The service, and everything that can go wrong between it and us.

What is simulated: objects whose etag moves by one with each write; a JSON Patch that is applied as a whole or not at
all, with `test` operations (dps) or `If-Match` (xcore); a PUT, with `If-Match` (xcore) or without (dps); a new object
for each POST; lists in pages that are behind by up to the search lag; requests that get lost or arrive late, answers
that get lost or are cut, a 504 of what is carried out all the same, refusals of the gateway, errors before and after
the effect, tokens that take long to get; somebody else who edits, deletes, and undoes what we have done. There is a log
of all effects, by request id. A request is carried out within `LATEST_S` of its leaving, or never.

What is not: names that must be unique, references between objects, somebody else who writes just what we write or makes
an object of the same name, an etag that moves otherwise.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from contextvars import Context
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from random import Random
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

import jsonpatch
import msgspec
from jsonpointer import JsonPointerException

from migrator.core.model import Answer, Failure, FailureKind, Json, Request, Response
from tests.protocol.simulation import Loop

EPOCH_S = 1_800_000_000.0
"""The wall-clock time at which virtual time is 0."""

QUIET_S = 60.0
LATEST_S = QUIET_S - 1
"""How long after its leaving a request may be carried out: the quiet period counts from when it was given up."""

SEARCH_LAG_S = 30.0
TIMEOUT_S = 20.0
PAGE = 3

US = "our-client"
REFUSED = "refused"
"""A value that the service takes from nobody."""


class Fate(StrEnum):
    """What becomes of a request."""

    ANSWERED = "answered"
    LOST = "request lost"
    NO_ANSWER = "answer lost"
    LATE = "504 and carried out later"
    SLOW = "given up and carried out later"
    CUT = "receipt cut"
    TOO_MANY = "429"
    GATEWAY = "503 of the gateway"
    BEFORE = "500 before the effect"
    AFTER = "500 after the effect"
    BAD_TOKEN = "401"  # a status, not a secret
    UNREACHABLE = "connection refused"


FAULTS = [fate for fate in Fate if fate is not Fate.ANSWERED]
READ_FAULTS = [Fate.LOST, Fate.NO_ANSWER, Fate.BEFORE, Fate.TOO_MANY, Fate.UNREACHABLE]
CARRIED_OUT = {Fate.ANSWERED, Fate.NO_ANSWER, Fate.LATE, Fate.SLOW, Fate.CUT, Fate.AFTER}
LOST = Failure(FailureKind.LOST, "no answer")
ANSWERS: Mapping[Fate, Answer] = {
    Fate.LOST: LOST,
    Fate.NO_ANSWER: LOST,
    Fate.SLOW: LOST,
    Fate.LATE: Response(504, {}, b'{"title": "gateway time-out"}'),
    Fate.TOO_MANY: Response(429, {"retry-after": "7"}, b""),
    Fate.GATEWAY: Response(503, {}, b'{"error_code": "503010"}'),
    Fate.BEFORE: Response(500, {}, b""),
    Fate.AFTER: Response(500, {}, b""),
    Fate.BAD_TOKEN: Response(401, {}, b'{"error_code": "401013"}'),
    Fate.UNREACHABLE: Failure(FailureKind.NOT_SENT, "connection refused"),
    Fate.CUT: Response(200, {}, b'{"id": "o'),
}

GUARD_REFUSALS = (
    Response(409, {}, b'{"title": "conflict"}'),
    Response(412, {}, b'{"title": "precondition failed"}'),
    Response(422, {}, b'{"title": "a test of the patch failed"}'),
)
"""How the service may say that a `test` failed."""


class Version(NamedTuple):
    """An object from some moment on; `fields` is `None` once it is deleted."""

    since: float
    etag: int
    fields: dict[str, Json] | None
    by_us: bool = False


class Effect(NamedTuple):
    """A write that was carried out: for an object, or, if it made one, for a name."""

    request_id: str
    target: str


class Service:
    """Implements `ports.Transport`, and is what stands behind it.

    Attributes:
        dice: decides what is left to chance.
        fault_rate: how many of the writes meet with a fault; a third as many of the reads.
        fates: what becomes of the next writes, before the dice decide.
        watch: told of every write at the moment it leaves.
        writes: all writes that left.
        effects: all that were carried out, in order.
        requests: how many requests left.
    """

    renewable = True

    def __init__(self, loop: Loop, dice: Random, *, root: str, prefix: str) -> None:
        self.dice = dice
        self.fault_rate = 0.45
        self.fates: list[Fate] = []
        self.watch: Callable[[Request], None] = lambda _: None
        self.writes: list[Request] = []
        self.effects: list[Effect] = []
        self.requests = 0
        self.guard_refusal = dice.choice(GUARD_REFUSALS)
        self._loop = loop
        self._root = root
        self._prefix = prefix
        self._objects: dict[str, list[Version]] = {}
        self._containers: dict[str, str] = {}
        self._numbers = count(1)

    # What tests see and do

    def add(self, container: str, object_: str, fields: dict[str, Json]) -> None:
        """Have had an object for ever."""
        self._containers[object_] = container
        self._objects[object_] = [Version(-1e9, 4, fields)]

    def fields(self, object_: str) -> dict[str, Json] | None:
        return self._objects[object_][-1].fields

    def named(self, name: str) -> int:
        """Count the objects of a name."""
        return sum(versions[-1].fields is not None and self._name(versions[-1]) == name for versions in self._all())

    def edit(self, object_: str, member: str, value: Json) -> None:
        """Let somebody else set a member to something it never was."""
        fields = self.fields(object_)
        if fields is not None:
            self._write(object_, {**fields, self._prefix + member: value}, by_us=False)

    def undo(self, object_: str, member: str) -> None:
        """Let somebody else put back what a member was in the beginning."""
        fields, first = self.fields(object_), self._objects[object_][0].fields or {}
        if fields is not None:
            name = self._prefix + member
            others = {key: value for key, value in fields.items() if key != name}
            self._write(object_, {**others, name: first[name]} if name in first else others, by_us=False)

    def remove(self, object_: str) -> None:
        """Let somebody else delete an object."""
        if self.fields(object_) is not None:
            self._write(object_, None, by_us=False)

    # The way there and back

    @property
    def ready(self) -> bool:
        return self.dice.random() >= self.fault_rate / 10

    async def make_ready(self) -> Failure | None:
        """Get a token, which may take long enough for an intent to become too old."""
        await asyncio.sleep(self.dice.choice((0.2, TIMEOUT_S)))
        return None

    async def send(self, request: Request) -> Answer:
        fate = self._fate(request)
        self.requests += 1
        if request.method != "GET" and fate is not Fate.UNREACHABLE:
            self.writes.append(request)
            self.watch(request)
        done: list[Response] = []
        if fate in CARRIED_OUT:
            late = fate in (Fate.LATE, Fate.SLOW)
            arrives_s = self.dice.uniform(0, LATEST_S) if late else self.dice.uniform(0.01, 0.1)
            self._loop.call_later(arrives_s, lambda: done.append(self._answer(request)), context=Context())
        await asyncio.sleep(self._answer_s(fate))
        if fate is Fate.ANSWERED or (fate is Fate.CUT and done[0].status >= 300):
            return done[0]
        return ANSWERS[fate]

    def _fate(self, request: Request) -> Fate:
        read = request.method == "GET"
        if self.fates and not read:
            return self.fates.pop(0)
        if self.dice.random() >= self.fault_rate / (3 if read else 1):
            return Fate.ANSWERED
        return self.dice.choice(READ_FAULTS if read else FAULTS)

    def _answer_s(self, fate: Fate) -> float:
        """In how many seconds the answer is there, or is given up: often at once, for a connection may break."""
        if fate in (Fate.LOST, Fate.NO_ANSWER, Fate.LATE, Fate.SLOW):
            return self.dice.choice((0.15, TIMEOUT_S))
        return self.dice.uniform(0.1, 0.3)

    # The service itself

    def _answer(self, request: Request) -> Response:
        path, _, query = request.target.partition("?")
        name = unquote(path.rpartition("/")[2])
        if request.method == "POST":
            return self._create(request)
        if name in ("offers", "offer-rules", "instances", "search"):
            return self._page(request, {key: values[0] for key, values in parse_qs(query).items()})
        version = self._objects.get(name, [Version(0, 0, None)])[-1]
        if version.fields is None:
            return Response(404, {}, b'{"title": "not found"}')
        if request.method == "GET":
            return Response(200, {}, msgspec.json.encode(self._shown(name, version)))
        if request.method == "DELETE":
            self._write(name, None)
            self.effects.append(Effect(request.request_id, name))
            return Response(204, {}, b"")
        if request.headers.get("If-Match", f'"{version.etag}"') != f'"{version.etag}"':
            return Response(412, {}, b'{"title": "precondition failed"}')
        if request.method == "PUT":
            whole = msgspec.json.decode(request.body or b"")
            return self._changed(name, whole[self._root[1:]] if self._root else whole, request)
        return self._patch(name, version, request)

    def _patch(self, name: str, version: Version, request: Request) -> Response:
        operations = msgspec.json.decode(request.body or b"")
        if any(operation.get("value") == REFUSED and operation["op"] != "test" for operation in operations):
            return Response(422, {}, b'{"title": "no such value"}')
        document = {self._root[1:]: version.fields} if self._root else version.fields
        try:
            changed = jsonpatch.JsonPatch(operations).apply(document)
        except jsonpatch.JsonPatchTestFailed:
            return self.guard_refusal
        except (jsonpatch.JsonPatchException, JsonPointerException):
            return Response(422, {}, b'{"title": "the patch does not fit"}')
        return self._changed(name, changed[self._root[1:]] if self._root else changed, request)

    def _changed(self, name: str, fields: dict[str, Json], request: Request) -> Response:
        self._write(name, fields)
        self.effects.append(Effect(request.request_id, name))
        return self._receipt(name)

    def _create(self, request: Request) -> Response:
        name = f"new-{next(self._numbers)}"
        fields = msgspec.json.decode(request.body or b"")
        self._containers[name] = self._container(request)
        self._objects[name] = [Version(self._loop.time(), 1, fields, by_us=True)]
        self.effects.append(Effect(request.request_id, self._name(self._objects[name][-1])))
        return self._receipt(name)

    def _container(self, request: Request) -> str:
        return request.target.split("/")[4] if self._root else request.headers["x-sandbox-name"]

    def _write(self, name: str, fields: dict[str, Json] | None, *, by_us: bool = True) -> None:
        versions = self._objects[name]
        etag = versions[-1].etag + 1
        versions.append(Version(self._loop.time(), etag, copy.deepcopy(fields), by_us))

    def _receipt(self, name: str) -> Response:
        etag = self._objects[name][-1].etag
        dps, xcore = {"id": name, "etag": etag}, {"instanceId": name, "@id": f"xcore:{name}", "repo:etag": etag}
        return Response(200, {}, msgspec.json.encode(xcore if self._root else dps))

    def _page(self, request: Request, query: Mapping[str, str]) -> Response:
        """List what there was a moment ago."""
        container = self._container(request)
        at = self._loop.time() - self.dice.uniform(0, SEARCH_LAG_S)
        name = query.get("name") or query.get("property", "").removeprefix("name==")
        begin = int(query.get("start", "0"))
        found = [
            self._shown(object_, version)
            for object_, versions in sorted(self._objects.items())
            if self._containers[object_] == container
            for version in [version for version in versions if version.since <= at][-1:]
            if version.fields is not None and name in ("", self._name(version))
        ]
        page = found[begin : begin + PAGE]
        link = {}
        if len(found) > begin + PAGE:
            path = "/" + request.target.partition("&start=")[0].split("/", 4)[4]
            link = {"next": {"href": f"{path}&start={begin + PAGE}"}}
        body = {"results": page, "total": len(found)}
        return Response(200, {}, msgspec.json.encode({**({"_embedded": body} if self._root else body), "_links": link}))

    def _shown(self, name: str, version: Version) -> dict[str, Json]:
        created = datetime.fromtimestamp(EPOCH_S + max(0.0, self._objects[name][0].since), UTC).isoformat()
        creator, client = (US if one.by_us else "somebody-else" for one in (self._objects[name][0], version))
        if not self._root:
            return {**(version.fields or {}), "id": name, "etag": version.etag, "created": created}
        return {
            "instanceId": name,
            "repo:etag": version.etag,
            "repo:createdDate": created,
            "repo:createdByClientId": creator,
            "repo:lastModifiedByClientId": client,
            "_instance": {**(version.fields or {}), "@id": f"xcore:{name}"},
        }

    def _name(self, version: Version) -> str:
        return str((version.fields or {}).get(self._prefix + "name", ""))

    def _all(self) -> list[list[Version]]:
        return list(self._objects.values())
