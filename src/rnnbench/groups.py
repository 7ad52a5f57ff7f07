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

    kind: Literal["plain", "encoder_decoder"] = (
        "plain"  # plain: one model; encoder_decoder: one model reads the source, another writes the target
    )
    embedding: Count = 0  # size of token embeddings; 0: one-hot vectors
    read: Annotated[Literal["last", "mean", "max"], Needs("task.structure", values=("N->1",))] = (
        "last"  # how a sequence's outputs become one answer: the last step, or the mean or maximum over steps
    )
    dropout: Rate = 0.0  # dropout probability on the embedded inputs and on the inputs of the read-out
    rectified: Annotated[bool, Needs("kind", values=("plain",))] = False  # apply ReLU before the read-out
    output: Annotated[Literal["linear", "logistic"], Needs("kind", values=("plain",))] = (
        "linear"  # activation of the read-out; logistic: sigmoid, for squared errors (1997)
    )
    output_bias: Annotated[bool, Needs("kind", values=("plain",))] = True  # the read-out has a bias
    spread: AtLeastZero = (
        0.0  # initialize all parameters uniformly in ± this, embedding and read-out too; 0: each layer's own initialization
    )
    output_spread: Annotated[AtLeastZero, Needs("kind", values=("plain",)), Needs("spread", values=(0,))] = (
        0.0  # initialize the read-out's weights uniformly in ± this; 0: PyTorch's initialization
    )
    direct: Annotated[bool, Needs("kind", values=("plain",))] = False  # skip connection: the read-out also sees the inputs
    tied: bool = False  # tie the read-out's weights to the embedding (Press & Wolf 2017, arXiv:1608.05859)
    attention: Literal["none", "additive", "multiplicative"] = (
        "none"  # encoder_decoder: attention of Bahdanau et al. (additive) or Luong et al. 2015 (multiplicative)
    )
    writer: str = ""  # encoder_decoder: the cell of the decoder; empty: that of the encoder
    backend: Literal["auto", "library", "fused", "compiled", "doubling", "loop"] = (
        "auto"  # implementation of the recurrence, for comparisons of speed; auto: the fastest; library: PyTorch's layer
    )


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained: `train.*`."""

    version: ClassVar[int] = 1  # raised when the numbers that training makes change

    rule: Literal["batch", "online", "guess"] = (
        "batch"  # batch: backpropagation over batches; lstm_1997, rnn: online: update after each row; guess: random weights
    )
    each_step: Annotated[bool, Needs("rule", values=("online",))] = False  # update after each step of a sequence
    step_decay: Annotated[Share, Needs("each_step")] = (
        1.0  # factor on the learning rate after each step; a sequence begins with all of it
    )
    cells_after: Annotated[Count, Needs("rule", values=("online",)), Needs("network.direct", values=(True,))] = (
        0  # add the hidden layer when the error of so many sequences is no lower than before (1997: 2a, 2b); 0: at the start
    )
    window: Annotated[Count, Needs("rule", values=("online", "guess"))] = (
        0  # solved when so many last training sequences are right; 0: when validation says so (rule=guess: at least 1)
    )
    window_wrong: Annotated[Count, Needs("window"), Needs("rule", values=("online",))] = (
        0  # sequences of the window that may be wrong
    )
    window_error: Annotated[AboveZero, Needs("window")] = 1.0  # largest mean absolute error of the window's outputs
    guess_spread: Annotated[AboveZero, Needs("rule", values=("guess",))] = 100.0  # draw all weights uniformly in ± this
    steps: Positive = 2000  # training steps
    batch_size: Positive = 50  # sequences per batch, over all devices
    optimizer: Annotated[Literal["adam", "adamw", "rmsprop", "sgd"], Needs("rule", values=("batch",))] = "adam"  # update rule
    learning_rate: Annotated[AboveZero, Needs("rule", besides=("guess",))] = 0.001  # of the optimizer, after the warm-up
    weight_decay: Annotated[AtLeastZero, Needs("rule", values=("batch",))] = 0.0  # decoupled for adamw; otherwise an L2 penalty
    momentum: Annotated[Rate, Needs("optimizer", values=("sgd", "rmsprop"))] = 0.0  # momentum of sgd and rmsprop
    averaging: Annotated[Rate, Needs("optimizer", values=("rmsprop",))] = (
        0.9  # smoothing constant of rmsprop (alpha in PyTorch)
    )
    clip: Annotated[AboveZero | None, Needs("rule", values=("batch",))] = (
        1.0  # gradient clipping: the largest norm or value; null: none
    )
    clip_by: Annotated[Literal["norm", "value"], Needs("clip")] = (
        "norm"  # clip the norm of the whole gradient, or each of its values
    )
    weight_noise: Annotated[AtLeastZero, Needs("rule", values=("batch",))] = (
        0.0  # standard deviation of Gaussian noise on the model's weights in training (Graves 2011)
    )
    mean_over: Annotated[
        Literal["steps", "rows"], Needs("task.structure", besides=("N->1",)), Needs("rule", values=("batch",))
    ] = "steps"  # average the loss over all scored steps of a batch, or over its sequences, each summed over its steps
    forcing: Share = 1.0  # encoder_decoder: probability of teacher forcing at the start of training
    forcing_end: Share = 1.0  # the same at the end; it changes linearly (scheduled sampling, Bengio et al. 2015)
    schedule: Annotated[Literal["constant", "linear", "cosine", "plateau", "step"], Needs("rule", values=("batch",))] = (
        "constant"  # learning-rate schedule, after the warm-up
    )
    warmup: Annotated[Count, Needs("rule", values=("batch",))] = 0  # steps of linear warm-up of the learning rate
    decay: Annotated[AboveZero, Needs("schedule", values=("plateau", "step"))] = (
        0.5  # factor on the learning rate after an evaluation that was no better (plateau), or after each (step)
    )
    decay_window: Annotated[Count, Needs("schedule", values=("plateau",))] = (
        0  # no better: worse than each of so many evaluations before; 0: not better than the best one
    )
    decay_after: Annotated[Count, Needs("schedule", values=("plateau", "step"))] = (
        0  # evaluations before the learning rate may fall
    )
    eval_every: Positive = 200  # steps between evaluations
    log_every: Positive = 50  # steps between lines of the log
    select: Literal["best", "last"] = "best"  # test the weights of the best evaluation, or of the last one
    patience: Count = 0  # early stopping: evaluations without a better score before training ends; 0: never
    beam: Positive = 1  # beam size in evaluations that write a target; 1: greedy decoding
    length_penalty: Annotated[AtLeastZero, Needs("beam", least=2)] = (
        0.0  # length normalization of beam search: 0 favours short answers, 1 the mean log-probability
    )
    samples: Annotated[Count, Needs("task.generates", "task.answers")] = (
        3  # text samples per evaluation, for tasks that write text
    )
    stop_when_solved: bool = True  # stop training when the validation score reaches the task's threshold
    carry: Annotated[bool, Needs("task.carries")] = True  # carry the state from batch to batch in tasks of continuous text
    instruments: Annotated[bool, Needs("rule", values=("batch",))] = (
        True  # measure and log gradients through time, gates, states and update sizes
    )
    precision: Literal["32", "64", "bf16"] = "32"  # floating-point precision in bits; bf16: mixed precision, weights stay 32


@dataclass(frozen=True)
class TrainerSettings:
    """Where a network is trained: `trainer.*`. None of these changes a run's numbers, but for what training draws at random
    (dropout): devices and micro batches draw it apart, and are then part of the run's id."""

    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"  # device to train on; auto: a GPU if there is one
    devices: Positive = 1  # devices per machine; auto: all GPUs of this one, or 1 for cpu
    nodes: Positive = 1  # machines; torchrun or SLURM starts their processes
    micro_batches: Positive = 1  # slices of a device's batch, whose gradients are added: less memory, the same update
    recompute: bool = (
        False  # compute activations again in the backward pass: less memory, more time; numbers change by rounding
    )
    workers: Count = 0  # data-loading processes; 0: batches are made between steps
    save_seconds: AboveZero = (
        120.0  # seconds between checkpoints; evaluations write one, too (rule=online and guess: at most one a second)
    )
    callbacks: tuple[str, ...] = ()  # Lightning callbacks of installed packages, by name; they are part of the run's id
    profiler: Literal["none", "simple", "pytorch"] = (
        "none"  # writes profile.txt; simple: time by Lightning hook; pytorch: time by operator, over a few steps
    )
    fast_dev_run: bool = False  # one step, one validation batch and one test batch, to see that all works; records nothing


@dataclass(frozen=True)
class BudgetSettings:
    """A budget of parameters that the width is solved for: `budget.*`."""

    params: str = ""  # number of parameters, such as 70000, 70k or 1.5M; sets model.hidden_size
    match: str = ""  # or: as many parameters as this model has at budget.width
    width: Annotated[Count, Needs("match")] = 0  # hidden_size of the model of budget.match
    embeddings: Annotated[bool, Needs("params", "match")] = True  # embeddings count; model and read-out always do
    tolerance: Annotated[Rate, Needs("params", "match")] = 0.01  # share of the budget by which the count may differ from it

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return bool(self.params or self.match)
