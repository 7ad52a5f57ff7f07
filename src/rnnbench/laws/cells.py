"""What must hold of every mechanism, as functions of one that raise AssertionError with a line that says what does not.

A mechanism is tried in float64, or in float32 where a law says so, and in evaluation mode, on B rows of T steps; rows of
LENGTHS steps are padded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..kernels.recurrence import GradientSink
from ..models.mechanism import Mechanism, State, at_last, leaves, reset, tree_map
from ..options import amount

B, T, D, H = 4, 7, 3, 4
LENGTHS = torch.tensor([7, 3, 1, 5])
VALID = torch.arange(T) < LENGTHS.unsqueeze(1)


def tried(cell: Mechanism) -> Mechanism:
    """`cell` in float64 and in evaluation mode, its biases and weights away from zero."""
    with torch.no_grad():
        for parameter in cell.double().eval().parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return cell


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def sequences(cell: Mechanism) -> Tensor:
    """(B, T, input_size)"""
    return drawn(B, T, cell.input_size)


def real(state: State) -> list[Tensor]:
    """The tensors of a state that gradients reach."""
    return [leaf for leaf in leaves(state) if leaf.is_floating_point()]


def objective(y: Tensor, state: State, valid: Tensor | None = None) -> Tensor:
    """A number that all valid outputs and all parts of the final state act on."""
    y = y if valid is None else y[valid]
    total = (y.square() * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum()
    return total + sum((leaf.pow(3).sum() for leaf in real(state)), torch.zeros((), dtype=y.dtype))


def gradients_of(total: Tensor, inputs: list[Tensor], retain_graph: bool = False) -> list[Tensor]:
    return list(torch.autograd.grad(total, inputs, retain_graph=retain_graph, allow_unused=True, materialize_grads=True))


def agree(found: Any, expected: Any, said: str, tolerance: float = 1e-12) -> None:
    """Raises AssertionError with `said` where two trees of tensors are not equal within `tolerance`."""
    found, expected = leaves(found), leaves(expected)
    assert len(found) == len(expected), f"{said} ({len(found)} tensors, and {len(expected)})"
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape, f"{said} (shapes {tuple(one.shape)} and {tuple(other.shape)})"
        if not torch.allclose(one, other, rtol=tolerance, atol=tolerance):
            raise AssertionError(f"{said} (off by {(one - other).abs().max().item():.2g})")


def states_of_a_loop(cell: Mechanism, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Any, list[list[Tensor]]]:
    """(y (B, T, D), final state, the state's tensors as each step made them), written out step by step; y is 0 at padding."""
    state, outputs, states = cell.initial_state(len(x)), [], []
    for t, x_t in enumerate(x.unbind(1)):
        y, new, _ = cell.step(x_t, state)
        states.append(leaves(new))
        ended = torch.zeros(len(x), dtype=torch.bool) if lengths is None else t >= lengths
        state = reset(new, ended, state)
        outputs.append(y.masked_fill(ended.unsqueeze(1), 0))
    return torch.stack(outputs, 1), state, states


# The laws


def shapes(cell: Mechanism) -> None:
    """Outputs and states have the right shapes, are finite, and are the same when computed again."""
    y, state = cell(sequences(cell))
    expected = (B, T, cell.output_size)
    assert y.shape == expected, f"y has the shape {tuple(y.shape)}; expected (B, T, output_size), {expected}"
    for leaf in [*leaves(state), *leaves(cell.initial_state(B))]:
        assert leaf.dim() > 0 and len(leaf) == B, f"a state of shape {tuple(leaf.shape)}; its first axis is the batch, {B}"
    assert y.isfinite().all(), "outputs are not finite"
    agree(cell(sequences(cell)), (y, state), "in evaluation mode, the same input gives another output", 0)


def output_shape(cell: Mechanism) -> None:
    """In float32, `step` gives three values, y is (B, T, output_size), and the first axis of the state is B."""
    assert cell.output_size >= 1, f"output_size is {cell.output_size}; expected at least 1"
    cell, x = cell.float(), torch.zeros(2, 3, cell.input_size)
    with torch.no_grad():
        step = cell.step(x[:, 0], cell.initial_state(2))
        parts = len(step) if isinstance(step, tuple) else 1
        assert parts == 3, f"step returns the output, the state after it and its gates by name; got {amount(parts, 'value')}"
        assert isinstance(step[2], dict), (
            f"gates are tensors by name; got {type(step[2]).__name__}; a cell without gates gives {{}}"
        )
        numbers = [name for name, gate in step[2].items() if not isinstance(gate, torch.Tensor)]
        assert not numbers, f"gates are tensors (B, H); {', '.join(numbers)} is none"
        y, state = cell(x)
    expected = (2, 3, cell.output_size)
    assert y.shape == expected, f"y is {tuple(y.shape)}; expected (B, T, output_size), here {expected}"
    for one in (cell.initial_state(2), state):
        sizes = [tuple(leaf.shape) for leaf in leaves(one)]
        assert all(size[:1] == (2,) for size in sizes), f"the state has tensors of {sizes}; their first axis must be B, here 2"


def finite_in_float32(cell: Mechanism) -> None:
    """In float32, outputs and gradients are finite; of a first step with inputs up to 30, too."""
    cell, inputs = cell.float(), sequences(cell).float().clamp(-3, 3)
    for x, of in ((inputs, ""), (10 * inputs[:, :1], " for inputs up to 30")):
        x.requires_grad_()
        y, state = cell(x)
        assert y.isfinite().all(), f"in float32, outputs{of} are not finite"
        gradients = gradients_of(objective(y, state), [x, *cell.parameters()])
        assert all(one.isfinite().all() for one in gradients), f"in float32, gradients{of} are not finite"


def no_future(cell: Mechanism) -> None:
    """An output depends on no later input."""
    x, other = sequences(cell), drawn(B, T, cell.input_size, seed=2)
    y, _ = cell(x)
    for t in range(1, T):
        changed, _ = cell(torch.cat([x[:, :t], other[:, t:]], 1))
        agree(changed[:, :t], y[:, :t], f"reads the future: outputs before step {t} change with inputs from there on")


def rows(cell: Mechanism) -> None:
    """A row of a batch is what it is alone."""
    x = sequences(cell)
    y, state = cell(x)
    for row in range(B):
        alone, end = cell(x[row : row + 1])
        agree(alone[0], y[row], "a row's output depends on the other rows of its batch")
        agree([leaf[0] for leaf in leaves(end)], [leaf[row] for leaf in leaves(state)], "a row's state depends on the others")


def chunks_agree(cell: Mechanism) -> None:
    """A whole sequence, its chunks with the state carried, and its steps give one output and one state."""
    x = sequences(cell)
    y, state = cell(x)
    for size in (1, 3):
        carried, parts = None, []
        for chunk in x.split(size, 1):
            part, carried = cell(chunk, carried)
            parts.append(part)
        agree(torch.cat(parts, 1), y, f"outputs of chunks of {size} steps, the state carried, are not those of the whole")
        agree(carried, state, f"the state after chunks of {size} steps is not that after the whole")
    stepped, outputs = cell.initial_state(B), []
    for x_t in x.unbind(1):
        y_t, stepped, _ = cell.step(x_t, stepped)
        outputs.append(y_t)
    agree(torch.stack(outputs, 1), y, "outputs of `step` are not those of `forward`")
    agree(stepped, state, "the state after `step` is not that after `forward`")
    advanced, outputs = cell.initial_state(B), []
    with torch.no_grad():
        for x_t in x.unbind(1):
            y_t, advanced = cell.advance(x_t, advanced)
            outputs.append(y_t)
    agree(torch.stack(outputs, 1), y, "outputs of `advance` are not those of `forward`")
    agree(advanced, state, "the state after `advance` is not that after `forward`")


def ragged_chunks(cell: Mechanism) -> None:
    """The same holds for rows of several lengths."""
    x = sequences(cell)
    y, state = cell(x, None, LENGTHS)
    first, carried = cell(x[:, :4], None, LENGTHS.clamp(max=4))
    rest, carried = cell(x[:, 4:], carried, (LENGTHS - 4).clamp(min=0))
    agree(torch.cat([first, rest], 1)[VALID], y[VALID], "with lengths, outputs of chunks are not those of the whole")
    agree(carried, state, "with lengths, the state after chunks is not that after the whole")


def fresh_rows(cell: Mechanism) -> None:
    """Putting a row's state back to the initial one erases its past."""
    x = sequences(cell)
    _, state = cell(x[:, :4])
    fresh = torch.tensor([False, True, False, True])
    y, end = cell(x[:, 4:], reset(state, fresh, cell.initial_state(B)))
    anew, begun = cell(x[:, 4:])
    whole, going_on = cell(x)
    agree(y[fresh], anew[fresh], "a row put back to the initial state knows of what went before")
    agree(y[~fresh], whole[:, 4:][~fresh], "a row that goes on is changed where another begins anew")
    agree(end, reset(going_on, fresh, begun), "the state of rows that begin anew is not that of a beginning")


def padding_is_inert(cell: Mechanism) -> None:
    """Padding changes no valid output, no state and no gradient."""
    x = sequences(cell).requires_grad_()
    y, state = cell(x, None, LENGTHS)
    inputs = [x, *cell.parameters()]
    gradients = gradients_of(y[VALID].square().sum() + objective(y[:, :0], state), inputs)
    alone = [cell(x[row : row + 1, :length]) for row, length in enumerate(LENGTHS.tolist())]
    for row, (one, end) in enumerate(alone):
        agree(y[row, : LENGTHS[row]], one[0], "padding changes valid outputs")
        ended = [leaf[row] for leaf in leaves(state)]
        agree(ended, [leaf[0] for leaf in leaves(end)], "the state is not that after each row's last valid step")
    total = torch.stack([one.square().sum() + objective(one[:, :0], end) for one, end in alone]).sum()
    agree(gradients, gradients_of(total, inputs), "padding changes gradients", 1e-9)
    assert not gradients[0][~VALID].any(), "padding has a gradient"
    changed, end = cell(torch.where(VALID.unsqueeze(-1), x, 100.0), None, LENGTHS)
    agree(changed[VALID], y[VALID], "what stands at padding changes valid outputs")
    agree(end, state, "what stands at padding changes the state")


def back_ends(cell: Mechanism) -> None:
    """Every back end of `unroll` and the plain loop agree, in gradients too."""
    x = sequences(cell).requires_grad_()
    start = tree_map(
        lambda leaf: drawn(*leaf.shape, seed=3).requires_grad_() if leaf.is_floating_point() else leaf, cell.initial_state(B)
    )

    def results(unroll: Callable[..., Any], lengths: Tensor | None) -> tuple[Any, list[Tensor]]:
        valid = None if lengths is None else VALID
        y, state = unroll(x.transpose(0, 1), start, lengths)
        y = y.transpose(0, 1)
        gradients = gradients_of(objective(y, state, valid), [x, *real(start), *cell.parameters()])
        return (y if valid is None else y[valid], state), gradients

    for lengths in (None, LENGTHS):
        expected, gradients = results(cell.loop, lengths)
        able = 0
        for backend in ("auto", *cell.backends):
            cell.backend = backend
            try:
                found, theirs = results(cell.unroll, lengths)
            except ValueError:
                continue  # the library has no such form
            able += 1
            agree(found, expected, f"`unroll` (back end {backend}) gives other outputs than `step`", 1e-11)
            agree(theirs, gradients, f"`unroll` (back end {backend}) has other gradients than `step`", 1e-9)
        assert able >= 2, f"no back end of {', '.join(cell.backends)} computes it"
        cell.backend = "auto"


def finite_differences(cell: Mechanism) -> None:
    """Gradients agree with finite differences (not checked where `truncated` cuts them on purpose)."""
    if not getattr(cell, "truncated", False):
        assert gradients_are_right(cell), "a wrong gradient: it does not agree with finite differences"


def gradients_are_right(cell: Mechanism) -> bool:
    """Whether gradients agree with finite differences."""
    x = sequences(cell)[:2, :3].clone().requires_grad_()
    state = tree_map(lambda leaf: 0.5 * drawn(*leaf.shape) if leaf.is_floating_point() else leaf, cell.initial_state(2))
    names = [name for name, _ in cell.named_parameters()]

    def run(x: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        it = iter(inputs)
        start = tree_map(lambda leaf: next(it) if leaf.is_floating_point() else leaf, state)
        y, end = torch.func.functional_call(cell, dict(zip(names, it, strict=True)), (x, start))
        return (y, *real(end))

    inputs = (x, *(leaf.requires_grad_() for leaf in real(state)), *cell.parameters())
    return torch.autograd.gradcheck(run, inputs, atol=1e-6, fast_mode=True, raise_exception=False)


def last_output(cell: Mechanism) -> None:
    """The last output is the first tensor of the state (not checked where `recurrent` is false)."""
    y, state = cell(sequences(cell), None, LENGTHS)
    if cell.recurrent:
        said = "the last valid output is not the first tensor of the state; a cell of another kind says recurrent = False"
        agree(at_last(y, LENGTHS), leaves(state)[0], said)


def time_major(cell: Mechanism) -> None:
    """`unroll`, which reads time-major input, gives what `forward` gives."""
    x = sequences(cell)
    y, state = cell(x, None, LENGTHS)
    twin, end = cell.unroll(x.transpose(0, 1), cell.initial_state(B), LENGTHS)
    agree(twin.transpose(0, 1), y, "`unroll` on time-major input does not give what `forward` gives", 0)
    agree(end, state, "`unroll` on time-major input does not give the state of `forward`", 0)


def recorded_gradients(cell: Mechanism) -> None:
    """The gradient norms recorded in training are those of the states; recording changes nothing."""
    x = sequences(cell)
    y, state = cell(x)
    sinks: list[GradientSink] = []
    cell.record(sinks)
    agree(cell(x), (y, state), "recording gradients changes outputs")
    with torch.no_grad():
        cell(x)
    assert len(sinks) == cell.recurrent and all(isinstance(sink, GradientSink) for sink in sinks), "`record` records nothing"
    for lengths in (None, LENGTHS) if cell.recurrent else ():
        sinks.clear()
        cell.record(sinks)
        y, state = cell(x, None, lengths)
        objective(y if lengths is None else y.masked_fill(~VALID.unsqueeze(-1), 0), state).backward()
        (sink,) = sinks
        y, state, states = states_of_a_loop(cell, x, lengths)
        assert sink.h is not None, "`record` records nothing of the state"
        for part, norms in enumerate((sink.h, sink.c)):
            if norms is None:
                assert part == len(states[0]) == 1, "`record` records nothing of the second part of the state"
                continue
            totals = gradients_of(objective(y, state), [step[part] for step in states], retain_graph=True)
            norms_of_a_loop = torch.stack([total.norm() for total in totals])
            agree(norms, norms_of_a_loop, "recorded gradients are not those of the states", 1e-9)
    cell.record(None)
    cell.zero_grad()


def gates(cell: Mechanism) -> None:
    """Gates lie between 0 and 1 and follow the steps; recurrent matrices are square."""
    x = sequences(cell)
    found = cell.gates(x)
    _, middle = cell(x[:, :4])
    later = cell.gates(x[:, 4:], middle)
    for name, values in found.items():
        assert values.shape[:2] == (B, T), f"gate {name} has the shape {tuple(values.shape)}; expected (B, T, units)"
        assert (values >= 0).all() and (values <= 1).all(), f"gate {name} is not between 0 and 1"
        agree(values[:, 4:], later[name], f"gate {name} does not follow the steps")
    for name, matrix in cell.recurrent_matrices().items():
        square = matrix.dim() == 2 and len(set(matrix.shape)) == 1 and not matrix.requires_grad
        assert square, f"recurrent matrix {name} is not square, or requires a gradient"


CELL_LAWS = (
    shapes,
    finite_in_float32,
    no_future,
    rows,
    chunks_agree,
    ragged_chunks,
    fresh_rows,
    padding_is_inert,
    back_ends,
    finite_differences,
    last_output,
    time_major,
    recorded_gradients,
    gates,
)
