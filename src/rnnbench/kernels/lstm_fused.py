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

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .recurrence import (
    GradientSink,
    add_gradients,
    adding,
    backwards,
    before,
    chunks,
    earlier,
    final,
    last,
    only_once,
    outside,
    padding,
    sigmoid_backward,
    stepping,
    steps,
    tanh_backward,
)


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

    def peepholes(self, p: Tensor | None) -> dict[str, Any]:
        """p_i, p_f, p_o by the gate's letter; None for one that does not exist."""
        rows = dict(zip(self.gates.replace("g", ""), () if p is None else p, strict=False))
        return {gate: rows.get(gate) for gate in "ifo"}


class FusedLSTM(torch.autograd.Function):
    """y (T, B, P) and the final h, c, e; for the conventions see `recurrence`.

    x (T, B, I), h (B, P), c (B, H); e (B, 4H) the gates of the step before, None without Q; W (G H, I), R (G H, P), b (G H);
    p (rows, H), V (H, H), M (P, H), Q (4H, 4H) or None. `keep` is false where no gradient will be asked for.
    """

    @staticmethod
    def forward(
        ctx: Any,
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
        lengths: Tensor | None,
        keep: bool,
        sink: GradientSink | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        (T, B, _), H, G = x.shape, c.shape[1], len(form.gates)
        pieces = chunks(T, B, G, x)
        keep = keep or lengths is not None  # where rows end early, their last states are looked up
        room = T if keep else pieces[0][1]
        hs, cs, tanh_cs = x.new_empty(T + 1, B, h.shape[1]), x.new_empty(room + 1, B, H), x.new_empty(room, B, H)
        gates = x.new_empty(room + 1, B, G * H)
        hs[0], cs[0] = h, c
        if e is not None:
            gates[0] = e
        # tanh(a) = 2 σ(2 a) - 1: the weights of g carry the inner 2, so that one sigmoid serves i, f and g.
        at_g = form.gates.index("g")
        inner = x.new_ones(G, H)
        inner[at_g] += form.squash_input
        W_t, R_t, b = W.t() * inner.flatten(), R.t() * inner.flatten(), b * inner.flatten()
        squashed = (at_g + form.squash_input) * H
        one, minus, m = x.new_ones(B, H), x.new_full((B, H), -1), x.new_empty(B, H)
        p_i, p_f, p_o = form.peepholes(p).values()
        add_R, add_V, add_Q = adding(R_t, B), V is not None and adding(V.t(), B), Q is not None and adding(Q.t(), B)
        h, c, e = hs[0], cs[0], gates[0]
        for start, stop in pieces:
            s, t = (start, stop) if keep else (0, stop - start)
            a = gates[s + 1 : t + 1]
            torch.mm(x[start:stop].flatten(0, 1), W_t, out=a.flatten(0, 1)).add_(b)
            parts = form.split(a, missing=one.expand(t - s, B, H))
            with stepping(R, B):
                for a_t, block, i, f, g, o, c_t, tanh_c, h_t in steps(
                    a, a[..., :squashed], *parts, cs[s + 1 : t + 1], tanh_cs[s:t], hs[start + 1 : stop + 1]
                ):
                    add_R(a_t, h, a_t)
                    if add_Q:
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
                    if add_V:
                        add_V(o, c_t, o)
                    if "o" in form.gates:
                        o.sigmoid_()
                    if form.squash_output:
                        torch.add(c_t, c_t, out=tanh_c).sigmoid_()
                        torch.add(minus, tanh_c, alpha=2, out=tanh_c)
                    else:
                        tanh_c.copy_(c_t)
                    if M is None:
                        torch.mul(o, tanh_c, out=h_t)
                    else:
                        torch.mm(torch.mul(o, tanh_c, out=m), M.t(), out=h_t)
                    h, c, e = h_t, c_t, a_t
            if add_Q and not keep:
                e = e.clone()  # the next chunk writes there
        h_T, c_T = final(hs, lengths), final(cs, lengths) if keep else c.clone()
        e_T = None if Q is None else final(gates, lengths) if keep else e
        if lengths is not None:
            hs[1:].masked_fill_(padding(lengths, T), 0)
        if keep:
            ctx.save_for_backward(x, W, R, p, V, M, Q, hs, cs, tanh_cs, gates, lengths)
            ctx.form, ctx.sink = form, sink
        return hs[1:], h_T, c_T, e_T

    @staticmethod
    @only_once
    def backward(ctx: Any, gy: Tensor, gh: Tensor, gc: Tensor, ge: Any) -> tuple[Tensor | None, ...]:
        x, W, R, p, V, M, Q, hs, cs, tanh_cs, gates, lengths = ctx.saved_tensors
        form, sink, has_o = ctx.form, ctx.sink, "o" in ctx.form.gates
        (T, B, P), H, G = gy.shape, gc.shape[1], len(form.gates)
        gy, dh, g0 = outside(gy, gh, lengths)
        ends = None if lengths is None else last(lengths, T, gy)  # where the final state's gradient comes in
        dc, de = zeros(gc), zeros(ge)
        if ends is None:
            dc.copy_(gc)
            if Q is not None:
                de.copy_(ge)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW, dR, db = torch.zeros_like(W), torch.zeros_like(R), R.new_zeros(G * H)
        dp, dV, dM, dQ = zeros(p), zeros(V), zeros(M), zeros(Q)
        p_i, p_f, p_o = form.peepholes(p).values()
        add_R, add_V = adding(R, B), V is not None and adding(V, B)
        pieces = chunks(T, B, G, x)
        every_d, through_M = gy.new_empty(pieces[0][1], B, G * H), gy.new_empty(B, H)
        every_dh, every_dc = gy.new_empty(pieces[0][1], B, P), gy.new_empty(pieces[0][1], B, H)  # totals
        norms: Any = None if sink is None else gy.new_empty(2, T)
        for start, stop in reversed(pieces):
            c, tanh_c, gate, d = cs[start:stop], tanh_cs[start:stop], gates[start + 1 : stop + 1], every_d[: stop - start]
            to_cell, decay = factors(form, gate, c, tanh_c, p, d)
            d_i, d_f, _, d_o = form.split(d, missing=d)
            d_rest = d[..., : (G - has_o) * H].unflatten(2, (-1, H))
            dhs, dcs = every_dh[: stop - start], every_dc[: stop - start]
            dhs[-1], dcs[-1] = dh, dc
            slope: Any = None if Q is None else torch.ops.aten.sigmoid_backward(torch.ones_like(gate), gate)
            with stepping(R, B):
                for t, (d_t, d_ifg, d_o_t, to_cell_t, decay_t, dh_t, dc_t, dc_rows), dh_before, dc_before, g in zip(
                    reversed(range(stop - start)),
                    backwards(d, d_rest, d_o, to_cell, decay, dhs, dcs, dcs.unsqueeze(2)),
                    earlier(dhs, dh),
                    earlier(dcs, dc),
                    before(gy, g0, start, stop),
                    strict=True,
                ):
                    if ends is not None:
                        dc_t.addcmul_(gc, ends[start + t])
                    dm = dh_t if M is None else torch.mm(dh_t, M, out=through_M)
                    dc_t.addcmul_(dm, to_cell_t)
                    if has_o:
                        d_o_t.mul_(dm)
                    if Q is not None:  # this step's gates act on the next step's as well
                        if ends is not None:
                            de.addcmul_(ge, ends[start + t])
                        e_i, e_f, _, e_o = de.mul_(slope[t]).chunk(4, 1)
                        d_o_t.add_(e_o)
                        if p_o is not None:
                            dc_t.addcmul_(e_o, p_o)
                    if add_V:
                        add_V(dc_t, d_o_t, dc_t)
                    d_ifg.mul_(dc_rows)
                    torch.mul(dc_t, decay_t, out=dc_before)
                    if Q is not None:
                        d_ifg.add_(de[:, : 3 * H].unflatten(1, (3, H)))
                        if p is not None:
                            dc_before.addcmul_(e_i, p_i).addcmul_(e_f, p_f)
                        torch.mm(d_t, Q, out=de)
                    add_R(g, d_t, dh_before)
            if norms is not None:
                torch.linalg.vector_norm(dhs, dim=(1, 2), out=norms[0, start:stop])
                torch.linalg.vector_norm(dcs, dim=(1, 2), out=norms[1, start:stop])
            add_gradients(d, x, W, dx, dW, db, start, stop)
            dR.addmm_(d.flatten(0, 1).t(), hs[start:stop].flatten(0, 1))
            seen = {"i": (d_i, c), "f": (d_f, c), "o": (d_o, cs[start + 1 : stop + 1])}
            if p is not None:
                for dp_gate, gate_name in zip(dp, form.gates.replace("g", ""), strict=False):
                    dp_gate.add_(torch.mul(*seen[gate_name]).sum((0, 1)))
            if V is not None:
                dV.addmm_(d_o.flatten(0, 1).t(), cs[start + 1 : stop + 1].flatten(0, 1))
            if M is not None:
                m = form.split(gate, missing=torch.ones_like(tanh_c))[3] * tanh_c
                dM.addmm_(dhs.flatten(0, 1).t(), m.flatten(0, 1))
            if Q is not None:
                dQ.addmm_(d.flatten(0, 1).t(), gates[start:stop].flatten(0, 1))
        if lengths is not None:  # rows without a step: their final state is the initial one
            none = (lengths == 0).unsqueeze(1)
            dc.addcmul_(gc, none)
            if Q is not None:
                de.addcmul_(ge, none)
        if sink is not None:
            sink.h, sink.c = norms
        return dx, dh, dc, de, dW, dR, db, dp, dV, dM, dQ, None, None, None, None


def zeros(like: Tensor | None) -> Any:
    return None if like is None else torch.zeros_like(like)


def factors(form: Form, gate: Tensor, c: Tensor, tanh_c: Tensor, p: Tensor | None, d: Tensor) -> tuple[Tensor, Tensor]:
    """What multiplies δm to give δc_t, and δc_t to give its share of δc_{t-1}, for the steps of a chunk; c is c_{t-1}.

    d receives what multiplies δc_t to give δi, δf, δg, and δm to give δo.
    """
    one = torch.ones_like(c[:1])
    i, f, g, o = form.split(gate, missing=one)
    d_i, d_f, d_g, d_o = form.split(d, missing=d)
    p_i, p_f, p_o = form.peepholes(p).values()
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
