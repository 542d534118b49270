"""The command line: `graftwork explore`, `graftwork show`, `graftwork export`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import graftwork as gw
from graftwork.ir.graph import Graph

_MODEL = "a Hugging Face folder, a folder that gw.save wrote, or a GGUF file"
_FORMATS = ("onnx", "model-explorer")
_SHARE_SAFE = "leave out values, and files and lines of the source"


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    arguments = _parser().parse_args(words)
    try:
        arguments.run(arguments)
    except gw.GraftworkError as error:
        sys.stderr.write(f"graftwork: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("graftwork", description="Trained models as programs.")
    parser.add_argument("--version", action="version", version=gw.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    explore = commands.add_parser("explore", help="run prompts and edits in a page on this machine")
    explore.add_argument("model", nargs="?", default="", help=_MODEL)
    explore.add_argument("--port", type=int, default=0, help="where to listen; a free one if 0")
    explore.add_argument("--no-browser", action="store_true", help="open no page")
    explore.set_defaults(run=_explore)

    show = commands.add_parser("show", help="write the graph as an HTML page")
    show.add_argument("--share-safe", action="store_true", help=_SHARE_SAFE)
    export = commands.add_parser("export", help="write the graph for other tools")
    export.add_argument("--format", choices=_FORMATS, default="onnx", help="onnx if not given")
    show.add_argument("-o", "--output", default="model.html", help="model.html if not given")
    export.add_argument("-o", "--output", help="model.onnx or model.json if not given")
    for command, run in ((show, _show), (export, _export)):
        command.add_argument("model", help=_MODEL)
        command.add_argument("recipe", nargs="?", help="a folder that gw.save_recipe wrote")
        command.set_defaults(run=run)
    return parser


def _explore(arguments: argparse.Namespace) -> None:
    try:
        from graftwork.explore.server import serve
    except ModuleNotFoundError as error:
        raise gw.GraftworkError(f"{error}; pip install 'graftwork[explore]'") from error
    serve(arguments.model, arguments.port, not arguments.no_browser)


def _show(arguments: argparse.Namespace) -> None:
    graph = _graph(arguments)
    edited = _edited(graph, arguments)
    before = None if edited is graph else graph
    view = gw.viz.graph(edited, diff=before, share_safe=arguments.share_safe)
    view.save(arguments.output)


def _export(arguments: argparse.Namespace) -> None:
    edited = _edited(_graph(arguments), arguments)
    if arguments.format == "onnx":
        gw.export_onnx(edited, arguments.output or "model.onnx")
    else:
        gw.export_model_explorer(edited, arguments.output or "model.json")


def _graph(arguments: argparse.Namespace) -> Graph:
    from graftwork.explore.models import loader

    return loader(arguments.model).graph()


def _edited(graph: Graph, arguments: argparse.Namespace) -> Graph:
    return graph if arguments.recipe is None else graph.apply(*gw.load_recipe(arguments.recipe))


if __name__ == "__main__":
    sys.exit(main())
