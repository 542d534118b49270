"""The web application: three questions, the page that asks them, and the pictures it shows.

It listens on the loopback interface for the browser of one person, where any web page can send
requests too. So every request must name this server as its Host (another name that leads here is
DNS rebinding), and everything that computes is asked by POST with our own Origin (another page's
is cross-site request forgery). Pictures come in sandboxed documents of their own, without an
origin; each has the policy that only its own script runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from html import escape
from importlib.resources import files
from string import Template
from threading import Thread

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graftwork.explore.explorer import Answer, Explorer
from graftwork.explore.question import Question
from graftwork.ir.errors import GraftworkError
from graftwork.viz.scripts import style_text

MOST_BYTES = 1 << 16
_LOG = logging.getLogger(__name__)
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PICTURE_POLICY = "sandbox allow-scripts allow-downloads; frame-ancestors 'self'"
_SCRIPTS = ("explore", "ask", "edit", "answer", "parts", "picture")

Endpoint = Callable[[Request], Awaitable[Response]]


def application(model: str = "") -> Starlette:
    """The explorer as an ASGI application.

    Args:
        model: the path of the model that a new page opens.
    """
    explorer = Explorer()

    def asked(answer: Callable[[Question], Answer]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            if body is None:
                return _json({"error": f"the request is longer than {MOST_BYTES:,} bytes"}, 413)
            return await _aside(lambda: _answered(answer, body))

        return endpoint

    async def picture(request: Request) -> Response:
        html = explorer.page(request.path_params["name"])
        if html is None:
            return PlainTextResponse("This picture is kept no longer.", 404)
        policy = {"content-security-policy": _PICTURE_POLICY}
        return Response(html, media_type="text/html", headers=policy)

    routes = [
        *(Route(path, _file(text, kind)) for path, (text, kind) in _files(model).items()),
        Route("/model", asked(explorer.model), methods=["POST"]),
        Route("/run", asked(explorer.run), methods=["POST"]),
        Route("/picture", asked(explorer.picture), methods=["POST"]),
        Route("/pictures/{name}", picture),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


class Guard:
    """Refuses requests that did not come from our own page at this address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        wrong = _wrong(Request(scope))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        app = self.app if wrong is None else _json({"error": wrong}, 403)
        return await app(scope, receive, guarded)


_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def _wrong(request: Request) -> str | None:
    """Why a request is refused; None if it is not."""
    port = request.scope["server"][1]
    hosts = {name if port == 80 else f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    host, origin = request.headers.get("host"), request.headers.get("origin")
    if host not in hosts:
        return f"this server is not {host!r}"
    if origin != f"http://{host}" and (origin is not None or request.method not in ("GET", "HEAD")):
        return f"the request comes from {origin!r}, not from this server's own page"
    if request.method == "POST" and request.headers.get("content-type") != "application/json":
        return "questions are application/json"
    return None


# --- questions


async def _body(request: Request) -> bytes | None:
    """The body of a request; None if it is longer than any question."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return body


async def _aside(work: Callable[[], Response]) -> Response:
    """What work gives in a thread of its own, for which a server that is stopped does not wait."""
    done: Future[Response] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        done.set_result(work())

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def _answered(answer: Callable[[Question], Answer], body: bytes) -> Response:
    """The answer to a question, or what was wrong with it."""
    try:
        return _json(answer(Question.of(body)))
    except GraftworkError as error:
        return _json({"error": str(error)}, 400)
    except Exception as error:
        # Of transformers, a backend, or our own: it is said there, and in full here.
        _LOG.exception("a question failed")
        return _json({"error": f"{type(error).__name__}: {error}"}, 500)


def _json(answer: Answer, status: int = 200) -> Response:
    text = json.dumps(answer, allow_nan=False)
    return Response(text, status, media_type="application/json")


# --- files


def _files(model: str) -> dict[str, tuple[str, str]]:
    """Path -> the text and the kind of what stands there."""
    ours, shared = files("graftwork.explore") / "assets", files("graftwork.viz") / "assets"
    page = Template((ours / "page.html").read_text("utf-8")).substitute(model=escape(model))
    scripts = {f"/{name}.js": (ours / f"{name}.js").read_text("utf-8") for name in _SCRIPTS}
    scripts["/dom.js"] = (shared / "dom.js").read_text("utf-8")
    style = style_text(()) + (ours / "explore.css").read_text("utf-8")
    return {
        "/": (page, "text/html"),
        "/explore.css": (style, "text/css"),
        **{path: (text, "text/javascript") for path, text in scripts.items()},
    }


def _file(text: str, kind: str) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        policy = {"content-security-policy": _PAGE_POLICY}
        return Response(text, media_type=kind, headers=policy)

    return endpoint
