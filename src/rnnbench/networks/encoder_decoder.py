"""A core that reads a source, and another that writes from it, with or without attention.

    additive         a_tj = v . tanh(Q s_{t-1} + K h_j),  c_t = sum_j softmax(a_t)_j h_j,  s_t = cell([x_t; c_t], s_{t-1})
    multiplicative   a_tj = s_t . K h_j,  c_t likewise,  what is read out is tanh(C [c_t; s_t])
    none             s_0 is all that the writer has of the source

Source: Cho et al. 2014, arXiv:1406.1078; Sutskever, Vinyals & Le 2014, arXiv:1409.3215; Bahdanau, Cho & Bengio 2015,
arXiv:1409.0473; Luong, Pham & Manning 2015, arXiv:1508.04025 (its "general" score, without input feeding).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.tasks.task import Batch, Task, Tokens

from ..models.mechanism import State, leaves, tree_map
from ..models.stack import Stack
from .codec import Codec, tied_weight
from .trainable import TrainableNetwork


class EncoderDecoder(TrainableNetwork):
    """A reader and a writer, for tasks that have a source.

    The writer starts from the reader's states where the two are built alike; else from tanh of a linear map of the
    reader's summary, one map for each tensor of its state, as Bahdanau et al. have it.
    """

    def __init__(
        self,
        task: Task,
        build_core: Callable[[int], Stack],
        build_writer: Callable[[int], Stack],
        embedding: int,
        dropout: float,
        tied: bool,
        attention: str,
    ):
        super().__init__()
        if task.source is None:
            raise ValueError("network.kind=encoder_decoder needs a task with a source; use network.kind=plain")
        self.attention, self.dropout = attention, dropout
        self.source = Codec(task.source, embedding)
        self.codec = Codec(task.inputs, embedding)
        self.reader = build_core(self.source.size)
        context = self.reader.output_size if attention == "additive" else 0
        self.writer = build_writer(self.codec.size + context)
        width = self.writer.output_size
        self.readout = nn.Linear(width, task.targets.size)
        if tied:
            self.readout.weight = tied_weight(self.codec, self.readout)
        if attention == "additive":
            self.query = nn.Linear(width, width, bias=False)
            self.key = nn.Linear(context, width)
            self.score = nn.Linear(width, 1, bias=False)
        elif attention == "multiplicative":
            self.key = nn.Linear(self.reader.output_size, width, bias=False)
            self.combine = nn.Linear(self.reader.output_size + width, width, bias=False)
        begin = self.writer.initial_state(1)
        self.alike = _form(self.reader.initial_state(1)) == _form(begin)
        if not self.alike and not self.writer.recurrent and attention == "none":
            raise ValueError("network.writer has no state to start from what was read; use network.attention=additive")
        sizes = [] if self.alike or not self.writer.recurrent else [leaf.shape[-1] for leaf in leaves(begin)]
        self.bridges = nn.ModuleList(nn.Linear(self.reader.output_size, size) for size in sizes)
        self.feeds_back = isinstance(task.inputs, Tokens)

    def carry(self, state: State | None, fresh: Tensor) -> State | None:
        """None: each row has its own source."""
        return None

    def read_by(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """What the reader reads of `batch`: its vectors (B, R, D) and lengths."""
        assert batch.source is not None and batch.source_lengths is not None
        return {"reader": (self.source(batch.source, self.readout.weight.dtype), batch.source_lengths)}

    def begin(self, batch: Batch) -> State:
        """(state of the writer, its last output (B, H), what was read (B, R, D), its keys, the steps that count (B, R))."""
        assert batch.source is not None
        lengths = batch.source_lengths
        x = functional.dropout(self.source(batch.source, self.readout.weight.dtype), self.dropout, self.training)
        y, state = self.reader(x, None, lengths)
        if not self.alike and not self.writer.recurrent:
            state = self.writer.initial_state(len(y))
        elif not self.alike:
            summary = self.reader.last(y, lengths)
            bridges = iter(self.bridges)
            state = tree_map(lambda _: torch.tanh(next(bridges)(summary)), self.writer.initial_state(len(y)))
        steps = torch.arange(y.shape[1], device=y.device).expand(y.shape[:2])
        valid = steps < (y.shape[1] if lengths is None else lengths.unsqueeze(1))
        keys = self.key(y) if self.attention != "none" else y[..., :0]
        first = leaves(state[-1])[0]  # h, where the mechanism has one
        width = self.writer.output_size
        last = first if first.shape == (len(y), width) else y.new_zeros(len(y), width)
        return state, last, y, keys, valid

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(outputs (B, S, size of the target stream), what the writer remembers after the last step).

        While training, a share 1 - `forcing` of the symbols fed are the network's own likeliest ones.
        """
        memory = self.begin(batch)
        own = self.training and self.forcing < 1 and self.feeds_back
        if self.attention == "additive" or own:
            outputs: list[Tensor] = []
            for t in range(batch.inputs.shape[1]):
                symbols = batch.inputs[:, t]
                if own and t:
                    true = torch.rand(len(symbols), device=symbols.device) < self.forcing
                    symbols = torch.where(true, symbols, outputs[-1].argmax(-1))
                output, memory = self.step(symbols, memory)
                outputs.append(output)
            return torch.stack(outputs, 1), memory
        state, _, read, keys, valid = memory
        x = functional.dropout(self.codec(batch.inputs, self.readout.weight.dtype), self.dropout, self.training)
        y, state = self.writer(x, state, batch.lengths)
        return self._out(y, read, keys, valid), (state, y[:, -1], read, keys, valid)

    def step(self, symbols: Tensor, memory: State) -> tuple[Tensor, State]:
        """(outputs (B, size of the target stream) after `symbols` (B,), memory)."""
        state, last, read, keys, valid = memory
        x = self.codec(symbols, self.readout.weight.dtype)
        x = functional.dropout(x, self.dropout, self.training)
        if self.attention == "additive":
            scores = self.score(torch.tanh(self.query(last).unsqueeze(1) + keys)).squeeze(-1)
            x = torch.cat([x, _context(scores, read, valid)], -1)
        y, state = self.writer.step(x, state)
        return self._out(y.unsqueeze(1), read, keys, valid)[:, 0], (state, y, read, keys, valid)

    def _out(self, y: Tensor, read: Tensor, keys: Tensor, valid: Tensor) -> Tensor:
        if self.attention == "multiplicative":
            scores = y @ keys.transpose(1, 2)
            context = scores.masked_fill(~valid.unsqueeze(1), -torch.inf).softmax(-1) @ read
            y = torch.tanh(self.combine(torch.cat([context, y], -1)))
        return self.readout(functional.dropout(y, self.dropout, self.training))


def _context(scores: Tensor, read: Tensor, valid: Tensor) -> Tensor:
    """(B, D): what was read (B, R, D), weighed by the softmax of `scores` (B, R) over the steps that count."""
    weights = scores.masked_fill(~valid, -torch.inf).softmax(-1)
    return (weights.unsqueeze(1) @ read).squeeze(1)


def _form(state: State) -> tuple[object, ...]:
    """How a state is built: the shapes of its tensors, nested as they are."""
    return tuple(state.shape) if isinstance(state, Tensor) else tuple(map(_form, state))
