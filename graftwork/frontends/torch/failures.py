"""What it means that torch.export refused a model, in the words of the caller."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence

from graftwork.frontends.torch.origins import source_line
from graftwork.ir.axis_spec import AxisWord
from graftwork.ir.errors import ConversionError

_INPUT = re.compile(r"L\['arguments'\](?P<keys>(\[[^\]]+\])+)\.size\(\)\[(?P<place>\d+)\]")
_DATA_DEPENDENT = ("GuardOnDataDependentSymNode", "data-dependent", "unbacked", "Unsupported")
# A word in the source that was running -> a way around what torch cannot trace there.
_WAYS = {
    "_detect_is_causal_mask": (
        "torch looks whether a mask is causal; say so yourself with is_causal= (of nn.Transformer, "
        "src_is_causal= and tgt_is_causal=)"
    ),
    "expert": (
        "a loop runs over the experts that tokens chose; where the model has another way to "
        "compute them, choose it: model.set_experts_implementation('batched_mm'); else put in "
        "their place a module that computes all experts and weighs what they give"
    ),
    "padding_mask": (
        "the model looks for padding itself where it is given no mask; pass the masks of all its "
        "inputs: attention_mask=, decoder_attention_mask="
    ),
    "attention_interface": (
        "another implementation of attention may do without: attn_implementation='eager' or "
        "'sdpa' in the model's configuration"
    ),
    "past_key_values": "without a cache the model may do without: use_cache=False",
}
_MOVED = "_apply(): Couldn't swap"
_SPECIALISED = ("Constraints violated", "ConstraintViolation", "specialized")


class SpecialisedError(ConversionError):
    """The model holds named axes to one size.

    Attributes:
        axes: their names.
    """

    def __init__(self, message: str, axes: Sequence[str]) -> None:
        super().__init__(message)
        self.axes = tuple(axes)


def explained(
    error: Exception,
    words: Mapping[str, Sequence[AxisWord]],
    shapes: Mapping[str, Sequence[int]],
    run: Callable[[], object] | None = None,
) -> ConversionError:
    """Our exception for one of torch's, caused by it: what happened, where, and what to do.

    `run` runs the model on the samples without tracing it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    text = f"{type(error).__name__}: {error}"
    held: Mapping[str, int] = {}
    if any(word in text for word in _SPECIALISED):
        held = _specialised(text, words, shapes)
        told = _advice(held)
    elif any(word in text for word in _DATA_DEPENDENT):
        told = (
            "the model's Python code depends on values of tensors (an if, a loop, .item()); a "
            "graph has no such choices: use torch.where or torch.cond there, or pass what is "
            "decided as an argument that is not a tensor"
        )
        told += _way_around(f"{frame.name} {frame.line}" for frame in frames)
    elif _MOVED in text:
        told = (
            "the model changes the type or device of a module while it runs, which a graph cannot; "
            "do it before the conversion, module.to(...), so that nothing is left to change"
        )
    elif run is not None and (failure := _failure(run)) is not None:
        return failure
    else:
        told = "torch.export could not trace the model"
        if run is not None:
            told += ", though it runs on these samples: its code takes another way when traced"
    message = f"{told}{_place(frames)}. Torch says: {_first_line(error)}"
    result = SpecialisedError(message, list(held)) if held else ConversionError(message)
    result.__cause__ = error
    return result


def _failure(run: Callable[[], object]) -> ConversionError | None:
    """What goes wrong when the model runs on its samples, if something does."""
    try:
        run()
    except Exception as error:
        place = _place(traceback.extract_tb(error.__traceback__))
        what = f"{type(error).__name__}: {_first_line(error)}"
        result = ConversionError(f"the model does not run on these arguments{place}: {what}")
        result.__cause__ = error
        return result
    return None


def _place(frames: Iterable[traceback.FrameSummary]) -> str:
    where = source_line((frame.filename, frame.lineno or 0) for frame in frames)
    return f" at {where}" if where else ""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _way_around(calls: Iterable[str]) -> str:
    """What is known to help with one of the calls that were running, the innermost first."""
    for call in reversed(list(calls)):
        for word, way in _WAYS.items():
            if word in call:
                return f" ({way})"
    return ""


def _specialised(
    text: str, words: Mapping[str, Sequence[AxisWord]], shapes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Which of the named axes the model holds to one size, and that of the sample."""
    sizes: dict[str, int] = {}
    for match in _INPUT.finditer(text):
        path = ".".join(re.findall(r"\['?([^'\]]+)'?\]", match["keys"]))
        path = path if path in words else path.partition(".")[2]
        place = int(match["place"])
        if path in words and (name := words[path][place].name) is not None:
            sizes[name] = shapes[path][place]
    return sizes


def _advice(sizes: Mapping[str, int]) -> str:
    if not sizes:
        return "the model only works for the sizes of the sample"
    listed = ", ".join(map(repr, sizes))
    name, size = next(iter(sizes.items()))
    return (
        f"the model only works for one size of axis {listed}; fix the axis in axes= "
        f"('{name}={size}') or trace with other samples"
    )
