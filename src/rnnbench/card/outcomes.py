"""From records to verdicts: for each task and opponent, whether the cell is ahead, behind, or not told apart.

The rule is declared before anything is run. Each task has one measure. A pair of samples is asked by a permutation test of it
(steps to solve: log-rank; score: the mean on the metric's scale) or by Fisher's exact test (share solved). Holm's correction is
over all tasks and opponents of the card. What is asked besides, at equal state and at equal time a step, is another family.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance
from typing import NamedTuple

from ..analysis.grouping import trained_with
from ..analysis.intervals import Estimate, on_scale, scale_of, summarize, wilson
from ..analysis.significance import (
    difference,
    difference_of_shares,
    holm,
    log_rank,
    log_rank_scores,
    mean_difference,
    seeds_needed,
    time_to_solve,
)
from ..options import amount
from ..store.record import Record, headline_score
from .suite import Measure, Suite, least_p

MOST_SEEDS = 1000  # that a question is worth
POWER = 0.8
RATIO = "ratio of geometric means"


class RunOutcome(NamedTuple):
    """What a run counts as. A run that diverged did not solve its task, and its score is the floor's."""

    score: float | None
    solved: bool
    steps: float  # until it was solved, or as long as it was watched
    diverged: bool = False


@dataclass(frozen=True)
class Sample:
    """The runs of one model on one task."""

    model: str
    outcomes: tuple[RunOutcome, ...]
    headline: str
    lower_is_better: bool
    parameters: int = 0

    @property
    def scores(self) -> list[float]:
        return [one.score for one in self.outcomes if one.score is not None]

    @property
    def times(self) -> tuple[list[float], list[bool]]:
        return [one.steps for one in self.outcomes], [one.solved for one in self.outcomes]

    @property
    def share(self) -> tuple[int, int]:
        return sum(one.solved for one in self.outcomes), len(self.outcomes)

    def estimate(self, measure: Measure) -> Estimate:
        """The measure of the sample, with its interval."""
        if measure == "solved":
            return wilson(*self.share)
        return time_to_solve(*self.times) if measure == "steps_to_solve" else summarize(self.scores, self.headline)


def outcome_of(record: Record) -> RunOutcome:
    """What the run of a record counts as."""
    diverged, score = record["status"] == "diverged", headline_score(record)
    steps = record["solved_step"] or (trained_with(record, "steps") if diverged else record["steps"])
    score = record["task"]["floor"] if score is None or not math.isfinite(score) else score
    return RunOutcome(score, record["solved_step"] is not None, float(steps), diverged)


def sample_of(model: str, records: Sequence[Record]) -> Sample:
    """The runs of one model on one task. ValueError for no records."""
    if not records:
        raise ValueError(f"{model}: no record")
    about = records[0]["task"]
    parameters = records[0]["model"]["parameters"]
    outcomes = tuple(map(outcome_of, records))
    return Sample(model, outcomes, about["headline"], about["direction"] == "min", parameters)


@dataclass(frozen=True)
class CardVerdict:
    """Of the cell and one opponent on one task. `p` is corrected for all questions of the family."""

    task: str
    opponent: str
    measure: Measure
    own: Estimate
    other: Estimate
    gap: Estimate  # between the two: see Comparison
    p: float
    word: str  # ahead or behind; else what the suite calls it where the two are not told apart
    seeds: int | None  # of each model that would tell them apart with a chance of 80 %; None: more than MOST_SEEDS
    equal: bool = False  # there is no difference at all, which no number of seeds would tell


class Comparison(NamedTuple):
    """What came out of two samples.

    `gap` is the first one's measure less the other's, with an interval of its own: of shares Newcombe's, of scores Welch's,
    and of a metric that is compared on a log scale the RATIO. Of steps it is that of their means where a run that solves
    nothing counts all steps of training: a restricted mean, which all runs have (Royston & Parmar 2013, BMC Medical Research
    Methodology 13:152). The log-rank test does not ask this mean: where curves cross the two may disagree.
    """

    p: float  # of no difference
    side: int  # 1 where the first sample is the better, -1 where it is the worse, 0 where neither is
    gap: Estimate


def compare(measure: Measure, one: Sample, other: Sample) -> Comparison:
    """Two samples by their measure. ValueError where steps or scores are of fewer than two runs."""
    if measure == "solved":
        found, p, *_ = difference_of_shares(*one.share, *other.share)
        return Comparison(p, sign(found.value), found)
    if measure == "steps_to_solve":
        p, later = log_rank(*one.times, *other.times)
        return Comparison(p, -later, mean_difference(one.times[0], other.times[0]))
    a, b, logarithms = _scaled(one, other)
    asked, gap = difference(a, b), mean_difference(a, b)
    if logarithms:
        low, high = (None if bound is None else math.exp(bound) for bound in (gap.low, gap.high))
        gap = Estimate(math.exp(gap.value), low, high, RATIO)
    return Comparison(asked.p, sign(-asked.value if one.lower_is_better else asked.value), gap)


def _scaled(one: Sample, other: Sample) -> tuple[list[float], list[float], bool]:
    """(the scores of two samples on the scale of their metric, whether that is the logarithm: a score of 0 has none)."""
    if scale_of(one.headline) != "log" or min(*one.scores, *other.scores) <= 0:
        return one.scores, other.scores, False
    return on_scale(one.scores, one.headline), on_scale(other.scores, other.headline), True


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def seeds_to_tell_apart(measure: Measure, one: Sample, other: Sample, level: float) -> int | None:
    """Seeds of each model that tell them apart with a chance of about 80 %, should they differ by as much as they do here.

    None where they do not differ at all, or where that takes more than MOST_SEEDS. Normal approximations: of proportions, of
    means, and of the scores of the log-rank test. Never so few that a permutation test of them could not reach `level`.
    """
    if measure == "solved":
        shares = [solved / runs for solved, runs in (one.share, other.share)]
        needed = seeds_needed(shares[0], shares[1], POWER, 1 - level) if shares[0] != shares[1] else math.inf
    else:
        if measure == "steps_to_solve":
            (times, solved), (more, others) = one.times, other.times
            scores = log_rank_scores([*times, *more], [*solved, *others])
            a, b = scores[: len(times)], scores[len(times) :]
        else:
            a, b, _ = _scaled(one, other)
        z = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)
        gap = fmean(a) - fmean(b)
        needed = z * z * (variance(a) + variance(b)) / gap**2 if gap else math.inf
    fewest = next(seeds for seeds in itertools.count(2) if least_p(seeds, seeds) <= level)
    return max(fewest, math.ceil(needed)) if needed <= MOST_SEEDS else None


class SamplePair(NamedTuple):
    """The cell and an opponent on a task, of which it is asked whether the cell is ahead."""

    task: str
    own: Sample
    other: Sample


def judge(suite: Suite, samples: Mapping[str, Mapping[str, Sample]], cell: str) -> list[CardVerdict]:
    """The verdicts of a card at equal parameters; `samples` by task, then by model, `cell` among them."""
    others = ((task, models[cell], other) for task, models in samples.items() for name, other in models.items() if name != cell)
    return answer_family(suite, [SamplePair(*one) for one in others])


def answer_family(suite: Suite, questions: Sequence[SamplePair]) -> list[CardVerdict]:
    """The verdict of each question; Holm's correction is over these."""
    asked = [compare(suite.tasks[one.task].measure, one.own, one.other) for one in questions]
    corrected = holm([one.p for one in asked])
    found = []
    for (task, own, other), (_, side, gap), p in zip(questions, asked, corrected, strict=True):
        measure = suite.tasks[task].measure
        told_apart = p <= suite.level and side != 0
        word = ("ahead" if side > 0 else "behind") if told_apart else "not seen" if suite.screening else "open"
        seeds = None if told_apart else seeds_to_tell_apart(measure, own, other, suite.level / len(questions))
        values = own.estimate(measure), other.estimate(measure), gap
        found.append(CardVerdict(task, other.model, measure, *values, p, word, seeds, equal=side == 0))
    return found


def verdict_summary(suite: Suite, verdicts: Sequence[CardVerdict]) -> str:
    """What came out, in a few sentences: where the cell is ahead and where it is behind, and never more than that."""
    parts = []
    for word, of in (("ahead", "of "), ("behind", "")):
        by_task: dict[str, list[str]] = {}
        for one in verdicts:
            if one.word == word:
                by_task.setdefault(one.task, []).append(one.opponent)
        places = "; ".join(f"{of}{' and '.join(names)} on {task}" for task, names in by_task.items())
        parts.append(f"{word.capitalize()} {places or 'nowhere'}.")
    left = sum(one.word not in ("ahead", "behind") for one in verdicts)
    word = "not seen" if suite.screening else "open"
    parts.append(f"{left} of {amount(len(verdicts), 'comparison')}: {word}.")
    return " ".join(parts)
