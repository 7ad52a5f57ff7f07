"""Simple baselines: what counting, or a linear model, makes of a task; a recurrent network has to beat them.

Each has settings of its own; validation chooses among them, and test is read once, with the chosen one. All see a task as a
network does: through its batches, scores and floor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy

from rnnbench.tasks.task import Batch, Bits, Reals, Split, Sums, Task, Tokens, add_up

from .data.text import need

ROWS = 64  # of a batch
ORDERS = {"bpc": 8, "perplexity": 4}  # tokens that the longest n-gram model sees, by what is counted: characters or words
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)  # C of the linear models
EPOCHS, WAIT = 30, 3  # of the mean of embeddings: at most, and without a better validation score
DECAYS = (1e-6, 1e-5, 1e-4, 1e-3)  # of the linear model of keys
Outputs = Callable[[Batch], Any]  # (B, S, size of the target stream), as a network gives them


class Result(NamedTuple):
    """One baseline: its score on both splits by the task's headline, and the setting that validation chose."""

    name: str
    chosen: str
    validation: float
    test: float
    seconds: float


def run_baselines(task: Task) -> Iterator[Result]:
    """The baselines that fit `task`, which is prepared; ValueError, at once, where none does."""
    if not task.fingerprint:
        raise ValueError("its data are generated: the floor is its baseline; tasks on real data have others")
    if task.source is not None or not (isinstance(task.inputs, Bits) or isinstance(task.targets, Tokens)):
        raise ValueError("no baseline reads and writes what this task does; there are some for classes, tags, texts and music")
    return _run(task)


def _run(task: Task) -> Iterator[Result]:
    yield choose_best(task, "floor: no input", [("", lambda: task.floor_guess)])
    if isinstance(task.inputs, Reals):
        fit = linear_in_all(task)
        yield choose_best(
            task, "all steps at once, linear", [(f"C {penalty:g}", partial(fit, penalty)) for penalty in PENALTIES]
        )
    elif isinstance(task.inputs, Bits):
        yield choose_best(task, "the step before, key by key", [("", lambda: same_key(task))])
        yield choose_best(
            task, "the step before, linear", [(f"decay {decay:g}", partial(all_keys, task, decay)) for decay in DECAYS]
        )
    elif task.structure == "N->1":
        for name, orders, weighted in (("bag of words, linear", 1, False), ("tf-idf of 1 and 2 words, linear", 2, True)):
            fit = linear(task, orders, weighted)
            yield choose_best(task, name, [(f"C {penalty:g}", partial(fit, penalty)) for penalty in PENALTIES])
        yield mean_of_embeddings(task)
    elif task.carries:
        yield best_order(task, "n-gram", ORDERS.get(task.headline, 4))
    else:
        yield best_order(task, "token and neighbours", 3)


def choose_best(task: Task, name: str, settings: Iterable[tuple[str, Callable[[], Outputs]]]) -> Result:
    """Fits each setting, takes the one that validation likes best, and only then looks at test."""
    began = time.perf_counter()
    fitted = []
    for words, fit in settings:
        outputs = fit()
        fitted.append((evaluate(task, outputs, "validation"), words, outputs))
    validation, words, outputs = (max if task.direction == "max" else min)(fitted, key=lambda one: one[0])
    return Result(name, words, validation, evaluate(task, outputs, "test"), time.perf_counter() - began)


def evaluate(task: Task, outputs: Outputs, split: Split) -> float:
    """The headline over a split."""
    return task.finish(add_up(task.score(outputs(batch), batch) for batch in walk(task, split)))[task.headline]


def walk(task: Task, split: Split, rows: int = ROWS) -> Iterator[Batch]:
    """One pass; in training, one row at a time, so that none sits it out."""
    rows = 1 if split == "train" else rows
    for index in range(task.batches(split, rows)):
        yield task.batch(split, index, rows, 0)


# texts with one answer


def linear(task: Task, orders: int, weighted: bool) -> Callable[[float], Outputs]:
    """Support vectors over the words (and pairs of neighbours) of a text, counted once or by tf-idf; `fit(C)` fits them."""
    need("sklearn", "baselines")
    import torch
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.svm import LinearSVC

    size = int(task.inputs.size)

    def features(batch: Batch) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(row, feature) of each word, and of each pair, of a batch."""
        tokens, lengths = batch.inputs.numpy(), batch.lengths.numpy()
        found = []
        for order in range(orders):
            inside = numpy.arange(tokens.shape[1] - order) < lengths[:, None] - order
            keys = tokens if not order else size + tokens[:, :-1] * size + tokens[:, 1:]
            found.append(numpy.stack([inside.nonzero()[0], keys[inside]]))
        rows, keys = numpy.concatenate(found, axis=1)
        return rows, keys

    parts = [(features(batch)[1], int(batch.targets[0, 0])) for batch in walk(task, "train")]
    known = numpy.unique(numpy.concatenate([keys for keys, _ in parts]))

    def matrix(rows: numpy.ndarray, keys: numpy.ndarray, count: int) -> Any:
        columns = numpy.searchsorted(known, keys).clip(max=len(known) - 1)
        new = known[columns] != keys
        rows, columns = rows[~new], columns[~new]
        counted = sparse.csr_matrix((numpy.ones(len(rows)), (rows, columns)), (count, len(known)))
        counted.sum_duplicates()
        if not weighted:
            counted.data[:] = 1
        return counted

    rows = numpy.repeat(numpy.arange(len(parts)), [len(keys) for keys, _ in parts])
    counted = matrix(rows, numpy.concatenate([keys for keys, _ in parts]), len(parts))
    weigh = TfidfTransformer(sublinear_tf=True).fit(counted) if weighted else None
    x, y = (weigh.transform(counted) if weigh else counted), numpy.array([label for _, label in parts])

    def fit(penalty: float) -> Outputs:
        model = LinearSVC(C=penalty, random_state=0).fit(x, y)

        def outputs(batch: Batch) -> Any:
            seen = matrix(*features(batch), len(batch.inputs))
            guess = torch.from_numpy(model.predict(weigh.transform(seen) if weigh else seen))
            return torch.nn.functional.one_hot(guess, task.targets.size).double().unsqueeze(1)

        return outputs

    return fit


def linear_in_all(task: Task) -> Callable[[float], Outputs]:
    """Support vectors over all steps of rows that are equally long; `fit(C)` fits them."""
    need("sklearn", "baselines")
    import torch
    from sklearn.svm import LinearSVC

    rows = [(batch.inputs.flatten(1).numpy(), batch.targets.numpy()) for batch in walk(task, "train")]
    x, y = numpy.concatenate([one for one, _ in rows]), numpy.concatenate([label.ravel() for _, label in rows])

    def fit(penalty: float) -> Outputs:
        model = LinearSVC(C=penalty, random_state=0).fit(x, y)

        def outputs(batch: Batch) -> Any:
            guess = torch.from_numpy(model.predict(batch.inputs.flatten(1).numpy()))
            return torch.nn.functional.one_hot(guess, task.targets.size).double().unsqueeze(1)

        return outputs

    return fit


def mean_of_embeddings(task: Task) -> Result:
    """The mean of learned word vectors, and a linear layer; validation says after which pass to stop (Iyyer et al. 2015)."""
    import copy

    import torch
    from torch import nn

    began = time.perf_counter()
    torch.manual_seed(0)
    vectors, readout = nn.Embedding(int(task.inputs.size), 100), nn.Linear(100, int(task.targets.size))
    network = nn.ModuleList([vectors, readout])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)

    def outputs(batch: Batch) -> Any:
        valid = (torch.arange(batch.inputs.shape[1]) < batch.lengths.unsqueeze(1)).unsqueeze(-1)
        return readout((vectors(batch.inputs) * valid).sum(1) / batch.lengths.unsqueeze(1)).unsqueeze(1)

    best, epoch_of_best, weights = -math.inf, 0, copy.deepcopy(network.state_dict())
    epoch_size = task.batches("train", ROWS)
    for epoch in range(EPOCHS):
        for index in range(epoch * epoch_size, (epoch + 1) * epoch_size):
            batch = task.batch("train", index, ROWS, 0)
            total, count = task.loss(outputs(batch), batch)
            optimizer.zero_grad()
            (total / count).backward()
            optimizer.step()
        with torch.inference_mode():
            score = evaluate(task, outputs, "validation")
        signed = score if task.direction == "max" else -score
        if signed > best:
            best, epoch_of_best, weights = signed, epoch, copy.deepcopy(network.state_dict())
        if epoch - epoch_of_best >= WAIT:
            break
    network.load_state_dict(weights)
    with torch.inference_mode():
        test = evaluate(task, outputs, "test")
    validation = best if task.direction == "max" else -best
    return Result("mean of embeddings", f"{epoch_of_best + 1} passes", validation, test, time.perf_counter() - began)


# an answer for each token, by counting


class Counts:
    """How often each answer came in each context of one order, discounted by Ney, Essen & Kneser's (1994) estimate."""

    def __init__(self, keys: numpy.ndarray, answers: numpy.ndarray, classes: int):
        """`keys` (N,) number the contexts, `answers` (N,) are what came there."""
        from scipy import sparse

        self.keys, rows = numpy.unique(keys, return_inverse=True)
        counts = sparse.csr_matrix((numpy.ones(len(rows)), (rows, answers)), (len(self.keys), classes))
        counts.sum_duplicates()
        once, twice = (counts.data == 1).sum(), (counts.data == 2).sum()
        discount = min(max(once / (once + 2 * twice), 0.1), 0.9) if once else 0.1
        totals = numpy.asarray(counts.sum(1)).ravel()
        self.left = discount * numpy.diff(counts.indptr) / totals  # (contexts,) the share that shorter contexts give out
        counts.data = (counts.data - discount) / numpy.repeat(totals, numpy.diff(counts.indptr))
        self.shares = counts

    def mixed(self, keys: numpy.ndarray, shorter: numpy.ndarray) -> numpy.ndarray:
        """(N, classes) shares of the answers, from those of the `shorter` contexts; these alone where a context is new."""
        places = numpy.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[places] == keys
        mixed = shorter * numpy.where(known, self.left[places], 1.0)[:, None]
        mixed[known] += self.shares[places[known]].toarray()
        return mixed


def contexts(task: Task, batches: Iterable[Batch], longest: int) -> Iterator[tuple[Batch, list[numpy.ndarray]]]:
    """Each batch with the keys (B, T) of its contexts, one array an order.

    A language model's are the last 1, 2, ... tokens, across batches; otherwise they are the token, with the one before it,
    and with the one after it too.
    """
    last = None
    for batch in batches:
        tokens = batch.inputs.numpy().astype(numpy.uint64) + numpy.uint64(1)
        if task.carries:
            # the rows of a stream are equally long but for the last window, after which nothing follows
            if last is None or bool(batch.fresh.all()):
                last = numpy.zeros((len(tokens), longest - 1), numpy.uint64)
            whole = numpy.concatenate([last, tokens], axis=1)
            last = whole[:, whole.shape[1] - (longest - 1) :]
            shifted = [whole[:, longest - 1 - back : whole.shape[1] - back] for back in range(longest)]
        else:
            inside = numpy.arange(tokens.shape[1]) < batch.lengths.numpy()[:, None]
            edged = numpy.pad(tokens * inside.astype(numpy.uint64), ((0, 0), (1, 1)))
            shifted = [edged[:, 1:-1], edged[:, :-2], edged[:, 2:]]
        keys, found = numpy.zeros_like(tokens), []
        with numpy.errstate(over="ignore"):
            for order, part in enumerate(shifted):
                keys = (keys ^ (part + numpy.uint64(order << 32))) * numpy.uint64(0x9E3779B97F4A7C15)
                keys ^= keys >> numpy.uint64(29)
                found.append(keys)
        yield batch, found


def best_order(task: Task, name: str, longest: int) -> Result:
    """Interpolated counts of what followed each context; validation chooses how long contexts are."""
    import torch

    began = time.perf_counter()
    classes = int(task.targets.size)
    gathered: list[list[numpy.ndarray]] = [[] for _ in range(longest)]
    answers = []
    for batch, keys in contexts(task, walk(task, "train"), longest):
        scored = batch.scored.numpy()
        answers.append(batch.targets.numpy()[scored])
        for order, values in enumerate(keys):
            gathered[order].append(values[scored])
    answer = numpy.concatenate(answers)
    counted = [Counts(numpy.concatenate(values), answer, classes) for values in gathered]
    counts = numpy.bincount(answer, minlength=classes) + 1.0
    alone = counts / counts.sum()

    def scores(split: Split, orders: Iterable[int]) -> dict[int, float]:
        sums: dict[int, list[Sums]] = {order: [] for order in orders}
        for batch, keys in contexts(task, walk(task, split), longest):
            scored = batch.scored.numpy()
            shares = numpy.broadcast_to(alone, (int(scored.sum()), classes))
            for order in range(max(sums)):
                shares = counted[order].mixed(keys[order][scored], shares)
                if order + 1 in sums:
                    outputs = torch.zeros(*scored.shape, classes, dtype=torch.float64)
                    outputs[batch.scored] = torch.from_numpy(shares).log()
                    sums[order + 1].append(task.score(outputs, batch))
        return {order: task.finish(add_up(each))[task.headline] for order, each in sums.items()}

    validation = scores("validation", range(1, longest + 1))
    best = (max if task.direction == "max" else min)(validation, key=lambda order: validation[order])
    test = scores("test", [best])[best]
    return Result(name, f"{best} of {longest} tokens", validation[best], test, time.perf_counter() - began)


# music


def same_key(task: Task) -> Outputs:
    """Each key's share of being on after it was off, and after it was on."""
    import torch

    on, total = torch.zeros(2, task.inputs.size), torch.zeros(2, task.inputs.size)
    for batch in walk(task, "train"):
        for was in (0, 1):
            there = (batch.inputs == was) & batch.scored.unsqueeze(-1)
            on[was] += (batch.targets * there).sum((0, 1))
            total[was] += there.sum((0, 1))
    odds = torch.log((on + 1) / (total - on + 1))
    return lambda batch: torch.where(batch.inputs > 0, odds[1], odds[0]).double()


def all_keys(task: Task, decay: float) -> Outputs:
    """Logistic regressions of every key on all keys of the step before, with the squares of their weights held down."""
    import torch

    x, y = (
        torch.cat([part[batch.scored] for batch, part in ((b, getattr(b, side)) for b in walk(task, "train"))])
        for side in ("inputs", "targets")
    )
    torch.manual_seed(0)
    model = torch.nn.Linear(task.inputs.size, task.targets.size)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        total = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y, reduction="sum") / len(x)
        total = total + decay * model.weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)

    @torch.inference_mode()
    def outputs(batch: Batch) -> Any:
        return model(batch.inputs)

    return outputs


def baseline_lines(task: Task, results: Iterable[Result]) -> Iterator[str]:
    """Lines as they come: baseline, what validation chose, both scores, seconds."""
    width = 34
    unit = f" ({task.unit})" if task.unit else ""
    yield f"{task.headline}{unit}: {'higher' if task.direction == 'max' else 'lower'} is better"
    yield f"{'baseline':<{width}}{'chosen':<18}{'validation':>11}{'test':>11}{'seconds':>9}"
    for result in results:
        yield f"{result.name:<{width}}{result.chosen:<18}{result.validation:>11.4g}{result.test:>11.4g}{result.seconds:>9.1f}"
