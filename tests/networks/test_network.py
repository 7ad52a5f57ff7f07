"""Codec, read-out, encoder-decoders and what they write; width from a budget."""

from __future__ import annotations

import itertools
import re

import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.config.budget import needed_tolerance, parse_count, shared_budgets, solve_width
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import choice_names
from rnnbench.groups import NetworkSettings
from rnnbench.models.registry import MODELS
from rnnbench.models.stack import Stack
from rnnbench.networks.build_network import build_network
from rnnbench.networks.decoding import write_greedily
from rnnbench.options import BadOption
from rnnbench.run.plan import make_network, make_task, plan_run, within_budget
from rnnbench.tasks import load
from rnnbench.tasks.task import Batch

KINDS = [
    {"kind": "plain"},
    *({"kind": "encoder_decoder", "attention": attention} for attention in ("none", "additive", "multiplicative")),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@pytest.mark.parametrize("mechanism", MODELS)
def test_a_range_of_all_first_weights_is_that_of_every_parameter(mechanism, kind):
    if mechanism == "lstm_1997" and kind["kind"] != "plain":
        return
    network = made(load("reverse", length=4, shortest=2), mechanism, writer="gru", embedding=5, spread=0.25, **kind)
    least, most = (torch.stack([f(parameter) for parameter in network.parameters()]) for f in (torch.min, torch.max))
    assert -0.25 <= least.min() < -0.24 and 0.24 < most.max() <= 0.25
    for parameter in network.parameters():
        if parameter.numel() > 30:
            assert parameter.min() < -0.15 and parameter.max() > 0.15 and abs(parameter.mean()) < 0.1


def made(task, mechanism="gru", bidirectional=False, writer=None, **options):
    """A network in float64, H = 6, for `task`."""
    torch.manual_seed(0)

    def core(size):
        return Stack(lambda inner: MODELS[mechanism](inner, hidden_size=6), size, 1, bidirectional)

    def other(size):
        return Stack(lambda inner: MODELS[writer or mechanism](inner, hidden_size=6), size, 1, False)

    return build_network(task, core, other, NetworkSettings(**options)).double().eval()


@pytest.mark.parametrize(
    ("mechanism", "backends"),
    [("gru", ("library", "fused")), *((name, ("compiled", "doubling", "loop")) for name in ("min_gru", "min_lstm"))],
)
def test_a_back_end_computes_the_same_and_is_the_one_asked_for(mechanism, backends):
    task = load("adding", length=9, sequences=20)
    batch, found = task.batch("train", 0, 4, 0), {}
    for backend in ("auto", *backends):
        network = made(task, mechanism, backend=backend)
        assert {cell.backend for layer in network.core.layers for cell in layer} == {backend}
        found[backend] = network(batch)[0]
    for backend in backends:
        torch.testing.assert_close(found[backend], found["auto"], rtol=1e-12, atol=1e-12)
    missing = "loop" if mechanism == "gru" else "library"
    with pytest.raises(ValueError, match=re.escape(f"has auto, {', '.join(backends)}")):
        made(task, mechanism, backend=missing)


@pytest.fixture
def reverse():
    return load("reverse", length=5, shortest=2, symbols=3, sequences=20)


def batch_of(task, rows=6) -> Batch:
    return task.batch("train", 0, rows, 0)


@pytest.mark.parametrize("options", KINDS, ids=lambda options: " ".join(options.values()))
@pytest.mark.parametrize("mechanism", MODELS)
def test_what_is_fed_at_once_is_what_is_fed_step_by_step(options, mechanism, reverse):
    network = made(reverse, mechanism, embedding=4, **options)
    batch = batch_of(reverse)
    whole, _ = network(batch)
    memory, steps = network.begin(batch), []
    for t in range(batch.inputs.shape[1]):
        output, memory = network.step(batch.inputs[:, t], memory)
        steps.append(output)
    valid = batch.scored
    torch.testing.assert_close(whole[valid], torch.stack(steps, 1)[valid], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", KINDS, ids=lambda options: " ".join(options.values()))
def test_padding_of_the_source_changes_nothing(options, reverse):
    bidirectional = options["kind"] != "plain"
    network = made(reverse, "lstm", bidirectional, **options)
    batch = batch_of(reverse)
    outputs, _ = network(batch)
    for row, (read, wrote) in enumerate(zip(batch.source_lengths.tolist(), batch.lengths.tolist(), strict=True)):
        one = batch.map(lambda part, row=row: part[row : row + 1])
        one = one._replace(source=one.source[:, :read], inputs=one.inputs[:, :wrote], targets=one.targets[:, :wrote])
        alone, _ = network(one)
        torch.testing.assert_close(outputs[row, :wrote], alone[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attention", ["none", "additive", "multiplicative"])
def test_any_mechanism_reads_and_any_other_writes(attention, reverse):
    for reader, writer in itertools.product(MODELS, MODELS):
        if attention == "none" and not MODELS[writer].recurrent:
            continue  # it has no state to start from
        network = made(reverse, reader, True, writer, kind="encoder_decoder", attention=attention)
        outputs, _ = network(batch_of(reverse))
        outputs.sum().backward()
        missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        if writer == "lstm_1997":  # its gradient is cut where activations enter, those that it starts from, too
            missing = [name for name in missing if not name.startswith("bridges.")]
        assert not missing, (reader, writer, missing)


def log_probability(network, batch, written, end) -> list[float]:
    """log p of each row's writing up to and with its first `end`, by teacher forcing."""
    start = torch.full((len(written), 1), end + 1)
    inputs = torch.cat([start, written[:, :-1]], 1)
    lengths = torch.full((len(written),), inputs.shape[1])
    outputs, _ = network(batch._replace(inputs=inputs, lengths=lengths))
    chosen = outputs.log_softmax(-1).gather(2, written.unsqueeze(-1)).squeeze(-1)
    before_end = (written == end).cumsum(1) - (written == end).long() == 0
    return (chosen * before_end).sum(1).tolist()


def test_a_beam_of_all_finds_the_likeliest(reverse):
    task = load("reverse", length=2, shortest=2, symbols=2, sequences=20)
    network = made(task, "gru", kind="encoder_decoder", attention="additive")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    batch = batch_of(task, 1)
    everything = [list(w) for w in itertools.product(range(3), repeat=3)]
    closed = [w for w in everything if all(b == 2 for a, b in itertools.pairwise(w) if a == 2)]  # after the end only the end
    with torch.no_grad():
        scores = [log_probability(network, batch, torch.tensor([w]), task.end)[0] for w in closed]
    best = closed[max(range(len(scores)), key=scores.__getitem__)]
    assert write_greedily(network, task, batch, beam=30 // 3)[0].tolist() == best


def test_greedy_takes_the_likeliest_symbol_and_beams_are_no_worse(reverse):
    network = made(reverse, "lstm", kind="encoder_decoder", attention="multiplicative")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    batch = batch_of(reverse, 12)
    greedy = write_greedily(network, reverse, batch)
    assert greedy.shape == (12, reverse.longest)
    with torch.no_grad():
        memory, symbols = network.begin(batch), torch.full((12,), reverse.start)
        for t in range(reverse.longest):
            output, memory = network.step(symbols, memory)
            symbols = torch.where((greedy[:, :t] == reverse.end).any(1), reverse.end, output.argmax(-1))
            assert torch.equal(symbols, greedy[:, t])
        one = log_probability(network, batch, greedy, reverse.end)
        many = log_probability(network, batch, write_greedily(network, reverse, batch, beam=4), reverse.end)
    assert sum(many) >= sum(one)


def test_long_answers_gain_by_the_length_penalty(reverse):
    network = made(reverse, "gru", kind="encoder_decoder")
    batch = batch_of(reverse, 30)

    def length(penalty):
        return (write_greedily(network, reverse, batch, beam=4, penalty=penalty) != reverse.end).sum()

    assert length(5.0) > length(0.0)


def test_scheduled_sampling_feeds_the_networks_own_symbols(reverse):
    network = made(reverse, "gru", kind="encoder_decoder").train()
    batch = batch_of(reverse)
    network.forcing = 0.0
    own, _ = network(batch)
    network.forcing = 1.0
    inputs = torch.cat([batch.inputs[:, :1], own.argmax(-1)[:, :-1]], 1)
    fed, _ = network(batch._replace(inputs=inputs, lengths=torch.full_like(batch.lengths, inputs.shape[1])))
    torch.testing.assert_close(own, fed)


@pytest.mark.parametrize("read", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_summary_ignores_padding(read, bidirectional):
    task = load("adding", length=7)
    network = made(task, "lstm", bidirectional, read=read)
    batch = batch_of(task)._replace(lengths=torch.tensor([7, 5, 1, 3, 7, 2]))
    outputs, _ = network(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        one = batch.map(lambda part, row=row: part[row : row + 1])
        alone, _ = network(one._replace(inputs=one.inputs[:, :length]))
        torch.testing.assert_close(outputs[row], alone[0], rtol=1e-9, atol=1e-9)


def test_carried_rows_go_on_and_fresh_ones_begin():
    network = made(load("copy_memory", delay=2))
    _, state = network(load("copy_memory", delay=2).batch("train", 0, 4, 0))
    carried = network.carry(state, torch.tensor([True, False, True, False]))
    assert not carried[0][0][[0, 2]].any()
    assert torch.equal(carried[0][0][[1, 3]], state[0][0][[1, 3]])
    assert not carried[0][0].requires_grad
    assert network.carry(None, torch.tensor([True])) is None


def test_tied_weights_are_one_and_must_fit():
    task = load("char_lm")
    task.prepare()
    network = made(task, "gru", embedding=6, tied=True)
    assert network.readout.weight is network.codec.embedding.weight
    with pytest.raises(ValueError, match=r"network\.tied"):
        made(task, "gru", embedding=5, tied=True)
    with pytest.raises(ValueError, match="no embedding"):
        made(task, "gru", tied=True)


# width from a budget


@pytest.mark.parametrize("model", choice_names("model"))
@pytest.mark.parametrize("wanted", ["70k", "1.2M"])
def test_every_model_meets_a_budget(model, wanted):
    (job,) = compose_jobs(["task=adding", f"model={model}", f"budget.params={wanted}"], sweep=False)
    task = make_task(job)
    try:
        fitted = within_budget(job, task)
    except BadOption as error:  # widths so coarse that two neighbours miss it on either side
        below, above = (int(number.replace(",", "")) for number in re.findall(r"has ([\d,]+\d)", str(error)))
        assert below < 0.99 * parse_count(wanted) and above > 1.01 * parse_count(wanted)
        return
    parameters = sum(p.numel() for p in make_network(fitted, task).parameters())
    assert abs(parameters / parse_count(wanted) - 1) <= 0.01


def test_a_budget_matches_another_model_and_leaves_embeddings_out():
    (job,) = compose_jobs(["task=adding", "model=gru", "budget.match=lstm", "budget.width=130"], sweep=False)
    task = make_task(job)
    fitted = within_budget(job, task)
    assert sum(p.numel() for p in make_network(fitted, task).parameters()) == pytest.approx(69_811, rel=0.01)
    words = ["task=char_lm", "model=gru", "network.embedding=50", "budget.params=70k", "budget.embeddings=false"]
    (job,) = compose_jobs(words, sweep=False)
    task = make_task(job)
    task.prepare()
    network = make_network(within_budget(job, task), task)
    rest = sum(p.numel() for name, p in network.named_parameters() if "embedding" not in name)
    assert rest == pytest.approx(70_000, rel=0.01)


def test_budgets_that_cannot_be():
    assert [parse_count(text) for text in ("70000", "70k", "1.5M")] == [70_000, 70_000, 1_500_000]
    for text in ("", "0", "-3", "70kk", "k", "1e5"):
        with pytest.raises(BadOption, match="70k"):
            parse_count(text)
    for wanted, nearest in ((140, 100), (160, 200), (99 // 2, 100)):
        with pytest.raises(BadOption, match=f"width of gru .*hidden_size=1 has 100, 2 has 200; .*budget.params={nearest}$"):
            solve_width(lambda width: 100 * width, wanted, "gru")
    with pytest.raises(BadOption, match=r"budget\.match"):
        compose_jobs(["task=adding", "model=gru", "budget.match=lstm"], sweep=False)


COUNTERS = {"hundreds": lambda width: 100 * width, "squares": lambda width: width * width, "cubes": lambda width: 7 * width**3}


def is_met(count, budget: int, tolerance: float) -> bool:
    """By trying every width."""
    return any(abs(count(width) - budget) <= tolerance * budget for width in range(1, 3 + budget))


@pytest.mark.parametrize("names", [("hundreds",), ("squares",), ("hundreds", "squares"), ("hundreds", "squares", "cubes")])
@pytest.mark.parametrize(("wanted", "tolerance"), [(40, 0.01), (130, 0.01), (550, 0.01), (550, 0.05), (777, 0.0), (700, 0.01)])
def test_shared_budgets_are_the_nearest_that_every_model_meets(names, wanted, tolerance):
    counts = [COUNTERS[name] for name in names]
    good = [budget for budget in range(1, 4000) if all(is_met(count, budget, tolerance) for count in counts)]
    nearest = [max((one for one in good if one <= wanted), default=0), min((one for one in good if one >= wanted), default=0)]
    found = shared_budgets(counts, wanted, tolerance)
    assert [one for one in found if one < 4000] == list(dict.fromkeys(one for one in nearest if one))


@pytest.mark.parametrize(("wanted", "needed"), [(150, 0.334), (200, 0.02), (10_000, 0)])
def test_the_tolerance_that_is_needed(wanted, needed):
    """Of 100 n and n**2: 200 is 0 and (196 - 200) / 200 off."""
    counts = [COUNTERS["hundreds"], COUNTERS["squares"]]
    assert needed_tolerance(counts, wanted) == needed
    for count in counts:
        solve_width(count, wanted, "a", needed)
    if needed:
        with pytest.raises(BadOption):
            for count in counts:
                solve_width(count, wanted, "a", needed - 0.002)


@pytest.mark.parametrize("wanted", ["5k", "8k", "20k"])
def test_the_hint_names_budgets_that_all_models_of_a_sweep_meet(wanted, capfd):
    words = ["task=adding", "tracker=none", "train.steps=1"]
    models = ["lstm", "gru"]
    assert main(["train", "-m", *words, f"model={','.join(models)}", f"budget.params={wanted}"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and len(said) <= 401
    for budget in re.findall(r"budget\.(params=\d+|tolerance=[.\d]+)", said):
        budget = [f"budget.{budget}", *([f"budget.params={wanted}"] if "tolerance" in budget else [])]
        for job in compose_jobs([*words, f"model={','.join(models)}", *budget], sweep=True):
            within_budget(job, make_task(job))


@pytest.mark.parametrize("tolerance", [0.01, 0.05])
def test_a_tolerance_is_no_part_of_a_run(tolerance):
    """Only the width is, which the default leaves as it was."""
    budget = ["budget.params=70k"]
    sizes = [budget, [*budget, f"budget.tolerance={tolerance}"], ["model.hidden_size=130"]]
    jobs = [compose_jobs(["task=adding", "model=lstm", *size], sweep=False)[0] for size in sizes]
    assert len({plan_run(job).id for job in jobs}) == 1
