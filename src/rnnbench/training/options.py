"""The options of training as one value, which its parts read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainOptions:
    """What Learner's constructor was given; it says what each option means."""

    steps: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float
    clip: float | None
    clip_by: str
    forcing: float
    forcing_end: float
    schedule: str
    warmup: int
    decay: float
    eval_every: int
    log_every: int
    patience: int
    beam: int
    length_penalty: float
    samples: int
    stop_when_solved: bool
    carry: bool
    instruments: bool
    precision: str
