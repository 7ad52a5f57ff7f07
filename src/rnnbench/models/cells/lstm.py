"""Long short-term memory, with a forget gate.

    i = σ(W_i x_t + R_i h_{t-1} + p_i * c_{t-1} + b_i)
    f = σ(W_f x_t + R_f h_{t-1} + p_f * c_{t-1} + b_f)
    g = tanh(W_g x_t + R_g h_{t-1} + b_g)
    c_t = f * c_{t-1} + i * g
    o = σ(W_o x_t + R_o h_{t-1} + p_o * c_t + b_o)          the output gate sees the new cell
    h_t = o * tanh(c_t)

Peepholes p, projection, and the ablations of Greff et al. are options. Rows of W, R and the biases stand in the order i, f, g,
o, those of p in the order i, f, o; a gate that is left out has none.

    peepholes=output_matrix   V c_t, V (H, H), in place of p_o * c_t, and neither p_i nor p_f
    proj_size                 h_t = M (o * tanh(c_t)), M (P, H)
    FGR                       i, f, o of step t also read Q (i, f, o)_{t-1}, Q (3H, 3H), which is part of the state
    CIFG                      f = 1 - i; its input gate starts at -forget_bias

Greff et al. call the form with peepholes vanilla; NP is peepholes=none, the default here.

Source: Hochreiter & Schmidhuber 1997; the forget gate: Gers, Schmidhuber & Cummins 2000, its bias: Jozefowicz et al. 2015;
peepholes: Gers, Schraudolph & Schmidhuber 2002, as a matrix: the code of Arjovsky, Shah & Bengio 2016, arXiv:1511.06464;
projection: Sak, Senior & Beaufays 2014, arXiv:1402.1128; ablations: Greff et al. 2017, arXiv:1503.04069.

Group: LSTM.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from ...kernels.lstm import lstm
from ...options import AboveZero, Count, Needs, Positive
from ..initial import make_biases, make_weight, remembering
from ..mechanism import Mechanism, State, Step


class LSTM(Mechanism):
    version = 1
    backends = ("library", "fused")
    pointwise = ("p",)

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of cells
        forget_bias: Annotated[
            float, Needs("chrono", values=(0,)), Needs("NFG", values=(False,)), Needs("network.spread", values=(0,))
        ] = 1.0,  # initial bias of the forget gate, summed over both biases
        recurrent_init: Annotated[
            Literal["uniform", "orthogonal", "glorot", "truncated"], Needs("network.spread", values=(0,))
        ] = "uniform",  # initialization of the recurrent matrices R, and of V
        input_init: Annotated[
            Literal["uniform", "glorot", "truncated"], Needs("network.spread", values=(0,))
        ] = "uniform",  # initialization of the input matrices W
        gain: Annotated[AboveZero, Needs("network.spread", values=(0,))] = 1.0,  # factor on the initial recurrent matrices R
        zero_bias: Annotated[
            bool, Needs("network.spread", values=(0,))
        ] = False,  # biases start at zero, except the forget gate's
        biases: Literal[1, 2] = 2,  # 1, or 2 (b_ih and b_hh, as torch.nn.LSTM)
        chrono: Annotated[
            Count, Needs("network.spread", values=(0,))
        ] = 0,  # chrono initialization for dependencies of so many steps (Tallec & Ollivier 2018); 0: off
        peepholes: Literal[
            "none", "diagonal", "output_matrix"
        ] = "none",  # gates see the cell state: each by a vector p, or the output gate by a matrix V
        proj_size: Count = 0,  # size of the projected output h, as in torch.nn.LSTM; 0: none
        NIG: bool = False,  # no input gate: i = 1
        NFG: bool = False,  # no forget gate: f = 1
        NOG: bool = False,  # no output gate: o = 1
        NIAF: bool = False,  # no input activation function: g is linear
        NOAF: bool = False,  # no output activation function: h_t = o * c_t
        CIFG: bool = False,  # coupled input and forget gate: f = 1 - i
        FGR: bool = False,  # full gate recurrence: gates also see the gates of the step before
    ):
        super().__init__()
        left_out = {"i": NIG, "f": NFG or CIFG, "g": False, "o": NOG}
        self.gate_order = "".join(gate for gate in "ifgo" if not left_out[gate])
        if CIFG and (NIG or NFG):
            raise ValueError("CIFG excludes NIG and NFG")
        if FGR and len(self.gate_order) < 4:
            raise ValueError("FGR needs all three gates: it excludes NIG, NFG, NOG and CIFG")
        if NOG and peepholes == "output_matrix":
            raise ValueError("peepholes=output_matrix excludes NOG")
        self.input_size, self.output_size, self.cells = input_size, proj_size or hidden_size, hidden_size
        self.coupled, self.squash_input, self.squash_output = CIFG, not NIAF, not NOAF
        H, G, bound = hidden_size, len(self.gate_order), hidden_size**-0.5
        inputs = input_size + self.output_size  # of one layer of Haiku's, which has W and R side by side
        self.W = make_weight(G, H, input_size, input_init, inputs=inputs)
        self.R = make_weight(G, H, self.output_size, recurrent_init, gain, inputs)
        self.b_i, self.b_h = make_biases(G * H, biases, 0 if zero_bias else bound)
        self.set_bias("f", torch.full((H,), forget_bias))
        if CIFG:
            self.set_bias("i", torch.full((H,), -forget_bias))
        if chrono:
            memory = remembering(H, chrono)
            self.set_bias("f", memory)
            self.set_bias("i", memory.neg_())  # in place: see networks/shapes.py
        self.p = self.V = self.M = self.Q = None
        if peepholes == "diagonal":
            self.p = nn.Parameter(torch.empty(G - 1, H).uniform_(-bound, bound))
        if peepholes == "output_matrix":
            self.V = make_weight(1, H, H, recurrent_init)
        if proj_size:
            self.M = nn.Parameter(torch.empty(proj_size, H).uniform_(-bound, bound))
        if FGR:
            self.Q = make_weight(3, H, 3 * H, recurrent_init)
        changed = peepholes != "none" or proj_size or FGR or NIAF or NOAF
        self.in_library = self.gate_order == "ifgo" and not changed  # as torch.nn.LSTMCell

    @torch.no_grad()
    def set_bias(self, gate: str, value: Tensor) -> None:
        """The initial bias of a gate, where there is that gate: the two of the library add up, so the second is zero."""
        if gate in self.gate_order:
            start = self.gate_order.index(gate) * self.cells
            rows = slice(start, start + self.cells)
            self.b_i[rows] = value
            if self.b_h is not None:
                self.b_h[rows] = 0

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """h (B, P) and c (B, H); with FGR also the gates i, f, o (B, 3H)."""
        widths = (self.output_size, self.cells, 3 * self.cells)
        return tuple(self.R.new_zeros(batch_size, width) for width in widths[: 2 if self.Q is None else 3])

    def seen_by_gates(self, y: Tensor) -> State | None:
        alone = self.p is None and self.V is None and self.Q is None  # no gate sees the cell, or the gates of the step before
        return (y, y.new_zeros(len(y), self.cells)) if alone else None

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        h, c, *e = state
        b = self.b_i if self.b_h is None else self.b_i + self.b_h
        a = x @ self.W.t() + (h if seen is None else seen) @ self.R.t() + b
        a_i, a_f, a_g, a_o = self._per_gate(a.chunk(len(self.gate_order), 1), "ifgo")
        p_i, p_f, p_o = self._per_gate(() if self.p is None else self.p, "ifo")
        q_i, q_f, q_o = (e[0] @ self.Q.t()).chunk(3, 1) if self.Q is not None else (0, 0, 0)
        one = torch.ones_like(c)
        i = torch.sigmoid(a_i + p_i * c + q_i) if "i" in self.gate_order else one
        f = torch.sigmoid(a_f + p_f * c + q_f) if "f" in self.gate_order else 1 - i if self.coupled else one
        g = torch.tanh(a_g) if self.squash_input else a_g
        c = f * c + i * g
        seen_c = p_o * c if self.V is None else c @ self.V.t()
        o = torch.sigmoid(a_o + seen_c + q_o) if "o" in self.gate_order else one
        h = o * (torch.tanh(c) if self.squash_output else c)
        h = h if self.M is None else h @ self.M.t()
        state = (h, c) if self.Q is None else (h, c, torch.cat([i, f, o], 1))
        return h, state, {name: gate for name, gate in zip("ifo", (i, f, o), strict=True) if gate is not one}

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.in_library:
            return super().advance(x, state)
        h, c = torch.lstm_cell(x, state, self.W, self.R, self.b_i, self.b_h)
        return h, (h, c)

    def _per_gate(self, rows: tuple[Tensor, ...] | Tensor, wanted: str) -> list[Any]:
        """`rows`, which stand for the gates that exist, for each gate that is wanted; 0 for one without."""
        known = dict(zip((gate for gate in self.gate_order if gate in wanted), rows, strict=False))
        return [known.get(gate, 0) for gate in wanted]

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        return lstm(
            x,
            state,
            self.W,
            self.R,
            self.b_i,
            self.b_h,
            peepholes=self.p,
            gates=self.gate_order,
            coupled=self.coupled,
            squash_input=self.squash_input,
            squash_output=self.squash_output,
            cell_to_output=self.V,
            projection=self.M,
            gate_recurrence=self.Q,
            lengths=lengths,
            backend=self.backend,
            sink=self.sink(),
        )

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """R of each gate; with projection R M, which acts on the unprojected o * tanh(c)."""
        R = self.R.detach()
        R = R if self.M is None else R @ self.M.detach()
        return dict(zip(self.gate_order, R.chunk(len(self.gate_order)), strict=True))
