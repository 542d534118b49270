"""Serving the explorer on the loopback interface, until Ctrl+C."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import webbrowser

import uvicorn

from graftwork.explore.app import application
from graftwork.ir.errors import InputError

LOOPBACK = "127.0.0.1"


def serve(model: str = "", port: int = 0, browser: bool = True) -> None:
    """Serve the explorer until it is interrupted.

    Args:
        model: the path of the model that a new page opens.
        port: where to listen; 0 takes a free one.
        browser: open a page in the browser.

    Raises:
        InputError: if the port cannot be had.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot listen on port {port}: {error}; --port 0 takes a free one"
            ) from error
        listening.listen()
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        sys.stderr.write(f"Exploring at {url} (Ctrl+C stops)\n")
        if browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        config = uvicorn.Config(
            application(model), log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
