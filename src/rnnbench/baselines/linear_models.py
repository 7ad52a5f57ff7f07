"""Baselines by linear models: of words, of all steps at once, of the mean of word vectors, of the keys of the step before."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from rnnbench.tasks.task import Batch, Task

from ..data.text import need
from .scoring import ROWS, Outputs, Result, evaluate, walk

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS, WAIT = 30, 3  # of the mean of embeddings: at most, and without a better validation score


def linear(task: Task, orders: int, weighted: bool) -> Callable[[float], Outputs]:
    """Support vectors over the words (and pairs of neighbours) of a text, counted once or by tf-idf; `fit(C)` fits them."""
    need("sklearn", "baselines")
    import torch
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.multiclass import OneVsRestClassifier
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

    parts = [(features(batch)[1], batch.targets[0, 0].numpy()) for batch in walk(task, "train")]
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

    several = y.ndim == 2  # labels, each with a model of its own

    def fit(penalty: float) -> Outputs:
        model = LinearSVC(C=penalty, random_state=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Label not|Label .* is present")  # one that no text has, or each of them
            model = (OneVsRestClassifier(model) if several else model).fit(x, y)

        def outputs(batch: Batch) -> Tensor:
            seen = matrix(*features(batch), len(batch.inputs))
            guess = torch.from_numpy(model.predict(weigh.transform(seen) if weigh else seen))
            if several:
                return (2 * guess.double() - 1).reshape(batch.targets.shape)
            return torch.nn.functional.one_hot(guess, task.targets.size).double().unsqueeze(1)

        return outputs

    return fit


def linear_in_all(task: Task) -> Callable[[float], Outputs]:
    """Support vectors over all steps of a row, zeros behind its end; steps behind the longest of training do not count.
    `fit(C)` fits them."""
    need("sklearn", "baselines")
    import torch
    from sklearn.svm import LinearSVC

    rows = [(batch.inputs.numpy(), batch.targets.numpy()) for batch in walk(task, "train")]
    steps = max(one.shape[1] for one, _ in rows)

    def fitted(inputs: numpy.ndarray) -> numpy.ndarray:
        """(B, steps * D) from (B, T, D)."""
        cut = inputs[:, :steps]
        return numpy.pad(cut, ((0, 0), (0, steps - cut.shape[1]), (0, 0))).reshape(len(cut), -1)

    x, y = numpy.concatenate([fitted(one) for one, _ in rows]), numpy.concatenate([label.ravel() for _, label in rows])

    def fit(penalty: float) -> Outputs:
        model = LinearSVC(C=penalty, random_state=0).fit(x, y)

        def outputs(batch: Batch) -> Tensor:
            guess = torch.from_numpy(model.predict(fitted(batch.inputs.numpy())))
            return torch.nn.functional.one_hot(guess, task.targets.size).double().unsqueeze(1)

        return outputs

    return fit


def ridge_of_words(task: Task, decay: float) -> Outputs:
    """Least squares over how often each word stands in a text, with the squares of the weights held down, and a constant."""
    need("sklearn", "baselines")
    import torch
    from scipy import sparse
    from sklearn.linear_model import Ridge

    def counted(batch: Batch) -> Any:
        tokens, lengths = batch.inputs.numpy(), batch.lengths.numpy()
        inside = numpy.arange(tokens.shape[1]) < lengths[:, None]
        places = inside.nonzero()[0], tokens[inside]
        return sparse.csr_matrix((numpy.ones(len(places[0])), places), (len(tokens), int(task.inputs.size)))

    rows = [(counted(batch), batch.targets[:, 0].numpy()) for batch in walk(task, "train")]
    model = Ridge(alpha=decay).fit(sparse.vstack([x for x, _ in rows]), numpy.concatenate([y for _, y in rows]))
    return lambda batch: torch.from_numpy(model.predict(counted(batch)).reshape(len(batch.inputs), 1, -1))


def autoregression(task: Task, lags: int) -> Outputs:
    """Least squares over the last `lags` steps, zeros before the first, and a constant."""
    import torch

    def seen(inputs: Tensor) -> Tensor:
        """(B, T, lags * D + 1) float64 from (B, T, D)."""
        padded = torch.nn.functional.pad(inputs.double(), (0, 0, lags - 1, 0))
        steps = padded.unfold(1, lags, 1).flatten(2)
        return torch.cat([steps, torch.ones_like(steps[..., :1])], -1)

    rows = [(seen(batch.inputs)[batch.scored], batch.targets[batch.scored].double()) for batch in walk(task, "train")]
    x, y = (torch.cat(side) for side in zip(*rows, strict=True))
    weights = torch.linalg.lstsq(x, y).solution
    return lambda batch: seen(batch.inputs) @ weights


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

    def outputs(batch: Batch) -> Tensor:
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

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y, reduction="sum") / len(x)
        total = total + decay * model.weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)

    @torch.inference_mode()
    def outputs(batch: Batch) -> Tensor:
        return model(batch.inputs)

    return outputs
