"""Source runs that are edited themselves: interchange in series."""

from __future__ import annotations

from attrs import frozen

from graftwork.ir.errors import RewriteError
from graftwork.ir.graph import Graph
from graftwork.ir.pipeline import Run, apply, current, running
from graftwork.ir.rename import rename_axes
from graftwork.passes.base import Pass
from graftwork.passes.source import UNEDITED


@frozen(init=False)
class In(Pass):
    """Let a source run be a run of the model with these edits; the graph itself stays as it is.

    `In("second", Patch("blocks.1.resid_post", source="first"))` makes a chain: the edits may read
    other runs, those made by an `In` before this one too. Passes behind it that name the run read
    from the edited model.

    Attributes:
        run: the name of the source run.
        passes: its edits.
        same_inputs: it reads the inputs of the graph, not inputs of its own.
    """

    promise = "bitwise"

    run: str
    passes: tuple[Pass, ...]
    same_inputs: bool

    def __init__(self, run: str, *passes: Pass, same_inputs: bool = False) -> None:
        self.__attrs_init__(run, tuple(passes), same_inputs)

    def __call__(self, graph: Graph) -> Graph:
        application = current(graph)
        if not running():
            raise RewriteError("In is for graph.apply(In(...), ...), before what reads the run")
        if self.run == UNEDITED or self.run in application.runs or self.run in application.read:
            raise RewriteError(
                f"the source run {self.run!r} is made already; say what it is once, before all "
                "passes that read it"
            )
        edited = apply(application.base, self.passes, application.runs)[0]
        new = (axis for axis in edited.axes if axis not in application.base.axes)
        edited = rename_axes(edited, {axis: f"{self.run}_{axis}" for axis in new})
        application.runs[self.run] = Run(edited, self.same_inputs)
        return graph
