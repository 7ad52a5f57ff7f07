"""The LSTM's fused recurrence: forward and backward through time by hand. Its equations stand in `lstm`.

The gradients of a step, with ' for the slope of a squashing function at its own output:

    δm = ∂L/∂h_t, with projection Mᵀ ∂L/∂h_t
    δo = δm * tanh(c_t) * o'
    δc_t = decay_{t+1} * δc_{t+1} + (o * tanh'(c_t) + tanh(c_t) * o' * p_o) * δm
    δi = δc_t * g * i',  δf = δc_t * c_{t-1} * f',  δg = δc_t * i * g'
    decay_t = f + g * i' * p_i + c_{t-1} * f' * p_f
    ∂L/∂h_{t-1} = ∂L/∂y_{t-1} + Rᵀ (δi, δf, δg, δo)

The factors of δm and δc are known for all steps of a chunk at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .chunks import backwards, before, chunks, earlier, steps
from .lengths import final, last, outside
from .products import InputGradients, add_outer, adding, in_order, read_input, stepping
from .recurrence import Context, Request, finish_forward, only_once, sigmoid_backward, tanh_backward

Pair = tuple[Tensor, Tensor]  # of h and of c


@dataclass(frozen=True)
class Form:
    """Which equations hold; the fields are arguments of `lstm`."""

    gates: str = "ifgo"
    coupled: bool = False
    squash_input: bool = True
    squash_output: bool = True

    def check(self, p: Tensor | None, V: Tensor | None, Q: Tensor | None) -> None:
        if self.gates not in ("ifgo", "fgo", "igo", "go", "ifg", "fg", "ig", "g"):
            raise ValueError(f"gates={self.gates!r} is not allowed; allowed: some of i, f, o in the order ifgo, and g")
        if self.coupled and ("f" in self.gates or "i" not in self.gates):
            raise ValueError(f"coupled gates have an i and no f, got gates={self.gates!r}")
        if (V is not None and "o" not in self.gates) or (Q is not None and self.gates != "ifgo"):
            raise ValueError(f"gates={self.gates!r} lacks a gate that cell_to_output or gate_recurrence acts on")
        rows = len(self.gates) - 1 - (V is not None)
        if p is not None and len(p) != rows:
            raise ValueError(f"peepholes has {len(p)} rows; {rows} of gates={self.gates!r} see the cell through a diagonal")

    def split(self, a: Tensor, missing: Tensor) -> list[Tensor]:
        """i, f, g, o out of (..., G H); `missing` for a gate that does not exist."""
        parts = dict(zip(self.gates, a.chunk(len(self.gates), -1), strict=True))
        return [parts.get(gate, missing) for gate in "ifgo"]

    @property
    def flags(self) -> tuple[bool | None, ...]:
        """Of i, f and o whether there is that gate; coupled, squash_input, squash_output; None for no, as kernels take it."""
        has = [gate in self.gates for gate in "ifo"]
        return tuple(flag or None for flag in (*has, self.coupled, self.squash_input, self.squash_output))

    def peepholes(self, p: Tensor | None) -> list[Tensor | None]:
        """p_i, p_f, p_o; None for one that does not exist."""
        rows = dict(zip(self.gates.replace("g", ""), () if p is None else p, strict=False))
        return [rows.get(gate) for gate in "ifo"]

    def inner(self, like: Tensor) -> Tensor:
        """(G H): 2 for g, the one inside tanh(a) = 2 σ(2 a) - 1, so that one sigmoid serves i, f and g; 1 for the others."""
        factor = like.new_ones(len(self.gates), like.shape[1])
        factor[self.gates.index("g")] += self.squash_input
        return factor.flatten()


class Weights(NamedTuple):
    """What a step reads of weights besides W and b; None for one that the form does not have."""

    R: Tensor
    p: Tensor | None
    V: Tensor | None
    M: Tensor | None
    Q: Tensor | None


class FormContext(Context, Protocol):
    form: Form


class FusedLSTM(torch.autograd.Function):
    """y (T, B, P) and the final h, c, e; for the conventions see `recurrence`.

    x (T, B, I), h (B, P), c (B, H); e (B, 4H) the gates of the step before, None without Q; W (G H, I), R (G H, P), b (G H);
    p (rows, H), V (H, H), M (P, H), Q (4H, 4H) or None.
    """

    @staticmethod
    def forward(
        ctx: FormContext,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        e: Tensor | None,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        p: Tensor | None,
        V: Tensor | None,
        M: Tensor | None,
        Q: Tensor | None,
        form: Form,
        request: Request,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        (T, B, _), H, G, lengths = x.shape, c.shape[1], len(form.gates), request.lengths
        pieces = chunks(T, B, G, x)
        keep = request.keep or lengths is not None  # where rows end early, their last states are looked up
        room = T if keep else pieces[0][1]
        hs, cs, tanh_cs = x.new_empty(T + 1, B, h.shape[1]), x.new_empty(room + 1, B, H), x.new_empty(room, B, H)
        gates = x.new_empty(room + 1, B, G * H)
        hs[0], cs[0] = h, c
        if e is not None:
            gates[0] = e
        inner = form.inner(cs[0])
        W_t, b, weights = W.t() * inner, b * inner, Weights(R, p, V, M, Q)
        make_steps = forward_steps(form, R.t() * inner, weights, like=cs[0], count=T)
        h, c, e = hs[0], cs[0], gates[0]
        for start, stop in pieces:
            s, t = (start, stop) if keep else (0, stop - start)
            a = gates[s + 1 : t + 1]
            read_input(x[start:stop], W_t, b, out=a)
            with stepping(R, B):
                h, c, e = make_steps(h, c, e, a, cs[s + 1 : t + 1], tanh_cs[s:t], hs[start + 1 : stop + 1])
            if Q is not None and not keep:
                e = e.clone()  # the next chunk writes there
        ctx.form = form
        c_T, e_T = (final(cs, lengths), final(gates, lengths)) if keep else (c.clone(), e)
        y, h_T = finish_forward(ctx, request, hs, x, W, *weights, hs, cs, tanh_cs, gates)
        return y, h_T, c_T, None if Q is None else e_T

    @staticmethod
    @only_once
    def backward(ctx: FormContext, gy: Tensor, gh: Tensor, gc: Tensor, ge: Tensor | None) -> tuple[Tensor | None, ...]:
        x, W, *others, hs, cs, tanh_cs, gates, lengths = ctx.saved_tensors
        weights, form, sink = Weights(*others), ctx.form, ctx.request.sink
        (T, B, P), H, G = gy.shape, gc.shape[1], len(form.gates)
        gy, dh, g0 = outside(gy, gh, lengths)
        dc, de = (gc.clone(), copy(ge)) if lengths is None else (torch.zeros_like(gc), zeros(ge))
        ends = None if lengths is None else last(lengths, T, gy)  # where the final state's gradient comes in
        of_input, of_weights = InputGradients(x, W, ctx.needs_input_grad[0]), WeightGradients(form, weights)
        make_steps = backward_steps(form, weights, gc, ge, ends, de, count=T)
        pieces = chunks(T, B, G, x)
        every_d = gy.new_empty(pieces[0][1], B, G * H)
        every_dh, every_dc = gy.new_empty(pieces[0][1], B, P), gy.new_empty(pieces[0][1], B, H)  # totals
        norms = None if sink is None else gy.new_empty(2, T)
        for start, stop in reversed(pieces):
            d, dhs, dcs = every_d[: stop - start], every_dh[: stop - start], every_dc[: stop - start]
            c, tanh_c, gate = cs[start : stop + 1], tanh_cs[start:stop], gates[start : stop + 1]
            known = factors(form, gate[1:], c[:-1], tanh_c, weights.p, d)
            dhs[-1], dcs[-1] = dh, dc
            with stepping(weights.R, B):
                make_steps(start, gate[1:], known, before(gy, g0, start, stop), d, (dhs, dcs), (dh, dc))
            if norms is not None:
                torch.linalg.vector_norm(dhs, dim=(1, 2), out=norms[0, start:stop])
                torch.linalg.vector_norm(dcs, dim=(1, 2), out=norms[1, start:stop])
            of_input.add(d, start, stop)
            of_weights.add(d, dhs, hs[start:stop], c, tanh_c, gate)
        if lengths is not None:  # rows without a step: their final state is the initial one
            none = (lengths == 0).unsqueeze(1)
            dc.addcmul_(gc, none)
            if de is not None and ge is not None:
                de.addcmul_(ge, none)
        if sink is not None and norms is not None:
            sink.h, sink.c = norms
        return of_input.dx, dh, dc, de, of_input.dW, of_weights.dR, of_input.db, *of_weights.others(), None, None


def forward_steps(
    form: Form, R_t: Tensor, weights: Weights, like: Tensor, count: int
) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """A function (h, c, e, a, cs, tanh_cs, hs) that makes the steps of a chunk, and returns the last h, c and e.

    a (steps, B, G H), the input's share of the pre-activations, becomes the gates; cs, tanh_cs and hs (steps, B, ...) are
    written. R_t (P, G H) is Rᵀ with the columns of g doubled, `like` is (B, H); all chunks have `count` steps.
    """
    (B, H), (_, p, V, M, Q) = like.shape, weights
    squashed = (form.gates.index("g") + form.squash_input) * H  # columns of the gates that one sigmoid serves
    one, minus, m = like.new_ones(B, H), like.new_full((B, H), -1), like.new_empty(B, H)
    p_i, p_f, p_o = form.peepholes(p)
    add_R, M_t = adding(R_t, B, count), None if M is None else in_order(M.t(), B, count)
    add_V, add_Q = (None if matrix is None else adding(matrix.t(), B, count) for matrix in (V, Q))

    def make_steps(
        h: Tensor, c: Tensor, e: Tensor, a: Tensor, cs: Tensor, tanh_cs: Tensor, hs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        parts = form.split(a, missing=one.expand(len(a), B, H))
        for a_t, block, i, f, g, o, c_t, tanh_c, h_t in steps(a, a[..., :squashed], *parts, cs, tanh_cs, hs):
            add_R(a_t, h, a_t)
            if add_Q is not None:
                add_Q(a_t, e, a_t)
            if p_i is not None:
                i.addcmul_(c, p_i)
            if p_f is not None:
                f.addcmul_(c, p_f)
            block.sigmoid_()
            if form.squash_input:
                torch.add(minus, g, alpha=2, out=g)
            if form.coupled:
                f = 1 - i
            torch.mul(f, c, out=c_t)
            c_t.addcmul_(i, g)
            if p_o is not None:
                o.addcmul_(c_t, p_o)
            if add_V is not None:
                add_V(o, c_t, o)
            if "o" in form.gates:
                o.sigmoid_()
            if form.squash_output:
                torch.add(c_t, c_t, out=tanh_c).sigmoid_()
                torch.add(minus, tanh_c, alpha=2, out=tanh_c)
            else:
                tanh_c.copy_(c_t)
            if M_t is None:
                torch.mul(o, tanh_c, out=h_t)
            else:
                torch.mm(torch.mul(o, tanh_c, out=m), M_t, out=h_t)
            h, c, e = h_t, c_t, a_t
        return h, c, e

    return make_steps


def backward_steps(
    form: Form, weights: Weights, gc: Tensor, ge: Tensor | None, ends: Tensor | None, de: Tensor | None, count: int
) -> Callable[..., None]:
    """A function (start, gate, known, g_before, d, totals, first) that makes the steps of a chunk, last step first.

    `known` and d (steps, B, G H) are those of `factors`; d becomes ∂L/∂a. The last steps of `totals`, ∂L/∂h_t and ∂L/∂c_t
    (steps, B, ...), hold what comes from later steps and from outside; all become total gradients. `first`, and de, receive
    those of the state before the chunk; `g_before` gives the outside gradient at the state before each step. The gradients gc
    and ge of the final state come in where `ends` (T, B, 1) is 1; where it is None, totals and de have them already.
    """
    (B, H), G, has_o, (R, p, V, M, Q) = gc.shape, len(form.gates), "o" in form.gates, weights
    p_i, p_f, p_o = form.peepholes(p)
    add_R, add_V, through_M = adding(R, B, count), None if V is None else adding(V, B, count), gc.new_empty(B, H)
    Q = None if Q is None else in_order(Q, B, count)

    def make_steps(
        start: int, gate: Tensor, known: Pair, g_before: Iterator[Tensor], d: Tensor, totals: Pair, first: Pair
    ) -> None:
        dhs, dcs = totals
        d_o, d_rest = form.split(d, missing=d)[3], d[..., : (G - has_o) * H].unflatten(2, (-1, H))
        slope = None if Q is None else torch.ops.aten.sigmoid_backward(torch.ones_like(gate), gate)
        for t, (d_t, d_ifg, d_o_t, to_cell_t, decay_t, dh_t, dc_t, dc_rows), dh_before, dc_before, g in zip(
            reversed(range(len(d))),
            backwards(d, d_rest, d_o, *known, dhs, dcs, dcs.unsqueeze(2)),
            earlier(dhs, first[0]),
            earlier(dcs, first[1]),
            g_before,
            strict=True,
        ):
            if ends is not None:
                dc_t.addcmul_(gc, ends[start + t])
            dm = dh_t if M is None else torch.mm(dh_t, M, out=through_M)
            dc_t.addcmul_(dm, to_cell_t)
            if has_o:
                d_o_t.mul_(dm)
            if de is not None and slope is not None:  # this step's gates act on the next step's as well
                if ends is not None and ge is not None:
                    de.addcmul_(ge, ends[start + t])
                e_i, e_f, _, e_o = de.mul_(slope[t]).chunk(4, 1)
                d_o_t.add_(e_o)
                if p_o is not None:
                    dc_t.addcmul_(e_o, p_o)
            if add_V is not None:
                add_V(dc_t, d_o_t, dc_t)
            d_ifg.mul_(dc_rows)
            torch.mul(dc_t, decay_t, out=dc_before)
            if de is not None and Q is not None:
                d_ifg.add_(de[:, : 3 * H].unflatten(1, (3, H)))
                if p_i is not None and p_f is not None:
                    dc_before.addcmul_(e_i, p_i).addcmul_(e_f, p_f)
                torch.mm(d_t, Q, out=de)
            add_R(g, d_t, dh_before)

    return make_steps


class WeightGradients:
    """The gradients of R, p, V, M and Q, summed over chunks; None where there is no such weight."""

    def __init__(self, form: Form, weights: Weights):
        self.form, self.dR = form, torch.zeros_like(weights.R)
        self.dp, self.dV, self.dM, self.dQ = (zeros(weight) for weight in weights[1:])

    def add(self, d: Tensor, dhs: Tensor, h: Tensor, c: Tensor, tanh_c: Tensor, gates: Tensor) -> None:
        """The steps of a chunk, from d = ∂L/∂a and dhs = ∂L/∂h_t; h are the states before its steps; c and gates (steps + 1)
        begin with those before the first step.
        """
        add_outer(self.dR, d, h)
        d_i, d_f, _, d_o = self.form.split(d, missing=d)
        if self.dp is not None:
            seen = {"i": (d_i, c[:-1]), "f": (d_f, c[:-1]), "o": (d_o, c[1:])}
            for dp_gate, gate in zip(self.dp, self.form.gates.replace("g", ""), strict=False):
                dp_gate.add_(torch.mul(*seen[gate]).sum((0, 1)))
        if self.dV is not None:
            add_outer(self.dV, d_o, c[1:])
        if self.dM is not None:
            add_outer(self.dM, dhs, self.form.split(gates[1:], missing=torch.ones_like(tanh_c))[3] * tanh_c)
        if self.dQ is not None:
            add_outer(self.dQ, d, gates[:-1])

    def others(self) -> tuple[Tensor | None, ...]:
        """Those of p, V, M and Q."""
        return self.dp, self.dV, self.dM, self.dQ


def zeros(like: Tensor | None) -> Tensor | None:
    return None if like is None else torch.zeros_like(like)


def copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def factors(form: Form, gate: Tensor, c: Tensor, tanh_c: Tensor, p: Tensor | None, d: Tensor) -> Pair:
    """What multiplies δm to give δc_t, and δc_t to give its share of δc_{t-1}, for the steps of a chunk; c is c_{t-1}.

    d receives what multiplies δc_t to give δi, δf, δg, and δm to give δo.
    """
    one = torch.ones_like(c[:1])
    i, f, g, o = form.split(gate, missing=one)
    d_i, d_f, d_g, d_o = form.split(d, missing=d)
    p_i, p_f, p_o = form.peepholes(p)
    if form.coupled:
        f = 1 - i
    if "i" in form.gates:
        sigmoid_backward(g - c if form.coupled else g, i, grad_input=d_i)
    if "f" in form.gates:
        sigmoid_backward(c, f, grad_input=d_f)
    if form.squash_input:
        tanh_backward(i.expand_as(g), g, grad_input=d_g)
    else:
        d_g.copy_(i)
    if "o" in form.gates:
        sigmoid_backward(tanh_c, o, grad_input=d_o)
    o = o.expand_as(c)
    to_cell = torch.ops.aten.tanh_backward(o, tanh_c) if form.squash_output else o
    to_cell = to_cell if p_o is None else torch.addcmul(to_cell, d_o, p_o)
    decay = f.expand_as(c)
    decay = decay if p_i is None else torch.addcmul(decay, d_i, p_i)
    decay = decay if p_f is None else torch.addcmul(decay, d_f, p_f)
    return to_cell, decay
