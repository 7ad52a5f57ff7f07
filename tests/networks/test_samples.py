"""What trained networks write: with every evaluation, on the report page, at the dashboard, and by `rnnbench sample`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.networks.decoding import draw_symbol, generate
from rnnbench.networks.plain import Network
from rnnbench.run.plan import make_task, new_network
from rnnbench.store.run_folder import RunFolder
from rnnbench.tasks.task import Batch
from rnnbench.tracking.wandb_media import as_media
from tests.support.text_sets import write_all

QUICK = ["model=gru", "model.hidden_size=8", "train.steps=20", "train.eval_every=10", "train.batch_size=8", "tracker=none"]
TASKS = {
    "char_lm": ["task.text=text.txt", "task.window=20"],
    "word_lm": ["task.text=text.txt", "task.window=12", "network.embedding=8"],
    "xml": ["task.window=20", "task.windows=5", "task.streams=4"],
    "translation": ["task.min_frequency=1", "network.embedding=8", "train.beam=2"],
    "pronunciation": ["task.data=words.txt", "network.embedding=8"],
    "caption": ["network.embedding=8"],
    "photo_caption": ["task.min_frequency=1", "task.side=6", "network.embedding=8"],
    "couplet": ["task.min_frequency=1", "network.embedding=8"],
}
PROMPTS = {"char_lm": "the ", "word_lm": "the cat", "xml": "<ab>", "translation": "a good film", "pronunciation": "ab"}
PROMPTS["couplet"] = "天地山水風"


@pytest.fixture(autouse=True)
def files(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    write_all(tmp_path / "data")
    Path("text.txt").write_text("the cat sat on the mat .\n" * 500)
    Path("words.txt").write_text(
        "".join(f"{a}{b}{c} {a.upper()} {b.upper()}\n" for a in "abcdef" for b in "abcdef" for c in "abcd")
    )


def trained(name: str) -> Path:
    assert main(["train", f"task={name}", *TASKS[name], *QUICK]) == 0
    (record,) = Path("runs").rglob("record.json")
    return record.parent


@pytest.mark.parametrize("name", TASKS)
def test_each_task_that_writes_is_sampled(name: str, capfd):
    folder = trained(name)
    capfd.readouterr()
    rows = [row for row in RunFolder(folder).rows() if "validation/samples" in row]
    assert [row["step"] for row in rows] == [10, 20]
    for row in rows:
        assert len(row["validation/samples"]) == 3 and row["characters_per_second"] >= 0
        assert all(set(one) >= {"read", "written"} for one in row["validation/samples"])
    assert "characters_per_second" not in json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert "speed" in json.loads((folder / "record.json").read_text())
    said = []
    for words in ([], ["--prompt", PROMPTS[name]] if name in PROMPTS else []) * 2:
        assert main(["sample", str(folder), "--length", "30", *words]) == 0
        said.append(capfd.readouterr().out)
    assert said[0] == said[2] and said[1] == said[3] and said[0].strip()
    if name in ("char_lm", "xml"):
        assert len(said[0]) == 10 + 30 + 1 and said[1].startswith(PROMPTS[name])
    if name in ("translation", "pronunciation", "couplet"):
        assert said[0].count("wanted") == 5


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("caption", ["--prompt", "a picture"], "a picture cannot be typed"),
        ("photo_caption", ["--prompt", "a picture"], "a picture cannot be typed"),
        ("xml", ["--prompt", "The "], "'T' is not in the vocabulary"),
        ("couplet", ["--prompt", " "], "an empty prompt"),
        ("translation", ["--prompt", ""], "an empty prompt"),
        ("char_lm", ["--prompt", ""], "an empty prompt"),
        ("char_lm", ["--top-p", "0"], "--top-p 0.0: more than 0 and at most 1"),
        ("char_lm", ["--top-k", "-1"], "--top-k -1: at least 0"),
        ("char_lm", ["--beam", "0"], "--beam 0: at least 1"),
    ],
)
def test_what_cannot_be_sampled_is_one_line(name: str, words: list[str], message: str, capfd):
    folder = trained(name)
    capfd.readouterr()
    assert main(["sample", str(folder), *words]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err, err


def test_the_tail_is_cut_off():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().double()

    def drawn(**how) -> set[int]:
        random = torch.Generator().manual_seed(0)
        return {draw_symbol(logits, how.get("t", 1.0), how.get("k", 0), how.get("p", 1.0), random) for _ in range(300)}

    assert drawn() == {0, 1, 2, 3} and drawn(t=0) == drawn(t=1e-320) == {0}
    assert drawn(k=1) == {0} and drawn(k=3) == {0, 1, 2}
    assert drawn(p=0.01) == {0} and drawn(p=0.6) == {0, 1} and drawn(k=2, p=0.99) == {0, 1}
    assert drawn(p=0.5) == {0}  # half of the chance is in the first alone


def drawn_by_torch(logits: torch.Tensor, t: float, k: int, p: float, random: torch.Generator) -> int:
    """The draw in PyTorch's words, with its multinomial."""
    chances, symbols = (logits.double() / t).softmax(-1).sort(descending=True, stable=True)
    chances = chances[:k] if k else chances
    kept = torch.where(chances.cumsum(-1) - chances < p * chances.sum(), chances, 0.0)
    return int(symbols[torch.multinomial(kept, 1, generator=random)])


@pytest.mark.parametrize("symbols", [2, 97, 1000])
@pytest.mark.parametrize(("t", "k", "p"), [(1.0, 0, 1.0), (0.1, 0, 1.0), (0.8, 3, 1.0), (2.0, 0, 0.9), (1.0, 2, 0.3)])
def test_a_symbol_is_drawn_as_by_multinomial(symbols: int, t: float, k: int, p: float):
    ours, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    values = 3 * torch.randn(100, symbols, generator=torch.Generator().manual_seed(0))
    values[::5] = values[::5].round()  # several are equally likely
    assert [draw_symbol(row, t, k, p, ours) for row in values] == [drawn_by_torch(row, t, k, p, theirs) for row in values]


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn", "peephole_lstm", "min_gru", "tcn", "variational_lstm", "zoneout_lstm"])
def test_what_is_sampled_is_what_whole_passes_give(model: str, monkeypatch: pytest.MonkeyPatch):
    (settings,) = compose_jobs(["task=xml", f"model={model}", "model.layers=2", "tracker=none"], sweep=False)
    task = make_task(settings)
    task.prepare()
    network, _ = new_network(settings, task)
    network.eval()
    read, drawn, random = task.encode("<a>"), [], torch.Generator().manual_seed(5)
    ones = torch.ones(1, dtype=torch.bool)
    with torch.no_grad():
        for _ in range(40):
            inputs = torch.tensor([read + drawn])
            batch = Batch(inputs, inputs, ones.expand_as(inputs), torch.tensor([inputs.shape[1]]), ones)
            drawn.append(drawn_by_torch(network(batch)[0][0, -1], 0.8, 0, 1.0, random))
    passes, forward = [], Network.forward

    def noted(self: Network, batch: Batch, state: object = None) -> object:
        passes.append(batch)
        return forward(self, batch, state)

    monkeypatch.setattr(Network, "forward", noted)
    assert "".join(generate(network, task, read, 40, 0.8, seed=5)) == "".join(task.decode([token]) for token in drawn)
    assert len(passes) == 1 and passes[0].inputs.tolist() == [read]  # the prompt, once; after it a step a symbol


def test_none_are_written_where_none_are_wanted():
    assert main(["train", "task=xml", *TASKS["xml"], *QUICK, "train.samples=0"]) == 0
    (log,) = Path("runs").rglob("metrics.jsonl")
    assert "samples" not in log.read_text()


def test_the_dashboard_has_them_as_a_table():
    wandb = pytest.importorskip("wandb")
    table = as_media([{"read": "a", "written": "b"}, {"read": "c", "written": "d"}])
    assert isinstance(table, wandb.Table) and table.columns == ["read", "written"] and table.data == [["a", "b"], ["c", "d"]]
    assert as_media(0.5) == 0.5


def test_the_page_shows_what_was_written_last():
    folder = trained("translation")
    assert main(["report", str(folder), "--output", "page.html"]) == 0
    page = Path("page.html").read_text()
    last = [row for row in RunFolder(folder).rows() if "validation/samples" in row][-1]["validation/samples"]
    assert all(one["read"] in page and one["wanted"] in page for one in last)
    assert "Written" in page and "after 20 steps" in page
