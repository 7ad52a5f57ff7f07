"""Long short-term memory and its relatives: peepholes, missing gates, coupled gates, projection.

    (a_i, a_f, a_g, a_o) = W x_t + R h_{t-1} + b        rows of W, R and b stand in the order i, f, g, o
    i = σ(a_i + p_i * c_{t-1})                          those of p in the order i, f, o
    f = σ(a_f + p_f * c_{t-1})
    g = tanh(a_g)
    c_t = f * c_{t-1} + i * g
    o = σ(a_o + p_o * c_t)                              the output gate sees the new cell
    h_t = o * tanh(c_t)

Departures, each an argument:

    gates               those of i, f, o that exist, and g; a gate that is missing is 1, and has no rows in W, R, b and p
    coupled             f = 1 - i, and f has no rows
    squash_input        if false, g is linear
    squash_output       if false, h_t = o * c_t
    cell_to_output      a matrix V (H, H), with V c_t in place of p_o * c_t
    projection          a matrix M (P, H), with h_t = M (o * tanh(c_t)), so that R is (4H, P)
    gate_recurrence     a matrix Q (3H, 3H): i, f, o of the step before act on i, f, o, and belong to the state

In the names of Greff et al., NIG is gates="fgo", NFG "igo", NOG "ifg", CIFG "igo" with coupled, NIAF and NOAF are the two
squash arguments, NP is no peepholes, FGR is gate_recurrence.

Source: Hochreiter & Schmidhuber 1997; Gers, Schraudolph & Schmidhuber 2002 (p); Sak, Senior & Beaufays 2014, arXiv:1402.1128
(M); Greff et al. 2017, arXiv:1503.04069 (the departures); the code of Arjovsky, Shah & Bengio 2016, arXiv:1511.06464 (V).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .lengths import check_shapes, cut_to_lengths, enter, padding, ragged
from .lstm_fused import Form, FusedLSTM
from .lstm_sequence import LSTMSequence
from .lstm_steps import LSTMSteps, kernels
from .products import bias, biases, by_hand
from .recurrence import GradientSink, Request, choose_backend, machine_code

SHUT = 1e4  # a gate's pre-activation whose sigmoid is exactly 0 or 1


def lstm(
    x: Tensor,
    state: tuple[Tensor, ...],
    W: Tensor,
    R: Tensor,
    b_i: Tensor | None = None,
    b_h: Tensor | None = None,
    *,
    peepholes: Tensor | None = None,
    gates: str = "ifgo",
    coupled: bool = False,
    squash_input: bool = True,
    squash_output: bool = True,
    cell_to_output: Tensor | None = None,
    projection: Tensor | None = None,
    gate_recurrence: Tensor | None = None,
    lengths: Tensor | None = None,
    backend: str = "auto",
    sink: GradientSink | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(y (T, B, P), the state after each row's last valid step) from x (T, B, I) and the initial state.

    The state is (h (B, P), c (B, H)), with gate_recurrence (h, c, gates (B, 3H)); P is H without projection.
    W (G H, I), R (G H, P), b_i and b_h (G H) or None, peepholes (G - 1, H) or None, less o's row with cell_to_output.
    `lengths` (B,) counts valid steps; y is zero at padding. `backend` is auto, library or fused; `sink` receives the norms
    of ∂L/∂h_t and ∂L/∂c_t from the fused one.
    Raises ValueError for gates, peepholes, shapes or a back end that cannot be.
    """
    form = Form(gates, coupled, squash_input, squash_output)
    form.check(peepholes, cell_to_output, gate_recurrence)
    (T, B, inputs), G = x.shape, len(gates)
    H = len(R) // G
    P = H if projection is None else len(projection)
    check_shapes(W=(W, (G * H, inputs)), R=(R, (G * H, P)), b_i=(b_i, (G * H,)), b_h=(b_h, (G * H,)), lengths=(lengths, (B,)))
    rows = 0 if peepholes is None else len(peepholes)  # that there may be so many, `form.check` has seen
    check_shapes(h=(state[0], (B, P)), c=(state[1], (B, H)), peepholes=(peepholes, (rows, H)))
    check_shapes(cell_to_output=(cell_to_output, (H, H)), projection=(projection, (P, H)))
    if len(state) != (2 if gate_recurrence is None else 3):
        raise ValueError(f"a state of {len(state)} parts; expected h, c{'' if gate_recurrence is None else ' and gates'}")
    if gate_recurrence is not None:
        check_shapes(gate_recurrence=(gate_recurrence, (3 * H, 3 * H)), gates=(state[2], (B, 3 * H)))
    lengths = ragged(lengths, T)
    x, others = enter(x, R, lengths), (cell_to_output, projection, gate_recurrence)
    in_library = form == Form() and cell_to_output is None and gate_recurrence is None and peepholes is None
    if choose_backend(backend, in_library, projection is None or x.is_cuda, sink) == "library":
        return library_lstm(x, state, W, R, biases(R, b_i, b_h), projection, lengths)
    b = bias(R, b_i, b_h)
    h, c, *gate = (part.to(R.dtype) for part in state)
    e, (V, M, Q) = gate[0] if gate else None, others
    if by_hand(machine_code(x), B, R, W, *others):
        request = Request(lengths, torch.is_grad_enabled(), sink, machine_code(x))
        matrices = (part if part is None else part.contiguous() for part in (W, R, b, peepholes, V, M, Q))
        y, h, c, e = LSTMSequence.apply(x, h, c, e, *matrices, form, request)
        return y, (h, c) if e is None else (h, c, e)
    kernel = kernels(x, form) if V is M is Q is None else None
    request = Request(lengths, torch.is_grad_enabled(), sink, kernel)
    if kernel is not None:
        y, h, c = LSTMSteps.apply(x, h, c, W, R, b, peepholes, form, request)
        return y, (h, c)
    if e is not None and Q is not None:
        e, Q = spread(e), spread(spread(Q).t()).t()
    y, h, c, e = FusedLSTM.apply(x, h, c, e, W, R, b, peepholes, V, M, Q, form, request)
    return y, (h, c) if e is None else (h, c, torch.cat([e[:, : 2 * H], e[:, 3 * H :]], 1))


def library_lstm(
    x: Tensor, state: tuple[Tensor, ...], W: Tensor, R: Tensor, b: Tensor, M: Tensor | None, lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    h, c = (part.unsqueeze(0) for part in state)
    if lengths is not None:
        # An input column that is 1 at padding shuts the gates there: f = 1 and i = 0 carry c through unchanged.
        shut = W.new_tensor([-SHUT, SHUT, 0, 0]).repeat_interleave(c.shape[2])
        x, W = torch.cat([x, padding(lengths, len(x)).to(x.dtype)], 2), torch.cat([W, shut.unsqueeze(1)], 1)
    weights = (W, R, *b) if M is None else (W, R, *b, M)
    y, h_T, c_T = torch.lstm(x, (h, c), weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    y, h = (y, h_T[0]) if lengths is None else cut_to_lengths(y, h[0], lengths)
    return y, (h, c_T[0])


def spread(gates: Tensor) -> Tensor:
    """(N, 4H) from (N, 3H): zeros where g stands between f and o."""
    H = gates.shape[1] // 3
    return torch.cat([gates[:, : 2 * H], torch.zeros_like(gates[:, :H]), gates[:, 2 * H :]], 1)
