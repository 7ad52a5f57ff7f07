"""The LSTM of 1997; without a forget gate, by default.

    net_u = W_u x_t + R_u (y, i, o)_{t-1} + b_u       u: cells, input gates i, output gates o; all hidden units at once
    i = σ(net_i)   o = σ(net_o)                       one of each a block
    s_t = s_{t-1} + i * g(net_c)                      with `forget_gate` (2000): f * s_{t-1} + i * g(net_c), f = σ(net_f)
    y_t = o * h(s_t)

Blocks of cells share their gates, gates see cells and gates, and gradients are cut at hidden units.

g(x) = 4 σ(x) - 2, h(x) = 2 σ(x) - 1. What hidden units read of the step before is a constant to the gradient (`truncated`), so
that errors flow back through s only; the weights R learn all the same. Sequences of W, R and b stand in the order cells, input
gates, output gates, forget gates.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory, section 4 and appendix A; forget gates: Gers, Schmidhuber &
Cummins 2000, Learning to forget.

Group: LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ...kernels.lengths import check_shapes
from ...kernels.lstm_1997 import NetworkForm
from ...kernels.recurrence import machine_code
from ...options import AboveZero, Needs, Positive
from ..mechanism import Mechanism, State, Step, leaves

RANGES = {  # of a squashing function: (span, low), the function span * σ + low
    "2": (4.0, -2.0),
    "1": (2.0, -1.0),
    "logistic": (1.0, 0.0),
    "linear": (0.0, 0.0),
}


class LSTM1997(Mechanism):
    version = 1
    row_rules = ("online", "guess", "streams")  # how it can be trained row by row: values of train.rule, and on streams

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of cells, over all blocks
        block_size: Positive = 1,  # cells per block, which share its gates
        feedback: bool = True,  # cells and gates see those of the step before; false: inputs only (1997: 2a, 2b)
        gates_seen: Annotated[
            bool, Needs("feedback", values=(True,))
        ] = True,  # cells and gates see the gates of the step before, too; false: cells only (2000)
        output_gate: bool = True,  # blocks have an output gate; false: o = 1 (1997: 2a, 2b)
        forget_gate: bool = False,  # blocks have a forget gate (2000)
        biased: Literal["none", "gates", "all"] = "all",  # which units have a bias
        spread: Annotated[
            AboveZero, Needs("network.spread", values=(0,))
        ] = 0.1,  # initialize weights and biases uniformly in ± this
        input_bias: Annotated[
            tuple[float, ...], Needs("network.spread", values=(0,))
        ] = (),  # initial bias of each block's input gate; []: as the weights
        output_bias: Annotated[
            tuple[float, ...], Needs("output_gate", values=(True,)), Needs("network.spread", values=(0,))
        ] = (),  # initial bias of each block's output gate; []: as the weights
        forget_bias: Annotated[
            tuple[float, ...], Needs("forget_gate", values=(True,)), Needs("network.spread", values=(0,))
        ] = (),  # initial bias of each block's forget gate; []: as the weights
        bias_spread: Annotated[
            bool, Needs("network.spread", values=(0,))
        ] = False,  # add the given biases to random ones instead of replacing them
        g: Literal["2", "1", "logistic"] = "2",  # range of g: [-2, 2], [-1, 1], or [0, 1] (1997: 2a, 2b)
        h: Literal["2", "1", "linear"] = "1",  # range of h: [-2, 2], [-1, 1], or h(s) = s (1997: 2a, 2b)
        begin: Literal["0", "half"] = "0",  # initial activation of all hidden units: 0, or 1/2 as σ(0)
        truncated: bool = True,  # cut gradients at what hidden units read of the step before
    ):
        super().__init__()
        if hidden_size % block_size:
            raise ValueError(f"model.hidden_size={hidden_size} is not a multiple of model.block_size={block_size}")
        self.input_size, self.output_size, self.truncated = input_size, hidden_size, truncated
        self.blocks = hidden_size // block_size
        first = 0.5 if begin == "half" else 0.0
        self.form = NetworkForm(block_size, output_gate, RANGES[g], RANGES[h], first, forget_gate=forget_gate)
        self.gate_names = "i" + "o" * output_gate + "f" * forget_gate  # in the order of their rows
        gates = self.blocks * len(self.gate_names)
        self.gates_count, self.gates_seen, units = gates, gates_seen, hidden_size + gates
        seen = units if gates_seen else hidden_size
        self.W = nn.Parameter(torch.empty(units, input_size).uniform_(-spread, spread))
        self.R = nn.Parameter(torch.empty(units, seen).uniform_(-spread, spread)) if feedback else None
        self.b = None
        if biased != "none":
            self.b = nn.Parameter(torch.empty(units if biased == "all" else gates).uniform_(-spread, spread))
        for key, given in (("input", input_bias), ("output", output_bias), ("forget", forget_bias)):
            self._set_biases(f"model.{key}_bias", given, self.gate_names.find(key[0]) * self.blocks, bias_spread)

    @torch.no_grad()
    def _set_biases(self, key: str, given: Sequence[float], first: int, added: bool) -> None:
        """The biases of the gates from gate number `first` on; ValueError where there are not as many as blocks."""
        if not given:
            return
        if self.b is None or len(given) != self.blocks:
            held = "no gate has a bias" if self.b is None else f"there are {self.blocks} blocks"
            raise ValueError(f"{key}={list(given)}: {held}")
        gates = self.b[len(self.b) - self.gates_count :][first : first + self.blocks]
        own = torch.tensor(given, device=gates.device)
        (gates.add_ if added else gates.copy_)(own)

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
        """y (B, C), s (B, C), and the gates (B, G)."""
        y, s = self.W.new_full((batch_size, self.output_size), self.form.begin), self.W.new_zeros(batch_size, self.output_size)
        return y, s, self.W.new_full((batch_size, self.gates_count), self.form.begin)

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        kernels = machine_code(x) if x.dtype == torch.float64 and not torch.is_grad_enabled() else None
        if kernels is None:
            return self.loop(x, state, lengths)
        T, B, C, G = *x.shape[:2], self.output_size, self.gates_count
        y, s, gates = (part.detach().clone(memory_format=torch.contiguous_format) for part in leaves(state))  # written to
        check_shapes(lengths=(lengths, (B,)), y=(y, (B, C)), s=(s, (B, C)), gates=(gates, (B, G)))
        steps = torch.full((B,), T) if lengths is None else lengths.long().clamp(max=T).contiguous()
        net = x @ self.W.t()
        if self.b is not None:
            net = net + nn.functional.pad(self.b, (C + G - len(self.b), 0))
        R = net.new_empty(C + G, 0) if self.R is None else self.R.detach().contiguous()
        ys = net.new_zeros(T, B, C)
        state_arrays = y.numpy(), s.numpy(), gates.numpy()
        kernels.lstm_1997_read(net.contiguous().numpy(), R.numpy(), self.form, steps.numpy(), *state_arrays, ys.numpy())
        return ys, (y, s, gates)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        y, s, gates = state
        net = x @ self.W.t()
        if self.R is not None:
            before = y if seen is None else seen
            before = torch.cat([before, gates], 1) if self.gates_seen else before
            net = net + (before.detach() if self.truncated else before) @ self.R.t()
        if self.b is not None:
            net = net + nn.functional.pad(self.b, (net.shape[1] - len(self.b), 0))
        net_c, net_gates = net.split([self.output_size, self.gates_count], 1)
        gates = torch.sigmoid(net_gates)
        parts = gates.repeat_interleave(self.form.block, 1).split(self.output_size, 1)  # of each cell, those of its block
        named = dict(zip(self.gate_names, parts, strict=True))
        if "f" in named:
            s = named["f"] * s
        s = s + named["i"] * _squash(net_c, self.form.g)
        y = _squash(s, self.form.h)
        if "o" in named:
            y = named["o"] * y
        return y, (y, s, gates), named

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Of cells (g) and gates, each block's gates once a cell: what acts of the cells of the step before."""
        if self.R is None:
            return {}
        from_cells = self.R.detach()[:, : self.output_size]
        gates = from_cells[self.output_size :].repeat_interleave(self.form.block, 0)
        return dict(zip("g" + self.gate_names, (from_cells[: self.output_size], *gates.split(self.output_size)), strict=True))


def _squash(x: Tensor, how: tuple[float, float]) -> Tensor:
    span, low = how
    return span * torch.sigmoid(x) + low if span else x
