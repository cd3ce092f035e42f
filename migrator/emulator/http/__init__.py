"""A small HTTP/1.1 server: what the emulator needs of one, and nothing that a request would have to pay for besides.

A request is looked at when it is whole, and most are answered on the spot, by a call from the connection to the handler
and back. Only an answer that has to wait for something is a coroutine, and only that gets a task. The octets are parsed
by llhttp (httptools). What is added is what a parser cannot know: which requests wait for their turn, when a connection
ends, and what is done about a client that is too slow, too large or wrong.

What belongs here is HTTP (RFC 9110, RFC 9112). That there is such a thing as an Offer Library is not known here.

How the modules build on each other::

    messages       a request, an answer, and what handlers are
    routes         which handler a method and a path lead to
    reading        requests out of octets
    writing        answers as octets
    connections    one connection: requests in, answers out, in order
    server         listens, and stops
"""

from __future__ import annotations

from migrator.emulator.http.messages import (
    Answer,
    Handler,
    HttpError,
    Middleware,
    Proceed,
    Request,
    Response,
    answered,
    around,
)
from migrator.emulator.http.routes import Route, Router
from migrator.emulator.http.server import Server

__all__ = [
    "Answer",
    "Handler",
    "HttpError",
    "Middleware",
    "Proceed",
    "Request",
    "Response",
    "Route",
    "Router",
    "Server",
    "answered",
    "around",
]
