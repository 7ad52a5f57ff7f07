"""Bad input: exit code 2, one line that says what was got and what is allowed, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from tests.conftest import everything

GOOD = ["train", "task=adding", "model=lstm"]
CASES = {
    "unknown task": (["train", "task=copi_memory", "model=lstm"], "did you mean 'copy_memory'"),
    "unknown model": (["train", "task=adding", "model=lstn"], "did you mean 'lstm'"),
    "unknown option": ([*GOOD, "task.lenght=9"], "did you mean 'task.length'"),
    "unknown group": ([*GOOD, "trian.steps=9"], "did you mean 'train.steps'?"),
    "unknown group and option": ([*GOOD, "trian.staps=9"], "did you mean 'train.steps'?"),
    "no option near": ([*GOOD, "task.blub=9"], "there are: task.first_pair"),
    "no group near": ([*GOOD, "blub=9"], "there are: accept_changes, again, budget.*"),
    "no model near": (["train", "task=adding", "model=blah"], "there are: arjovsky_irnn"),
    "option of another task": ([*GOOD, "task.delay=9"], "task.length"),
    "wrong type": ([*GOOD, "model.hidden_size=wide"], "whole number"),
    "a fraction for a count": ([*GOOD, "model.hidden_size=1.5"], "whole number"),
    "a word for a switch": ([*GOOD, "train.stop_when_solved=perhaps"], "true or false"),
    "not among the choices": ([*GOOD, "train.optimizer=adamm"], "adam, adamw, rmsprop, sgd"),
    "dropout of two": ([*GOOD, "model.dropout=2"], "at least 0 and less than 1"),
    "no units": ([*GOOD, "model.hidden_size=0"], "at least 1"),
    "negative length": ([*GOOD, "task.length=-5"], "at least 2"),
    "no steps": ([*GOOD, "train.steps=0"], "at least 1"),
    "online without a key": ([*GOOD, "tracker.mode=online"], "no API key"),
    "a glob": (["train", "-m", "task=adding", "model=glob(*)"], "name the values"),
    "a package": ([*GOOD, "model@x=gru"], "packages"),
    "nested resolver": ([*GOOD, "runs='${oc.${sweep}:HOME}'", "sweep=env"], "resolvers"),
    "logging of one's own": ([*GOOD, "hydra/job_logging=disabled"], "can be changed"),
    "endless rate": ([*GOOD, "train.learning_rate=inf"], "more than 0"),
    "seed too large": ([*GOOD, "seed=99999999999999999999"], "at most"),
    "no GPU": ([*GOOD, "trainer=gpu"], "no GPU"),
    "batch larger than the text": (["train", "task=char_lm", "model=gru", "train.batch_size=100000"], "need at least"),
    "negative seed": ([*GOOD, "seed=-1"], "at least 0"),
    "rate not a number": ([*GOOD, "train.learning_rate=nan"], "more than 0"),
    "missing value": ([*GOOD, "train.steps="], "missing value: train.steps"),
    "missing model": (["train", "task=adding"], "missing value: model"),
    "missing task": (["train", "model=lstm"], "missing value: task"),
    "nothing": (["train"], "missing value: task"),
    "empty task": (["train", "task=", "model=lstm"], "missing value: task"),
    "added key": ([*GOOD, "+unknown.key=1"], "no option 'unknown.key'"),
    "callback": ([*GOOD, "+hydra.callbacks.x={_target_:os.mkdir,path:made}"], "code"),
    "callback without target": ([*GOOD, "+hydra.callbacks.x=1"], "can be changed"),
    "target": ([*GOOD, "+task._target_=os.mkdir"], "code"),
    "logging factory": ([*GOOD, "+hydra.job_logging.handlers.x={class:logging.FileHandler,filename:made}"], "can be changed"),
    "environment": ([*GOOD, "tracker.project=${oc.env:HOME}"], "resolvers"),
    "launcher": ([*GOOD, "hydra.launcher._target_=os.mkdir"], "code"),
    "search path": ([*GOOD, "hydra.searchpath=[file:///]"], "can be changed"),
    "pickled rerun": ([*GOOD, "--experimental-rerun", "x.pickle"], "not allowed"),
    "other config": ([*GOOD, "--config-name", "x"], "not allowed"),
    "bidirectional on causal": (
        ["train", "task=copy_memory", "model=deep_bilstm"],
        "models that fit: arjovsky_irnn, arjovsky_lstm, ",
    ),
    "bidirectional option on causal": (["train", "task=copy_memory", "model=gru", "model.bidirectional=true"], "causal"),
    "a sweep of no run": (["train", "-m", "task=adding", "model=lstm", "seed=range(0,0)"], "the sweep has no run"),
    "a sweep in two folders": (["train", "-m", "task=adding", "model=lstm", "runs=a,b"], "a sweep has one folder of runs"),
    "one column for both": (
        ["train", "task=text_classification", "model=lstm", "task.file=x.csv", "task.text_column=label"],
        "task.text_column and task.label_column are both 'label'",
    ),
    "half an override": ([*GOOD, "seed"], "seed"),
    "sweep without -m": ([*GOOD, "seed=1,2"], "add -m"),
    "a choice in other letters": (["train", "task=adding", "modle=gru"], "no option 'modle'; did you mean 'model'?"),
    "runs where no file can be": ([*GOOD, "runs=/proc/x"], "runs='/proc/x': no folder can be written there"),
    "one bad job of twelve": (["train", "-m", "task=adding,copy_memory", "model=lstm,gru,lstmm", "seed=0,1"], "'lstmm'"),
    "one bad value of three": (["train", "-m", "task=adding", "model=gru", "train.steps=10,20,-1"], "train.steps=-1"),
    "more devices than rows": ([*GOOD, "trainer.devices=64"], "each device needs at least one sequence"),
    "runs below a file": ([*GOOD, "runs=a_file/runs"], "no folder can be written"),
    "sweep name that leaves": ([*GOOD, "sweep=../out"], "sweep"),
    "no such text": (["train", "task=char_lm", "model=lstm", "task.text=nowhere.txt"], "nowhere.txt"),
    "text is a folder": (["train", "task=char_lm", "model=lstm", "task.text=/"], "text=/"),
    "empty text": (["train", "task=char_lm", "model=lstm", "task.text=empty.txt"], "empty"),
    "text not UTF-8": (["train", "task=char_lm", "model=lstm", "task.text=latin.txt"], "UTF-8"),
    "text too short": (["train", "task=char_lm", "model=lstm", "task.text=short.txt"], "short"),
    "no data": (["train", "task=sentiment", "model=lstm"], "RNNBENCH_DATA"),
    "unknown verb": (["trian"], "did you mean 'train'"),
    "a word that is no option": ([*GOOD, "foo"], "OPTION=VALUE is allowed"),
    "an empty word": ([*GOOD, ""], "OPTION=VALUE is allowed"),
    "no launcher": (["train", "-m", "task=adding", "model=gru", "hydra/launcher=slrum"], "did you mean 'slurm'"),
    "an embedding of numbers": ([*GOOD, "network.embedding=5"], "have no embedding"),
    "a beam with nothing to write": ([*GOOD, "train.beam=4"], "writes no answer"),
    "a seed past those of searches": (["tune", "adding", "lstm", "--trials", "1", "--seed", "99999999999"], "at most"),
    "words for a benchmark that takes none": (["benchmark", "kernels", "foo"], "takes no arguments"),
    "a page without a name": (["report", "--output", "."], "such as report.html"),
    "a flag cut short": (["compare", "--form", "csv"], "did you mean '--format'"),
    "the folder of runs as a flag": ([*GOOD, "--runs", "x"], "takes the folder of runs as runs=FOLDER"),
    "the folder of runs as a setting": (["status", "runs=x"], "takes the folder of runs as --runs x"),
    "the folder of runs as no path": (["compare", "--runs=x"], "takes the folder of runs as a path: x"),
    "list what": (["list", "taks"], "did you mean 'tasks'"),
    "details of one task": (["list", "tasks", "adding", "--details"], "of all tasks"),
    "list which": (["list", "models", "lstn"], "did you mean 'lstm'"),
    "details of one model": (["list", "models", "lstm", "--details"], "of all models"),
    "a budget of tasks": (["list", "tasks", "--budget", "70k"], "rnnbench list models"),
    "a budget of words": (["list", "models", "--budget", "70kk"], "such as 70000, 70k, 1.5M"),
    "a budget on no task": (["list", "models", "--budget", "70k", "--task", "addin"], "did you mean 'adding'"),
    "a task without a budget": (["list", "models", "--task", "adding"], "--budget"),
    "a budget that no width meets": (["train", "task=adding", "model=tcn", "budget.params=70k"], "budget.params=68340"),
    "two directions and two of one": ([*GOOD, "model.bidirectional=true", "model.two_forward=true"], "exclude each other"),
    "tied to nothing": ([*GOOD, "model.tied_directions=true"], "model.bidirectional=true"),
    "gates that exclude each other": ([*GOOD, "model.CIFG=true", "model.NIG=true"], "CIFG excludes NIG"),
    "a learned window": (["train", "task=adding", "model=tcn", "model.initial_state=learned"], "starts from nothing"),
    "zoneout without a state": (["train", "task=adding", "model=transformer", "model.zoneout=0.1"], "recurrent state"),
    "tied to no embedding": ([*GOOD, "network.tied=true"], "no embedding"),
    "attention to nothing": ([*GOOD, "network.attention=additive"], "network.kind=encoder_decoder"),
    "nobody to write": ([*GOOD, "network.writer=gru"], "network.kind=encoder_decoder"),
    "one job of two in itself": (
        ["train", "-m", "task=adding", "model=lstm", "model.NIG=false,true", "model.CIFG=true"],
        "CIFG excludes NIG",
    ),
    "no workers": (["train", "-m", "task=adding", "model=gru", "hydra.launcher.workers=0"], "hydra.launcher.workers=0"),
    "no option of the launcher": (
        ["train", "-m", "task=adding", "model=gru", "hydra.launcher.wrokers=2"],
        "hydra.launcher.workers",
    ),
    "text of a sweep": (["train", "-m", "task=char_lm", "model=lstm,gru", "task.text=nowhere.txt"], "nowhere.txt"),
    "the library's layer and its gradients": (
        ["train", "task=adding", "model=lstm", "network.backend=library"],
        "allowed: train.instruments=false",
    ),
    "a back end that the model lacks": (
        ["train", "task=adding", "model=tcn", "network.backend=fused"],
        "network.backend=fused",
    ),
    "a form that the library lacks": (
        [*GOOD[:2], "model=rnn", "model.nonlinearity=sigmoid", "network.backend=library", "train.instruments=false"],
        "the library has no such recurrence",
    ),
    "zoneout of no c": (["train", "task=adding", "model=gru", "model.cell_zoneout=0.5"], "needs a state c"),
    "own symbols for a plain network": ([*GOOD, "train.forcing=0.5"], "network.kind=encoder_decoder"),
    "a mask a row, drawn at each step": (
        ["train", "task=reverse", "model=lstm", "network.attention=additive", "model.recurrent_dropout=0.1"],
        "one dropout mask per sequence",
    ),
    "again nothing": (["train", "--again"], "missing value"),
    "again nowhere": (["train", "--again", "nowhere"], "nowhere"),
    "again something else": (["train", "--again", "nowhere", "seed=1"], "seed=1"),
    "status of nothing": (["status", "nowhere"], "no sweep or folder 'nowhere'"),
    "prune nothing": (["prune", "nowhere"], "no sweep or folder 'nowhere'"),
    "prune the future": (["prune", "--days", "-1"], "at least 0"),
    "prune at no time": (["prune", "--days", "nan"], "--days nan: at least 0"),
    "a sweep of a key twice": (["sweep", "twice.yaml"], "twice.yaml: "),
    "a sweep of broken YAML": (["sweep", "broken.yaml"], "broken.yaml: "),
    "a sweep not UTF-8": (["sweep", "latin.txt"], "latin.txt: line 1: not UTF-8 (byte 0xe9)"),
    "a sweep of a typo": (["sweep", "typo.yaml"], "typo.yaml: no key 'runz'; did you mean 'runs'? there are: runs, shared"),
    "a sweep within itself": (["sweep", "itself.yaml"], "itself.yaml: "),
    "a space of a key twice": (["tune", "adding", "lstm", "--trials", "1", "--space", "twice.yaml"], "duplicate key 'runs'"),
    "a flag with a typo": (["reproduce", "demo", "--rowz", "a"], "arguments: --rowz a; did you mean '--rows'?"),
    "a flag and its value": (["prune", "--dayz=3"], "arguments: --dayz=3; did you mean '--days'?"),
    "a flag like no other": (["prune", "--xyzzy"], "arguments: --xyzzy (try rnnbench prune --help)"),
    "estimate of nothing": (["estimate"], "missing value: task"),
    "estimate with a typo": (["estimate", "task=adding", "model=lstm,grru"], "did you mean 'gru'"),
    "a sweep that is shown": (["train", "-m", *GOOD[1:], "seed=0,1", "--cfg", "job"], "-m with --cfg: one of them"),
    "a sweep and its information": (["train", "-m", *GOOD[1:], "--info", "config"], "-m with --info: one of them"),
    "a run and a sweep": (["train", "-m", "--run", *GOOD[1:]], "-m with --run: one of them"),
    "an interval": (["train", "-m", *GOOD[1:], "seed=interval(0,1)"], "a,b,c or range(0,10)"),
    "an interval of an estimate": (["estimate", *GOOD[1:], "train.clip=interval(0,1)"], "a,b,c or range(0,10)"),
    "a range without steps": (["train", "-m", *GOOD[1:], "seed=range(0,3,0)"], "must not be zero"),
    "a range without end": (["train", "-m", *GOOD[1:], "seed=range(0,100000000000)"], "more than 100000 jobs"),
    "a shuffled range without end": (["train", "-m", *GOOD[1:], "seed=shuffle(range(0,100000000000))"], "100000 jobs"),
    "a product without end": (["train", "-m", *GOOD[1:], "seed=range(0,1000)", "task.length=range(2,1002)"], "100000 jobs"),
    "resolved nothing": (["train", "--resolve", *GOOD[1:]], "add --cfg job"),
    "a package of nothing": ([*GOOD, "--package", "task"], "add --cfg job"),
    "no package": ([*GOOD, "--cfg", "job", "--package", "tsk"], "did you mean 'task'"),
    "completion of Hydra's": ([*GOOD, "--shell-completion"], "rnnbench completion bash"),
    "no config folder": ([*GOOD, "--config-dir", "nowhere"], "--config-dir nowhere: no such folder"),
    "a mode": ([*GOOD, "hydra.mode=MULTIRUN"], "-m makes one"),
    "a number of a job": ([*GOOD, "hydra.job.num=x"], "hydra.launcher.*"),
    "Hydra's folder of a run": ([*GOOD, "hydra.run.dir=out"], "runs="),
    "Hydra's folder of a sweep": (["train", "-m", *GOOD[1:], "hydra.sweep.dir=out"], "runs="),
    "a talkative Hydra": ([*GOOD, "hydra.verbose=true"], "can be changed"),
    "workers of a single run": ([*GOOD, "hydra.launcher.workers=2"], "add -m"),
    "a launcher of a single run": ([*GOOD, "hydra/launcher=basic"], "add -m"),
    "an added option": ([*GOOD, "+train.steps=1"], "allowed: train.steps=1"),
    "an added option of a sweep": (["train", "-m", *GOOD[1:], "+train.steps=1,2"], "allowed: train.steps=1"),
    "an added choice": ([*GOOD, "+trainer=cpu"], "allowed: trainer=cpu"),
    "an option taken away": ([*GOOD, "~train.steps"], "train.steps=null is not allowed; allowed: whole number, at least 1"),
    "a choice taken away": ([*GOOD, "~trainer"], "nothing can be taken away"),
    "a value taken away": ([*GOOD, "~train.clip=1.0"], "nothing can be taken away"),
    "a very large number": ([*GOOD, f"train.log_every=1{'0' * 40}"], f"at least 1, at most {2**63 - 1}"),
    "5,000 nines": ([*GOOD, f"seed={'9' * 5000}"], "seed: a number of 5,000 digits; a whole number has at most 19"),
    "5,000 nines for a rate": ([*GOOD, f"train.learning_rate={'9' * 5000}"], "a number of 5,000 digits"),
    "5,000 nines among others": (["train", "-m", *GOOD[1:], f"seed=0,-{'9' * 5000}"], "a number of 5,000 digits"),
    "500 nines for a rate": ([*GOOD, f"train.learning_rate={'9' * 500}"], "more than 0"),
    "200 brackets": ([*GOOD, f"seed={'[' * 200}{']' * 200}"], "20 deep"),
    "20,000 braces": ([*GOOD, f"seed={'{a:' * 20000}1{'}' * 20000}"], "20 deep"),
    "200 brackets alone": ([*GOOD, "[" * 200], "20 deep"),
    "a folder of two lines": ([*GOOD, 'runs="a\nb"'], "runs='a\\nb' is not allowed; allowed: text, in one line"),
    "a folder that colours": ([*GOOD, 'runs="a\x1b[31mb"'], "without control characters"),
    "a report as PDF": (["report", "--output", "x.pdf"], "such as report.html"),
    "a report of no kind": (["report", "--output", "x"], "such as report.html"),
    "compare nothing": (["compare"], "rnnbench train"),
    "compare nowhere": (["compare", "nowhere"], "nowhere"),
    "sample nothing": (["sample", "nowhere"], "nowhere"),
}


@pytest.fixture(autouse=True)
def files(clean) -> None:
    Path("a_file").write_text("")
    Path("typo.yaml").write_text("runz: ['task=adding model=lstm']")
    Path("empty.txt").write_text("")
    Path("latin.txt").write_bytes("déjà vu ".encode("latin-1") * 10000)
    Path("short.txt").write_text("too short")
    Path("twice.yaml").write_text("runs: [task=adding model=lstm]\nruns: [task=adding model=gru]\n")
    Path("broken.yaml").write_text("runs: [task=adding model=lstm\n")
    Path("itself.yaml").write_text("runs: &runs [*runs]\n")


@pytest.mark.parametrize("case", CASES)
def test_refused_in_one_line(case, capfd):
    words, said = CASES[case]
    before = everything(Path())
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    out, err = capfd.readouterr()
    assert code == 2, out + err
    assert err.startswith("rnnbench: ") and err.count("\n") == 1 and len(err) <= 401, err
    assert out == ""
    assert said in err
    assert everything(Path()) == before


def test_a_mirror_without_the_columns(tmp_path, monkeypatch, capfd):
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path / "mirror/SetFit/sst2/data"
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        parquet.write_table(pyarrow.table({"sentence": ["good"], "stars": [1]}), folder / f"{split}-00000-of-00001.parquet")
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "mirror"))
    assert main(["train", "task=sentiment", "model=lstm", "task.hub=SetFit/sst2"]) == 2
    _, err = capfd.readouterr()
    assert err.count("\n") == 1
    assert "sentence" in err and "stars" in err and "text" in err
    assert not Path("runs").exists()


def test_a_refusal_imports_nothing_heavy():
    code = """
import sys
for name in ("torch", "pytorch_lightning", "wandb", "datasets"):
    sys.modules[name] = None
from rnnbench.cli.main import main
sys.exit(main(["train", "-m", "task=adding", "model=lstm,gru", "model.dropout=0,2"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "rnnbench: model.dropout=2 is not allowed; allowed: number, at least 0 and less than 1\n"


EVIL = {
    "callback": "callbacks: {x: {_target_: os.mkdir, path: made}}",
    "logging class": "job_logging: {handlers: {f: {class: multiprocessing.pool.ThreadPool, initializer: 'ext://os.mkdir'}}}",
    "logging file": "job_logging: {handlers: {f: {class: logging.FileHandler, filename: made}}}",
    "environment": "job: {env_set: {MADE: '1'}}",
    "working folder": "job: {chdir: true}",
    "output": "run: {dir: made}",
}


@pytest.mark.parametrize("how", EVIL)
def test_a_users_config_folder_cannot_name_code(how, tmp_path, capfd):
    folder = tmp_path / "mine"
    (folder / "task").mkdir(parents=True)
    (folder / "task/evil.yaml").write_text(f"# @package _global_\ndefaults: [adding]\nhydra: {{{EVIL[how]}}}\n")
    before = everything(Path())
    code = main(["train", "--config-dir", str(folder), "task=evil", "model=rnn", "train.steps=1"])
    _, err = capfd.readouterr()
    assert code == 2, err
    assert err.count("\n") == 1
    assert everything(Path()) == before
