"""The option groups whose defaults are ours: network, train, trainer, budget. Each dataclass is the signature of its group:
name, type, range, default, and in the comment of its line what it means and its unit. Nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .options import AboveZero, AtLeastZero, Count, Needs, Positive, Rate, Share


@dataclass(frozen=True)
class NetworkSettings:
    """How a core is used: `network.*`."""

    version: ClassVar[int] = 1  # raised when the numbers that a network makes change

    kind: Literal["plain", "encoder_decoder"] = "plain"  # one core; or one that reads the source and one that writes
    embedding: Count = 0  # width of the token embedding; 0 feeds one-hot vectors
    read: Annotated[Literal["last", "mean", "max"], Needs("task.structure", values=("N->1",))] = (
        "last"  # the summary where a task answers once
    )
    dropout: Rate = 0.0  # share zeroed on the embedded inputs and on what the read-out sees
    rectified: Annotated[bool, Needs("kind", values=("plain",))] = False  # plain: the read-out sees relu of what the core makes
    output: Annotated[Literal["linear", "logistic"], Needs("kind", values=("plain",))] = (
        "linear"  # plain: what the read-out gives; logistic: σ of it, for squared errors (1997)
    )
    output_bias: Annotated[bool, Needs("kind", values=("plain",))] = True  # plain: the read-out has a bias
    spread: AtLeastZero = 0.0  # all parameters begin uniform in ± this, embedding and read-out too; 0: as each layer has them
    output_spread: Annotated[AtLeastZero, Needs("kind", values=("plain",)), Needs("spread", values=(0,))] = (
        0.0  # plain: the read-out's initial weights are uniform in ± this; 0: as PyTorch's layer has them
    )
    direct: Annotated[bool, Needs("kind", values=("plain",))] = False  # plain: the read-out sees the inputs beside the core
    tied: bool = False  # the read-out's weights are the embedding's (Press & Wolf 2017, arXiv:1608.05859)
    attention: Literal["none", "additive", "multiplicative"] = "none"  # encoder_decoder: Bahdanau et al., Luong et al. 2015
    writer: str = ""  # encoder_decoder: the mechanism that writes; empty: the one that reads
    backend: Literal["auto", "library", "fused", "doubling", "loop"] = (
        "auto"  # what computes the recurrences, for comparisons of time; auto: the fastest; a scan has doubling and loop
    )


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained: `train.*`."""

    version: ClassVar[int] = 1  # raised when the numbers that training makes change

    rule: Literal["batch", "online"] = (
        "batch"  # online: an update after each row in a compiled loop, plain gradient descent (model=lstm_1997)
    )
    each_step: Annotated[bool, Needs("rule", values=("online",))] = False  # online: an update after each step of a row
    window: Annotated[Count, Needs("rule", values=("online",))] = (
        0  # online: training ends, solved, where so many last training rows say so; 0: where validation does
    )
    window_wrong: Annotated[Count, Needs("window")] = 0  # rows of the window that may be wrong
    window_error: Annotated[AboveZero, Needs("window")] = 1.0  # bound on the mean absolute error of the window's outputs
    steps: Positive = 2000  # optimiser steps
    batch_size: Positive = 50  # rows of a batch, over all devices
    optimizer: Annotated[Literal["adam", "adamw", "rmsprop", "sgd"], Needs("rule", values=("batch",))] = "adam"
    learning_rate: AboveZero = 0.001
    weight_decay: Annotated[AtLeastZero, Needs("rule", values=("batch",))] = (
        0.0  # decoupled for adamw, added to the gradient otherwise
    )
    momentum: Annotated[Rate, Needs("optimizer", values=("sgd", "rmsprop"))] = 0.0  # of sgd and rmsprop
    averaging: Annotated[Rate, Needs("optimizer", values=("rmsprop",))] = (
        0.9  # of rmsprop: share of the running mean of squares that a step keeps
    )
    clip: Annotated[AboveZero | None, Needs("rule", values=("batch",))] = 1.0  # bound on the gradient; null for none
    clip_by: Annotated[Literal["norm", "value"], Needs("clip")] = (
        "norm"  # the bound is on the whole gradient's norm, or on each entry
    )
    weight_noise: Annotated[AtLeastZero, Needs("rule", values=("batch",))] = (
        0.0  # deviation of normal noise on the core's weights, drawn for each batch (Graves 2011); none in evaluations
    )
    mean_over: Annotated[
        Literal["steps", "rows"], Needs("task.structure", besides=("N->1",)), Needs("rule", values=("batch",))
    ] = "steps"  # what the loss is averaged over: all scored steps of a batch, or its rows, each the sum of its steps
    forcing: Share = 1.0  # encoder_decoder: share of true symbols fed, at the start of training
    forcing_end: Share = 1.0  # and at its end; it falls linearly (scheduled sampling, Bengio et al. 2015)
    schedule: Annotated[Literal["constant", "linear", "cosine", "plateau", "step"], Needs("rule", values=("batch",))] = (
        "constant"  # of the learning rate, after the warm-up
    )
    warmup: Annotated[Count, Needs("rule", values=("batch",))] = 0  # steps over which the learning rate rises linearly
    decay: Annotated[AboveZero, Needs("schedule", values=("plateau", "step"))] = (
        0.5  # factor on the rate; schedule=plateau: after an evaluation that was no better; step: after every evaluation
    )
    decay_window: Annotated[Count, Needs("schedule", values=("plateau",))] = (
        0  # schedule=plateau: no better means worse than each of so many evaluations before; 0: no better than the best one
    )
    decay_after: Annotated[Count, Needs("schedule", values=("plateau", "step"))] = (
        0  # schedule=plateau, step: evaluations before the first after which the rate may fall
    )
    eval_every: Positive = 200  # steps between evaluations
    log_every: Positive = 50  # steps between logged rows
    select: Literal["best", "last"] = "best"  # evaluation whose weights are tested: the best one, or the last one
    patience: Count = 0  # evaluations without a better score before training ends; 0 waits for ever
    beam: Positive = 1  # likeliest beginnings kept where an evaluation writes from a source; 1 is greedy
    length_penalty: Annotated[AtLeastZero, Needs("beam", least=2)] = (
        0.0  # of beam search: 0 favours short answers, 1 the likeliest symbol by symbol
    )
    samples: Annotated[Count, Needs("task.generates", "task.answers")] = (
        3  # texts written and kept at each evaluation, where a task writes any
    )
    stop_when_solved: bool = True  # training ends when validation says solved
    carry: Annotated[bool, Needs("task.carries")] = (
        True  # the state of rows that go on is carried from batch to batch; else each begins anew
    )
    instruments: Annotated[bool, Needs("rule", values=("batch",))] = (
        True  # gradients through time, gates, states and update sizes are measured and logged
    )
    precision: Literal["32", "64", "bf16"] = "32"  # bits of a number; bf16: products only, weights stay 32


@dataclass(frozen=True)
class TrainerSettings:
    """Where a network is trained: `trainer.*`. None of these changes a run's numbers, but for what training draws at random
    (dropout): devices and micro batches draw it apart, and are then part of the run's id."""

    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: Positive = 1  # on each machine; auto: as many as this one has of the accelerator, 1 for cpu
    nodes: Positive = 1  # machines, whose processes torchrun or SLURM starts
    micro_batches: Positive = 1  # slices that a device takes its rows of a batch in; their gradients add up: less memory
    workers: Count = 0  # processes that make batches; 0 makes them between steps
    save_seconds: AboveZero = 120.0  # between checkpoints, where evaluations are rarer
    callbacks: tuple[str, ...] = ()  # of other packages, by name: they may change numbers, and are part of the run's id
    profiler: Literal["none", "simple", "pytorch"] = (
        "none"  # where the time goes, into profile.txt: simple: by hook of Lightning; pytorch: by operator, over a few steps
    )
    fast_dev_run: bool = False  # one step, one batch of validation and one of test, to see that all works; nothing is kept


@dataclass(frozen=True)
class BudgetSettings:
    """A budget of parameters that the width is solved for: `budget.*`."""

    params: str = ""  # parameters wanted: 70000, 70k, 1.5M; the width is solved for
    match: str = ""  # or: as many as this model has ...
    width: Annotated[Count, Needs("match")] = 0  # ... at this hidden_size
    embeddings: Annotated[bool, Needs("params", "match")] = True  # embedding tables count

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return bool(self.params or self.match)
