"""Recurrent layers as scans over the time axis.

What does not depend on the state, the input's part of the gates, is one contraction outside of the
scan. Source of the formulas: torch.nn.LSTM, GRU and RNN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from graftwork.frontends.torch.rules.contraction import linear
from graftwork.frontends.torch.rules.registry import Call, rule
from graftwork.frontends.torch.rules.reshaping import reshaped
from graftwork.frontends.torch.rules.views import joined, taken
from graftwork.frontends.torch.values import extent_of
from graftwork.ir import ops
from graftwork.ir.build import Builder, Term
from graftwork.ir.graph import Region, Value
from graftwork.ir.op import REGISTRY
from graftwork.ir.positional import (
    Label,
    Positional,
    carrying,
    carrying_axes,
    matched,
    renamed,
)
from graftwork.ir.sizes import Size

Step = Callable[["Gates", tuple[Term, ...]], tuple[Term, ...]]


@frozen(eq=False)
class Gates:
    """What the gates of a cell get at one step, each over the axes of the state.

    Attributes:
        given: the input's part of each gate.
        recalled: the state's part of each gate.
    """

    given: tuple[Term, ...]
    recalled: tuple[Term, ...]

    def __getitem__(self, gate: int) -> Term:
        return self.given[gate] + self.recalled[gate]


def _lstm_step(gates: Gates, state: tuple[Term, ...]) -> tuple[Term, ...]:
    _, cell = state
    admit, keep, show = (ops.logistic(gates[i]) for i in (0, 1, 3))
    cell = keep * cell + admit * ops.tanh(gates[2])
    return show * ops.tanh(cell), cell


def _gru_step(gates: Gates, state: tuple[Term, ...]) -> tuple[Term, ...]:
    (hidden,) = state
    reset, keep = ops.logistic(gates[0]), ops.logistic(gates[1])
    new = ops.tanh(gates.given[2] + reset * gates.recalled[2])
    return ((1.0 - keep) * new + keep * hidden,)


def _rnn_step(word: str) -> Step:
    return lambda gates, state: (REGISTRY[word](gates[0]),)


@frozen(eq=False)
class _Cell:
    """A kind of recurrent cell: its number of gates and its step."""

    gates: int
    step: Step


@rule("graftwork.lstm", "aten.lstm.input")
def lstm(
    call: Call,
    input: Positional,
    hx: Sequence[Positional],
    params: Sequence[Positional],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Positional, ...]:
    """Long short-term memory."""
    if hx[0].dims[-1] is not None and hx[0].size(2) != hx[1].size(2):
        raise call.refuse("an LSTM with projections (proj_size)")
    options = (has_biases, num_layers, bidirectional, batch_first)
    return _layers(call, _Cell(4, _lstm_step), input, hx, params, *options)


@rule("graftwork.gru", "aten.gru.input", "graftwork.rnn_tanh", "aten.rnn_tanh.input",
      "graftwork.rnn_relu", "aten.rnn_relu.input")  # fmt: skip
def gru(
    call: Call,
    input: Positional,
    hx: Positional,
    params: Sequence[Positional],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Positional, ...]:
    """Gated recurrent units, and plain recurrence."""
    word = call.op.split(".")[1]
    cell = _Cell(3, _gru_step) if word == "gru" else _Cell(1, _rnn_step(word.removeprefix("rnn_")))
    options = (has_biases, num_layers, bidirectional, batch_first)
    return _layers(call, cell, input, [hx], params, *options)


def _layers(
    call: Call,
    cell: _Cell,
    x: Positional,
    initial: Sequence[Positional],
    params: Sequence[Positional],
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Positional, ...]:
    """Stacked layers; the outputs of the last, and the final states of all."""
    if batch_first and x.rank == 3:
        x = _swapped(x)
    directions = 2 if bidirectional else 1
    stride = 4 if has_biases else 2
    finals: list[tuple[Positional, ...]] = []
    for layer in range(num_layers):
        outputs: list[Positional] = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = params[number * stride : (number + 1) * stride]
            state = [taken(each, 0, number) for each in initial]
            output, last = _scanned(call, cell, x, state, weights, reverse=direction == 1)
            outputs.append(output)
            finals.append(last)
        x = joined(outputs, x.rank - 1)
    states = tuple(
        joined([Positional(s.term, (None, *s.dims)) for s in each], 0)
        for each in zip(*finals, strict=True)
    )
    return (_swapped(x) if batch_first and x.rank == 3 else x, *states)


def _swapped(x: Positional) -> Positional:
    return Positional(x.term, (x.dims[1], x.dims[0], *x.dims[2:]))


def _scanned(
    call: Call,
    cell: _Cell,
    x: Positional,
    state: Sequence[Positional],
    weights: Sequence[Positional],
    *,
    reverse: bool,
) -> tuple[Positional, tuple[Positional, ...]]:
    """One layer in one direction: all outputs, and the final states."""
    w_in, w_state, *biases = weights
    width = extent_of(state[0], state[0].rank - 1)
    given = _by_gate(linear(call, x, w_in, *biases[:1]), -1, cell.gates, width)
    recall = [_by_gate(w, 0, cell.gates, width) for w in (w_state, *biases[1:])]
    full = [carrying_axes(each) for each in (carrying(given, 0, given.rank - 2), *state, *recall)]
    inner = given.rank - 3  # dimensions of a batch
    batch: list[Label] = [("batch", n) for n in range(inner)]
    labels: list[list[Label]] = [["time", *batch, "gate", "hidden"]]
    labels += [[*batch, "hidden"] for _ in state]
    kept: list[list[Label]] = [["gate", "new", "hidden"], ["gate", "hidden"]]
    labels += kept[: len(recall)]
    found, axes = matched(*zip(full, labels, strict=True))
    time, gate = axes["time"], axes["gate"]
    assert time is not None
    assert gate is not None
    given_term, *others = (each.term for each in found)
    count = len(state)

    def step(carry: tuple[Term, ...], now: Term, consts: tuple[Term, ...]) -> tuple[Term, ...]:
        recalled = _recalled(carry[0], consts, axes["hidden"], axes["new"])
        parts = [
            tuple(ops.index(term, axis=gate, at=i) for i in range(cell.gates))
            for term in (now, recalled)
        ]
        return cell.step(Gates(*parts), carry)

    body = _body(call.builder, step, others[:count], given_term, others[count:], time)
    *finals, outputs = call.builder.emit(
        REGISTRY["scan"],
        [*others[:count], given_term, *others[count:]],
        {"axis": time, "carry": count, "xs": 1, "reverse": reverse},
        [body],
    )
    places = tuple(axes[label] for label in (*batch, "hidden"))
    return Positional(outputs, (time, *places)), tuple(Positional(f, places) for f in finals)


def _by_gate(x: Positional, place: int, gates: int, width: Size | None) -> Positional:
    """A dimension that holds all gates, as the gate and the position in the state."""
    extents = [extent_of(x, p) for p in range(x.rank)]
    place = place % x.rank
    parts = (None if gates == 1 else gates, width)
    x = reshaped(x, (*extents[:place], *parts, *extents[place + 1 :]))
    return carrying(x, place)


def _recalled(hidden: Term, consts: tuple[Term, ...], axis: str | None, new: str | None) -> Term:
    """The state's part of the gates."""
    weight, *biases = consts
    if axis is None or new is None:
        product = hidden * weight
    else:
        product = renamed(ops.contract(hidden, weight, over=[axis]), {new: axis})
    return product + biases[0] if biases else product


def _body(
    builder: Builder,
    step: Callable[[tuple[Term, ...], Term, tuple[Term, ...]], tuple[Term, ...]],
    carry: Sequence[Term],
    given: Term,
    consts: Sequence[Term],
    time: str,
) -> Region:
    """One step as a region: it gives the next carry, and the output as a row."""
    inner = Builder(builder.typing, builder.origin)
    types = [*(x.type for x in carry), given.type.without([time]), *(x.type for x in consts)]
    values = tuple(Value(each) for each in types)
    terms = tuple(Term(value, inner) for value in values)
    count = len(carry)
    state = step(terms[:count], terms[count], terms[count + 1 :])
    results = tuple(x.value for x in (*state, state[0]))
    return Region(values, tuple(inner.nodes), results)
