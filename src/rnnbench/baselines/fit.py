"""Simple baselines: what counting, or a linear model, makes of a task; a recurrent network has to beat them.

Each has settings of its own; validation chooses among them, and test is read once, with the chosen one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from rnnbench.tasks.task import Bits, Reals, Task, Tokens

from .counting import best_order, same_key
from .linear_models import all_keys, autoregression, linear, linear_in_all, mean_of_embeddings, ridge_of_words
from .scoring import Result, choose_best

ORDERS = {"bpc": 8, "perplexity": 4}  # tokens that the longest n-gram model sees, by what is counted: characters or words
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)  # C of the linear models
RIDGES = (0.1, 1.0, 10.0, 100.0)  # of the linear model of values
LAGS = (1, 2, 5, 10, 20)  # steps that the linear model of a series sees
DECAYS = (1e-6, 1e-5, 1e-4, 1e-3)  # of the linear model of keys


def run_baselines(task: Task) -> Iterator[Result]:
    """The baselines that fit `task`, which is prepared; ValueError, at once, where none does."""
    if not task.fingerprint:
        raise ValueError("its data are generated: the floor is its baseline; tasks on real data have others")
    pair = type(task.inputs), type(task.targets), task.structure
    # a series, numbers for texts, and labels of texts
    values = pair in ((Reals, Reals, "N->N"), (Tokens, Reals, "N->1"), (Tokens, Bits, "N->1"))
    if task.source is not None or not (values or isinstance(task.inputs, Bits) or isinstance(task.targets, Tokens)):
        raise ValueError("no baseline reads and writes what this task does; there are some for classes, tags, texts and music")
    return _run(task)


def _run(task: Task) -> Iterator[Result]:
    yield choose_best(task, "floor: no input", [("", lambda: task.floor_guess)])
    if isinstance(task.targets, Reals) and isinstance(task.inputs, Tokens):
        fits = [(f"decay {decay:g}", partial(ridge_of_words, task, decay)) for decay in RIDGES]
        yield choose_best(task, "bag of words, linear", fits)
    elif isinstance(task.targets, Reals):
        yield choose_best(
            task, "the last steps, linear", [(f"{lags} steps", partial(autoregression, task, lags)) for lags in LAGS]
        )
    elif isinstance(task.inputs, Reals):
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


def baseline_lines(task: Task, results: Iterable[Result]) -> Iterator[str]:
    """Lines as they come: baseline, what validation chose, both scores, seconds."""
    width = 34
    unit = f" ({task.unit})" if task.unit else ""
    yield f"{task.headline}{unit}: {'higher' if task.direction == 'max' else 'lower'} is better"
    yield f"{'baseline':<{width}}{'chosen':<18}{'validation':>11}{'test':>11}{'seconds':>9}"
    for result in results:
        yield f"{result.name:<{width}}{result.chosen:<18}{result.validation:>11.4g}{result.test:>11.4g}{result.seconds:>9.1f}"
