"""What the server offers, as an OpenAPI 3.1 document.

Nothing is listed here twice: the paths and methods are read from the routes, the members of objects from the tables of
`schemas`, what a call is for from the first line of its handler. What is left to say is said once for each kind of
call, by the name of its handler (`_CALLS`). Bodies are described as they are by default: of the choices, only the
status of a create (C-06) is heeded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from migrator.emulator.compounds import By, Many, Members, Named
from migrator.emulator.containers import HOME
from migrator.emulator.documents import SPELLINGS
from migrator.emulator.dps_views import JSON
from migrator.emulator.entities import ENTITIES, OFFER_TYPES, RESOURCES, Entity
from migrator.emulator.errors import PROBLEM
from migrator.emulator.scalars import Content, Ref, Scalar, Word
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.xcore_views import HAL, INSTANCE, PATCH, RECEIPT

if TYPE_CHECKING:
    from migrator.emulator.choices import Choices
    from migrator.emulator.entities import Style
    from migrator.emulator.http import Route, Router
    from migrator.emulator.shapes import Shape

Schema = dict[str, Any]

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_ETAG = {"type": "integer", "minimum": 1}

_AUDIT: dict[Style, Schema] = {
    "xcore": {
        "repo:etag": _ETAG,
        **{f"repo:{name}Date": {"type": "string", "format": "date-time"} for name in ("created", "lastModified")},
        **{f"repo:{name}{by}": _TEXT for name in ("created", "lastModified") for by in ("By", "ByClientId")},
    },
    "dps": {
        "etag": _ETAG,
        **{f"{name}Date": {"type": "string", "format": "date-time"} for name in ("created", "lastModified")},
        **{f"{name}{by}": _TEXT for name in ("created", "lastModified") for by in ("By", "ByClientId")},
    },
}
"""What a receipt says of a write."""

_POINTER = {"type": "string", "pattern": "^(/([^~/]|~[01])*)*$"}


def describe(router: Router, choices: Choices) -> Schema:
    """The document, for all routes."""
    paths: Schema = {}
    for route in router.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, choices)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The Offer Library on localhost",
            "version": "1",
            "description": "Both endpoint styles as the emulator serves them; below /_emulator what it adds.",
        },
        "paths": paths,
        "components": {
            "schemas": {**_objects(), "problem": _PROBLEM_BODY, "refusal": _REFUSAL_BODY},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def document(entity: Entity, style: Style) -> Schema:
    """What the document of an object looks like in a style, without the members of the service."""
    return _shape(SCHEMAS[entity.word], style)


def _objects() -> Schema:
    return {f"{style}-{word}": document(entity, style) for style in SPELLINGS for word, entity in ENTITIES.items()}


def _operation(route: Route, choices: Choices) -> Schema:
    path = route.path
    name = getattr(route.handler, "__name__", "")
    said = (route.handler.__doc__ or "").strip().partition("\n")[0]
    parameters = [_in_path(part[1:-1]) for part in path.split("/") if part.startswith("{")]
    operation: Schema = {"summary": said, "tags": [_tag(path)]}
    if path.startswith("/data/core/"):
        style: Style = "xcore" if path.startswith("/data/core/xcore") else "dps"
        called = _Called(style, path, str(int(choices.create_status)))
        described = _CALLS[style, name](called)
        parameters += [*_HEADERS, *described.pop("parameters", []), *called.offer_type()]
        operation |= {"security": [{"token": [], "key": []}], **described}
        operation["responses"]["default"] = _REFUSED
    else:
        operation |= _OTHERS.get(name, {"responses": {"default": {"description": "see the summary"}}})
    return operation | ({"parameters": parameters} if parameters else {})


def _tag(path: str) -> str:
    return next(tag for tag in ("xcore", "dps", "ims", "_emulator") if f"/{tag}/" in path)


class _Called:
    """One route of a style.

    Attributes:
        style: the style.
        created: the status of a create.
        entities: what its objects can be.
    """

    def __init__(self, style: Style, path: str, created: str) -> None:
        self.style = style
        self.created = created
        resource = path.removeprefix("/data/core/dps/").partition("/")[0]
        if style == "xcore":
            self.entities = list(ENTITIES.values())
        else:
            self.entities = [RESOURCES[resource]] if resource in RESOURCES else list(OFFER_TYPES.values())

    def offer_type(self) -> list[Schema]:
        """The parameter that says which kind of offer, where there is more than one."""
        if self.style == "xcore" or len(self.entities) == 1:
            return []
        return [_in_query("offer-type", {"enum": list(OFFER_TYPES)}, required=True)]

    def shown(self) -> Schema:
        """An object as it is read."""
        return {"anyOf": [self._shown(entity) for entity in self.entities]}

    def receipt(self) -> Schema:
        """The answer to a write."""
        ids = ("instanceId", "@id") if self.style == "xcore" else ("id",)
        return _object(dict.fromkeys(ids, _TEXT) | _AUDIT[self.style])

    def written(self, media_type: str, schema: Callable[[Entity], Schema]) -> Schema:
        """The body of a write: in xcore the media type says which entity it is."""
        if self.style == "dps":
            return _body({media_type: {"anyOf": [schema(entity) for entity in self.entities]}})
        return _body({f'{media_type}; schema="{entity.xcore_schema}"': schema(entity) for entity in self.entities})

    def document(self, entity: Entity) -> Schema:
        """The document of an entity."""
        return {"$ref": f"#/components/schemas/{self.style}-{entity.word}"}

    def wrapped(self, entity: Entity) -> Schema:
        """The document of an entity in its envelope."""
        return {"type": "object", "required": ["_instance"], "properties": {"_instance": self.document(entity)}}

    def patch(self, _: Entity) -> Schema:
        """A JSON Patch of the operations that the style lists."""
        return _array(
            {
                "type": "object",
                "required": ["op", "path"],
                "properties": {
                    "op": {"enum": sorted(SPELLINGS[self.style].operations)},
                    "path": _POINTER,
                    "from": _POINTER,
                    "value": {},
                },
            }
        )

    def _shown(self, entity: Entity) -> Schema:
        own = self.document(entity)
        if self.style == "xcore":
            instance = {"allOf": [own, _object({"@id": _TEXT})]}
            return _object(
                {
                    "instanceId": _TEXT,
                    "schemas": _array({"const": entity.xcore_schema}),
                    "productContexts": _array(_TEXT),
                    **_AUDIT["xcore"],
                    "_instance": instance,
                    "_links": {"type": "object"},
                }
            )
        names = ("id", "created", "modified", "createdBy", "lastModifiedBy")
        return {"allOf": [own, _object({"etag": _ETAG, "schemas": _array(_TEXT), **dict.fromkeys(names, _TEXT)})]}


def _create(called: _Called) -> Schema:
    answer = {called.created: _answer("created", _receipt_type(called), called.receipt())}
    media_type = INSTANCE if called.style == "xcore" else JSON
    return {"requestBody": called.written(media_type, called.document), "responses": answer}


def _replace(called: _Called) -> Schema:
    body = called.written(HAL, called.wrapped) if called.style == "xcore" else called.written(JSON, called.document)
    return {"requestBody": body, "responses": {"200": _answer("replaced", _receipt_type(called), called.receipt())}}


def _patch(called: _Called) -> Schema:
    media_type = PATCH if called.style == "xcore" else JSON
    return {
        "requestBody": called.written(media_type, called.patch),
        "responses": {"200": _answer("patched", _receipt_type(called), called.receipt())},
    }


def _read(called: _Called) -> Schema:
    media_type = HAL if called.style == "xcore" else JSON
    return {"responses": {"200": _answer("the object", media_type, called.shown())}}


def _delete(called: _Called) -> Schema:
    return {"responses": {"202" if called.style == "xcore" else "200": {"description": "deleted"}}}


def _search_dps(called: _Called) -> Schema:
    links = {"type": "object", "required": ["self"]}
    body = _object({"results": _array(called.shown()), "count": _COUNT, "total": _COUNT, "_links": links})
    return {"parameters": _LIST, "responses": {"200": _answer("a page", JSON, body)}}


def _search_xcore(called: _Called) -> Schema:
    found = _object({"results": _array(called.shown()), "count": _COUNT, "total": _COUNT})
    links = {"type": "object", "required": ["self"]}
    members = {"containerId": _TEXT, "schemaNs": _TEXT, "requestTime": _TEXT, "_embedded": found, "_links": links}
    named = {"enum": [entity.xcore_schema for entity in called.entities]}
    parameters = [_in_query("schema", named, required=True), *_LIST]
    parameters += [_in_query(name, _TEXT) for name in ("id", "name", "q", "field")]
    parameters.append(_in_query("qop", {"enum": ["AND", "OR"]}))
    return {"parameters": parameters, "responses": {"200": _answer("a page", HAL, _object(members))}}


def _home(_: _Called) -> Schema:
    body = _object({"_embedded": {"type": "object"}, "_links": {"type": "object"}})
    return {
        "parameters": [_in_query("product", _TEXT), _in_query("property", _TEXT)],
        "responses": {"200": _answer("the containers", HOME, body)},
    }


def _deletion(_: _Called) -> Schema:
    body = _object({"instanceId": _TEXT, "status": {"enum": ["confirmed", "rejected"]}})
    return {"responses": {"200": _answer("the outcome", JSON, body), "202": {"description": "it waits"}}}


_CALLS: dict[tuple[Style, str], Callable[[_Called], Schema]] = {
    ("xcore", "home"): _home,
    ("xcore", "search"): _search_xcore,
    ("xcore", "deletion"): _deletion,
    ("dps", "search"): _search_dps,
    **{(style, "create"): _create for style in SPELLINGS},
    **{(style, "replace"): _replace for style in SPELLINGS},
    **{(style, "patch"): _patch for style in SPELLINGS},
    **{(style, "read"): _read for style in SPELLINGS},
    **{(style, "delete"): _delete for style in SPELLINGS},
}
"""What there is to say of a call, by its style and the name of its handler."""


def _object(members: Schema) -> Schema:
    """An object that has all of these members, and may have others."""
    return {"type": "object", "required": list(members), "properties": members}


def _array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _body(schemas: Schema) -> Schema:
    return {"required": True, "content": {media_type: {"schema": schema} for media_type, schema in schemas.items()}}


def _answer(description: str, media_type: str, schema: Schema) -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _receipt_type(called: _Called) -> str:
    return RECEIPT if called.style == "xcore" else JSON


def _in_query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _shape(shape: Shape, style: Style) -> Schema:
    """A shape as a JSON Schema. What it refers to, and what must not be there twice, cannot be said."""
    match shape:
        case Scalar():
            return dict(shape.schema)
        case Word():
            return {"enum": list(shape.spellings(style))}
        case Content():
            return {"type": "string", "minLength": 1}
        case Ref():
            return _TEXT
        case By():
            return _shape(shape.otherwise, style)
        case Many():
            return _array(_shape(shape.of, style)) | {"minItems": shape.least}
        case Named():
            return {"type": "object", "additionalProperties": _shape(shape.of, style)}
        case Members():
            return _members(shape, style)
        case _:
            return {}


def _members(shape: Members, style: Style) -> Schema:
    described: Schema = {
        "type": "object",
        "properties": {name: _shape(one.shape, style) for name, one in shape.known(style).items()},
    }
    needed = [one.names(style) for one in shape.fields if one.required]
    described["required"] = [names[0] for names in needed if len(names) == 1]
    either = [{"anyOf": [{"required": [name]} for name in names]} for names in needed if len(names) > 1]
    return described | ({"allOf": either} if either else {})


_HEADERS: list[Schema] = [
    {"name": "x-gw-ims-org-id", "in": "header", "required": True, "schema": _TEXT},
    {"name": "x-sandbox-name", "in": "header", "schema": _TEXT},
    {"name": "x-request-id", "in": "header", "schema": _TEXT},
]
_LIST: list[Schema] = [
    _in_query("limit", {"type": "integer", "minimum": 1, "maximum": 100}),
    *(_in_query(name, _TEXT) for name in ("orderby", "start", "property")),
]
_PROBLEM_BODY = _object(
    {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "report": {"type": "object"}}
)
_REFUSAL_BODY = _object({"error_code": _TEXT, "message": _TEXT})
_REFUSED = {
    "description": "refused: by the service as a problem, by the gateway with a code",
    "content": {
        PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}},
        JSON: {"schema": {"$ref": "#/components/schemas/refusal"}},
    },
}
_OTHERS: dict[str, Schema] = {
    "token": {
        "requestBody": _body(
            {
                "application/x-www-form-urlencoded": _object(
                    {"grant_type": {"const": "client_credentials"}, "client_id": _TEXT, "client_secret": _TEXT}
                )
            }
        ),
        "responses": {
            "200": _answer(
                "a token",
                JSON,
                _object({"access_token": _TEXT, "token_type": {"const": "bearer"}, "expires_in": _COUNT}),
            ),
            "default": _answer("refused", JSON, _object({"error": _TEXT, "error_description": _TEXT})),
        },
    },
}
"""The same for the routes of neither style, by the name of the handler; the admin pages say the rest themselves."""
