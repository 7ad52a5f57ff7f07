"""Plug-ins: any Python that works is right, a broken one costs a line, other code is another run, a file needs no package."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from rnnbench import tasks
from rnnbench.cli.main import main
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import group_options, read_signature
from rnnbench.models import registry
from rnnbench.options import AboveZero, BadOption, Needs, Option, Positive, Range, Where
from rnnbench.plugins.classes import read_plugin
from rnnbench.plugins.references import Plugin, file_plugin
from rnnbench.run.plan import plan_run
from rnnbench.signatures import parse_annotation, source_of_annotation
from tests.support.plugins import CELL, TASK, Site, forget

QUICK = ["train.steps=2", "train.batch_size=4", "tracker=none", "task.sequences=8"]
ADDING = ["task=adding", "task.length=6", *QUICK]
RIGHT = {  # a model or task as a class statement after `import`s, and the options that it must have, with their defaults
    "a subclass of ours": ("model", "class X(LSTM):\n    pass\n", {"hidden_size": 128, "CIFG": False}),
    "an imported contract": ("model", CELL.replace("class Leaky", "class X"), {"hidden_size": 8, "rate": 0.5}),
    "a contract by its module": (
        "model",
        "from rnnbench.models import mechanism\n"
        + CELL.replace("class Leaky(Mechanism)", "class X(mechanism.Mechanism)").split("import Mechanism\n")[1],
        {"hidden_size": 8},
    ),
    "own options by name": (
        "model",
        "class X(RNN):\n    def __init__(self, *args, extra: float = 2.0, **options):\n"
        "        super().__init__(*args, **options)\n",
        {"extra": 2.0, "hidden_size": 128, "gain": 1.0},
    ),
    "sets what it hands on": (
        "model",
        "class X(RNN):\n    def __init__(self, size, hidden_size=4, **options):\n"
        "        super().__init__(size, hidden_size, nonlinearity='relu', **options)\n",
        {"hidden_size": 4, "gain": 1.0},
    ),
    "no annotation": (
        "model",
        "class X(RNN):\n    def __init__(self, size, hidden_size=4, rate=1, act=torch.tanh, more=None):\n"
        "        super().__init__(size, hidden_size)\n",
        {"hidden_size": 4, "rate": 1, "more": None},
    ),
    "an alias and a default of another type": (
        "model",
        "Length = Annotated[int, Range(2)]\n\nclass X(RNN):\n"
        "    def __init__(self, size, hidden_size: Length = 3, rate: float = None, place: Path = None):\n"
        "        super().__init__(size, hidden_size)\n",
        {"hidden_size": 3, "rate": None, "place": None},
    ),
    "a task of ours": ("task", "class X(Adding):\n    pass\n", {"length": 100, "marks": "halves"}),
    "a task by its module": (
        "task",
        TASK.replace("class Ones(Task)", "class X(task.Task)").replace(
            "import torch\n", "import torch\nfrom rnnbench.tasks import task\n"
        ),
        {"length": 8},
    ),
    "a dataclass": (
        "task",
        TASK.replace("class Ones(", "@dataclasses.dataclass(eq=False)\nclass X(").replace(
            "    def __init__(self, length: int = 8, sequences: int = 1000, solved_below: float = 0.01):\n"
            "        self.length, self.sequences, self.solved_below = length, sequences, solved_below\n",
            "    length: int = 8\n    sequences: int = 1000\n    solved_below: float = 0.01\n",
        ),
        {"length": 8, "sequences": 1000},
    ),
}
IMPORTS = """import dataclasses
import torch
from pathlib import Path
from typing import Annotated
from rnnbench.models.cells.lstm import LSTM
from rnnbench.models.cells.rnn import RNN
from rnnbench.options import Range
from rnnbench.tasks.adding import Adding

class Another(RNN):
    pass

"""


@pytest.mark.parametrize("case", RIGHT)
@pytest.mark.parametrize("future", [False, True], ids=["", "annotations as text"])
def test_any_python_that_works_is_right(site: Site, case: str, future: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """By an entry point and as a file: listed, with these options, and trained."""
    kind, body, wanted = RIGHT[case]
    text = ("from __future__ import annotations\n" if future else "") + IMPORTS + body
    site.add({f"{kind}s": {"mine": "their_module:X"}}, {"their_module.py": text})
    names = ("mine", f"{site.folder}/their_module.py:X")
    for name in names:
        options = read_options(kind, name)
        assert {key: options[key].default for key in wanted} == wanted
        assert "act" not in options  # no plain value, so it stays as it is
    name = names[future]
    words = [f"model={name}", *ADDING] if kind == "model" else [f"task={name}", "model=gru", "task.length=6", *QUICK]
    assert main(["train", *words]) == 0
    said = capfd.readouterr()
    assert said.out.count("mse") == 2 and said.err == ""
    assert main(["list", f"{kind}s"]) == 0
    said = capfd.readouterr()
    assert re.search("^  mine ", said.out, re.MULTILINE) and said.err == ""


def read_options(kind: str, name: str) -> dict[str, Option]:
    place = (tasks.find_task if kind == "task" else registry.find_mechanism)(name)
    assert isinstance(place, Plugin)
    return dict(read_plugin(place).signature.options)


def test_ranges_comments_and_the_first_parameter(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    text = IMPORTS + (
        "Length = Annotated[int, Range(2)]\nclass X(RNN):\n    version = 3\n    def __init__(\n        self,\n        size,\n"
        "        hidden_size: Length = 4,  # units of mine\n        rate=1,\n    ):\n"
        "        super().__init__(size, hidden_size)\n"
    )
    site.add({"models": {"mine": "their_module:X"}}, {"their_module.py": text})
    options = read_options("model", "mine")
    assert list(options) == ["input_size", "hidden_size", "rate"] and options["hidden_size"].comment == "units of mine"
    assert "input_size" not in group_options("model", {"name": "mine", "mechanism": "mine"})
    assert read_signature("mechanism", "mine").constants["version"] == 3
    for word, said in (("model.hidden_size=1", "allowed: whole number, at least 2"), ("model.rate=x", "allowed: whole number")):
        assert main(["train", *ADDING, "model=mine", word]) == 2
        assert said in capfd.readouterr().err
    assert main(["train", *ADDING, "model=mine", "model.rate=0.5"]) == 0


BROKEN = {  # files, entry point, what is said
    "a missing module": ({}, "nowhere.cells:X", "nowhere.cells: ModuleNotFoundError: No module named 'nowhere'"),
    "a parent that raises": (
        {"bad/__init__.py": "raise RuntimeError('no licence')", "bad/cells.py": CELL},
        "bad.cells:Leaky",
        "bad/__init__.py:1: RuntimeError: no licence",
    ),
    "a parent that ends the program": (
        {"bad/__init__.py": "exit(3)", "bad/cells.py": CELL},
        "bad.cells:Leaky",
        "SystemExit: 3",
    ),
    "no Python": ({"bad.py": "def X(:"}, "bad:X", "bad.py:1: SyntaxError"),
    "no class": ({"bad.py": "x = 1"}, "bad", "bad.py: has none; an entry point names one, mine = bad:CLASS"),
    "another name": ({"bad.py": CELL}, "bad:Leeky", "no class Leeky; there are: Leaky"),
    "two classes": (
        {"bad.py": CELL + "class Two(Leaky): pass"},
        "bad",
        "has the classes Leaky, Two; an entry point names one",
    ),
    "a function": ({"bad.py": "def X(): pass"}, "bad:X", "X is no class"),
    "another class": ({"bad.py": "class X: pass"}, "bad:X", "X is no class derived from rnnbench's Mechanism"),
    "the old contract": (
        {
            "bad.py": "from rnnbench.models.mechanism import Mechanism\n"
            "class X(Mechanism):\n    def forward(self, x, state): ..."
        },
        "bad:X",
        "X lacks initial_state, step",
    ),
    "what it needs is missing": ({"bad.py": "import not_installed"}, "bad:X", "bad.py:1: ModuleNotFoundError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plug_in_costs_one_line(site: Site, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    files, entry, wanted = BROKEN[case]
    site.add({"models": {"mine": entry}}, files)
    site.add({"models": {"leaky": "sound:Leaky"}}, {"sound.py": CELL}, package="sound")
    assert main(["list", "models"]) == 0
    said = capfd.readouterr()
    assert "\n  leaky " in said.out and "\n  lstm " in said.out and "\n  mine " not in said.out
    (line,) = said.err.splitlines()
    assert line.startswith("rnnbench: model 'mine' of package their-package cannot be used: ") and len(line) <= 400
    assert wanted in line
    for words in (["list", "tasks"], ["train", *ADDING, "model=leaky"], ["train", "--help"], ["list", "models", "gru"]):
        assert main(words) == 0
        assert capfd.readouterr().err == ""
    assert main(["train", *ADDING, "model=mine"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert wanted in line


@pytest.mark.parametrize(
    ("files", "entry", "said"),
    [
        ({}, "nowhere.trackers:X", "ModuleNotFoundError: No module named 'nowhere'"),
        ({"bad/__init__.py": "raise RuntimeError('no licence')", "bad/a.py": ""}, "bad.a:X", "RuntimeError: no licence"),
        ({"bad.py": "class X: pass"}, "bad:Y", "AttributeError"),
    ],
    ids=["a missing module", "a parent that raises", "another name"],
)
def test_a_broken_tracker_is_nobody_elses_concern(
    site: Site, files: dict[str, str], entry: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its settings are not asked for where Hydra is told what there is."""
    site.add({"trackers": {"mine": entry}}, files)
    for words in (
        ["train", *ADDING, "model=gru", "--cfg", "job"],
        ["train", "-m", *ADDING, "model=gru", "seed=0"],
        ["train", "--help"],
    ):
        assert main(words) == 0
        assert capfd.readouterr().err == ""
    assert main(["train", "task=adding", "model=gru", "tracker=mine"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("rnnbench: tracker mine cannot be imported (") and said in line


def test_any_tracker_that_works_is_right(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Options without annotations, which its source alone does not tell."""
    text = """
        from rnnbench.tracking import tracker

        class Mine(tracker.NoTracker):
            def __init__(self, place="here", every=3):
                super().__init__()
    """
    site.add({"trackers": {"mine": "their_tracker:Mine"}}, {"their_tracker.py": text})
    quick = [word for word in ADDING if word != "tracker=none"]
    assert main(["train", *quick, "model=gru", "tracker=mine", "tracker.every=0.5"]) == 0
    assert main(["train", *quick, "model=gru", "tracker=mine", "tracker.every=x"]) == 2
    assert "tracker.every='x' is not allowed; allowed: whole number or number" in capfd.readouterr().err


def test_names_that_cannot_be_are_said_once(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.add({"models": {"gru": "a:Leaky", "my cell": "a:Leaky", "mine": "a:Leaky"}}, {"a.py": CELL}, "a")
    site.add({"models": {"mine": "a:Leaky"}}, {}, "b")
    assert main(["list", "models"]) == 0
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == [
        "rnnbench: model 'gru' of package a is left out: rnnbench itself has one of that name",
        "rnnbench: model 'mine' of package b is left out: package a has one of that name",
        "rnnbench: model 'my cell' of package a is left out: a name has letters, digits, _ and -",
    ]
    assert registry.mechanism_class("gru").__module__ == "rnnbench.models.cells.gru"


def test_nothing_is_imported_of_what_nobody_asked_for(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Not for a run of another model, a sweep, help, completion or Hydra's view; and a second listing reads what was kept."""
    files = {"loud.py": "print('imported')\n" + CELL, "loud_task.py": "print('imported')\n" + TASK}
    site.add({"models": {"loud": "loud:Leaky"}, "tasks": {"loud_ones": "loud_task:Ones"}}, files)
    for words in (
        ["train", *ADDING, "model=gru"],
        ["train", "--help"],
        ["train", *ADDING, "model=gru", "--cfg", "job"],
        ["list", "models", "gru"],
        ["train", *ADDING, "model=lod"],
        ["train", "task=char_lm", "model=bilstm"],  # whose refusal names models that fit
        ["complete"],
    ):
        main(words)
        assert "imported" not in capfd.readouterr().out, words
    for count in (1, 0):
        main(["list", "models"])
        assert capfd.readouterr().out.count("imported") == count
        forget()
        sys.modules.pop("loud", None)
    (site.folder / "loud.py").write_text("print('imported')\n" + CELL.replace("0.5", "0.25"), encoding="utf-8")
    main(["list", "models", "loud"])
    assert "model.rate=0.25" in capfd.readouterr().out


def test_annotations_are_written_as_they_are_read() -> None:
    """What the cache keeps of every option of ours, and of others' kinds."""
    found: list[tuple[Any, tuple[Needs, ...], Where | None]] = [
        (Any, (), None),
        (list[Any], (), Where()),
        (int | None, (), Where(besides=("here",))),
        (tuple[Literal["x", 2], ...] | None, (Needs("a", values=("b", None)),), None),
    ]
    bounded = Annotated[float, Range(-1, open_high=True)] | None
    found.append((bounded, (Needs("a", "b", least=2), Needs("c", besides=(0,))), None))
    for group, names in (("task", tasks.task_files()), ("mechanism", registry.mechanism_files())):
        for name in names:
            found += [(one.annotation, one.needs, one.where) for one in read_signature(group, name).options.values()]
    assert (Positive, (), None) in found and any(annotation == AboveZero for annotation, *_ in found)
    for annotation, needs, where in found:
        assert parse_annotation(source_of_annotation(annotation, needs, where)) == (annotation, needs, where)


# other code is another run


def train(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    forget()
    for name in [name for name in sys.modules if name.split(".")[0] in ("their_cell", "their_package", "helper")]:
        del sys.modules[name]
    assert main(["train", *words]) == 0
    return capfd.readouterr().out


@pytest.mark.parametrize("way", ["entry point", "file"])
def test_edited_equations_are_another_run(site: Site, way: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = site.folder / "their_cell.py"
    site.add({"models": {"mine": "their_cell:Leaky"}}, {"their_cell.py": CELL})
    words = [*ADDING, "model=mine" if way == "entry point" else f"model={path}:Leaky"]
    folder = Path("runs/adding") / ("mine" if way == "entry point" else "Leaky")
    assert "is another run" not in train(words, capfd)
    assert "recorded before" in train(words, capfd)
    path.write_text("# a comment\n" + CELL.replace("A leaky sum", "Another text"), encoding="utf-8")
    assert "recorded before" in train(words, capfd)
    path.write_text(CELL.replace("+ x @", "- x @"), encoding="utf-8")
    said = train(words, capfd)
    assert re.search(r"^adding/\w+/s0-\w{8}  is another run than s0-\w{8}: the code of model \S+ is not the same$", said, re.M)
    assert "recorded before" in train(words, capfd)
    records = [json.loads((run / "record.json").read_text()) for run in folder.iterdir()]
    assert len({record["scores"]["test"]["mse"] for record in records}) == len({record["setting"] for record in records}) == 2
    assert main(["compare"]) == 0
    assert capfd.readouterr().out.count("other code") == 1
    path.write_text(CELL, encoding="utf-8")
    assert "recorded before" in train(words, capfd)


def test_the_code_of_a_package_counts_where_it_is_imported(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own module, its bases', and what these import of the package; not the rest of it."""
    files = {
        "their_package/__init__.py": "",
        "their_package/parts.py": "RATE = 0.5\n",
        "their_package/unused.py": "x = 1\n",
        "their_package/cells.py": "from .parts import RATE\n" + CELL.replace("self.rate * state", "RATE * state"),
    }
    site.add({"models": {"mine": "their_package.cells:Leaky"}}, files)
    words = [*ADDING, "model=mine"]
    train(words, capfd)
    (site.folder / "their_package/unused.py").write_text("x = 22\n", encoding="utf-8")
    assert "recorded before" in train(words, capfd)
    (site.folder / "their_package/parts.py").write_text("RATE = 0.25\n", encoding="utf-8")
    assert "is another run" in train(words, capfd)


LAZY = CELL + "\n    def later(self):\n        IMPORT\n"  # an import that only a call would do
FOLLOWED = {  # what the class's module imports, the other files, and those of them that its code stands in, in this order
    "a module, within a function": ("from .maths import f", {"maths.py": "f = 1"}, ["maths.py"]),
    "of a module that is imported within a function": (
        "from . import maths",
        {"maths.py": "def f():\n    from .deep import g", "deep.py": "g = 1", "unused.py": "1"},
        ["__init__.py", "maths.py", "deep.py"],
    ),
    "by its whole name": ("import their_package.low.maths", {"low/__init__.py": "", "low/maths.py": "f = 1"}, ["low/maths.py"]),
    "of a package below": (
        "from .low import f",
        {"low/__init__.py": "from .maths import f", "low/maths.py": "from ..deep import f", "deep.py": "f = 1"},
        ["low/__init__.py", "low/maths.py", "deep.py"],
    ),
    "in a circle": (
        "from .a import f",
        {"a.py": "from .b import g\nf = 1", "b.py": "def h():\n    from .a import f\ng = 1"},
        ["a.py", "b.py"],
    ),
    "what is not there": ("from .nowhere import f", {"maths.py": "1"}, []),
    "above the package": ("from ...nowhere import f", {"maths.py": "1"}, []),
    "of others": ("import json, torch, other_package.maths", {"json.py": "1", "maths.py": "1"}, []),
}


@pytest.mark.parametrize("imported", [False, True], ids=["a fresh process", "all is imported"])
@pytest.mark.parametrize("case", FOLLOWED)
def test_the_files_of_a_package_that_count_are_those_that_the_source_imports(site: Site, case: str, imported: bool) -> None:
    statement, others, wanted = FOLLOWED[case]
    files = {"__init__.py": "", "cell.py": LAZY.replace("IMPORT", statement), **others}
    site.add({"models": {"mine": "their_package.cell:Leaky"}}, {f"their_package/{name}": text for name, text in files.items()})
    site.add({}, {"other_package/maths.py": "1"}, package="other")
    if imported:
        for name in others:
            importlib.import_module(".".join(("their_package", *Path(name).with_suffix("").parts)).removesuffix(".__init__"))
    found = read_plugin(registry.find_mechanism("mine")).files  # type: ignore[arg-type]
    place = (site.folder / "their_package").resolve()
    assert [str(path.relative_to(place)) for path in found] == ["cell.py", *wanted]


BESIDE = {  # the same of a class in a file; each other file is below `site`, which is on the path, the class in `mine/`
    "no other": ("import json, torch", {"json.py": "1", "mine/torch.py": "1"}, []),
    "a helper": ("from helper import f", {"mine/helper.py": "f = 1", "mine/unused.py": "1"}, ["helper.py"]),
    "a helper's helper": (
        "import helper",
        {"mine/helper.py": "def f():\n    import deep", "mine/deep.py": "1"},
        ["helper.py", "deep.py"],
    ),
    "a package below": (
        "import low.helper",
        {"mine/low/helper.py": "from . import deep", "mine/low/deep.py": "1"},
        ["low/helper.py", "low/deep.py"],
    ),
    "by the name of its own package": ("from mine.helper import f", {"mine/helper.py": "f = 1"}, ["helper.py"]),
    "of a folder that the path names": ("import helper", {"mine/lib/helper.py": "1"}, ["lib/helper.py"]),
    "of the packages installed below": ("import helper", {"mine/env/site-packages/helper.py": "1"}, []),
    "elsewhere": ("import helper", {"helper.py": "1"}, []),
    "ours": ("import rnnbench.version", {"mine/rnnbench/version.py": "1"}, []),
}


@pytest.mark.parametrize("case", BESIDE)
def test_the_files_that_count_of_a_class_in_a_file_lie_beside_it(
    site: Site, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement, others, wanted = BESIDE[case]
    site.add({}, {"mine/cell.py": LAZY.replace("IMPORT", statement), **others})
    home = site.folder / "mine"
    for folder in ("lib", "env/site-packages"):
        if (home / folder).is_dir():
            monkeypatch.syspath_prepend(str(home / folder))
    found = read_plugin(file_plugin("model", f"{home}/cell.py:Leaky")).files
    assert [str(path.relative_to(home.resolve())) for path in found] == ["cell.py", *wanted]


@pytest.mark.parametrize("way", ["entry point", "file"])
def test_an_edited_helper_is_another_run(site: Site, way: str, capfd: pytest.CaptureFixture[str]) -> None:
    cell = CELL.replace("h = self.rate", "from PARTS import SCALE\n        h = SCALE * self.rate")
    files = {"their_package/cells.py": cell.replace("PARTS", ".parts" if way == "entry point" else "helper")}
    files |= {"their_package/parts.py": "from .deep import SCALE", "their_package/deep.py": "SCALE = 1\n"}
    files |= {"their_package/helper.py": "SCALE = 1\n", "their_package/__init__.py": ""}
    site.add({"models": {"mine": "their_package.cells:Leaky"}}, files)
    path = site.folder / "their_package"
    words = [*ADDING, "model=mine" if way == "entry point" else f"model={path}/cells.py:Leaky"]
    sys.path.insert(0, str(path))
    try:
        train(words, capfd)
        assert "recorded before" in train(words, capfd)
        (path / ("deep.py" if way == "entry point" else "helper.py")).write_text("SCALE = 55\n", encoding="utf-8")
        said = train(words, capfd)
    finally:
        sys.path.remove(str(path))
    assert "recorded before" not in said and "is another run" in said


def test_a_writer_of_others_has_its_code_in_the_id(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.add({"models": {"mine": "their_cell:Leaky"}}, {"their_cell.py": CELL})
    words = ["task=reverse", "task.length=3", "task.shortest=2", "task.symbols=2", *QUICK, "model=gru", "model.hidden_size=4"]
    (settings,) = compose_jobs([*words, "network.kind=encoder_decoder", "network.writer=mine"], sweep=False)
    assert set(settings.identity("")["code"]) == {"writer"}
    assert main(["train", *words, "network.kind=encoder_decoder", "network.writer=mine"]) == 0


def test_ours_have_no_code_in_their_id() -> None:
    (settings,) = compose_jobs(["task=adding", "model=gru"], sweep=False)
    assert set(settings.identity("")) == {"task", "mechanism", "departures", "versions", "data"}


def test_a_run_of_the_code_before_is_neither_loaded_nor_gone_on_with(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.add({"models": {"mine": "their_cell:Leaky"}}, {"their_cell.py": CELL})
    train([*ADDING, "model=mine"], capfd)
    (folder,) = Path("runs/adding/mine").iterdir()
    assert "recorded before" in train(["--again", str(folder)], capfd)
    (site.folder / "their_cell.py").write_text(CELL.replace("+ x @", "- x @"), encoding="utf-8")
    forget()
    sys.modules.pop("their_cell", None)
    assert main(["train", "--again", str(folder)]) == 2
    assert "the code of model mine has changed since: another code is another run" in capfd.readouterr().err
    from rnnbench import load

    said = r"the code of the plug-in there is not that of the record \(model [0-9a-f]{8} now, model [0-9a-f]{8} then\)$"
    with pytest.raises(ValueError, match=said):
        load(folder)
    for verb, words in (("gradients", ["--output", "x.svg"]), ("probe", [])):
        assert main([verb, str(folder), *words]) == 2
        assert re.search(said, capfd.readouterr().err.strip())
    train([*ADDING, "model=rnn"], capfd)
    assert main(["gradients", "runs", "--output", "x.svg"]) == 0, "the run of other code costs only itself"
    told = capfd.readouterr()
    assert (
        re.search(said, told.err.strip())
        and told.out == "x.svg\n"
        and re.search("rnn.* on adding", Path("x.svg").read_text("utf-8"))
    )


def test_a_file_that_was_edited_is_read_anew_in_one_process(site: Site) -> None:
    """As in a notebook beside which the file is edited."""
    path = site.folder / "their_cell.py"
    path.write_text(CELL, encoding="utf-8")
    name = f"{path}:Leaky"
    before = registry.mechanism_class(name)
    code = read_plugin(file_plugin("model", name)).code
    assert registry.mechanism_class(name) is before
    path.write_text(CELL.replace("rate: float = 0.5", "rate: float = 0.25"), encoding="utf-8")
    after = registry.mechanism_class(name)
    assert (before(1).rate, after(1).rate) == (0.5, 0.25)
    assert read_plugin(file_plugin("model", name)).code != code
    assert read_options("model", name)["rate"].default == 0.25


# again=true


def test_a_recorded_setting_runs_once_more_beside_its_record(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["train", *ADDING, "model=gru", "model.hidden_size=4"]
    assert main([*words, "again=true"]) == 0  # nothing is recorded yet: this is the run itself
    first = capfd.readouterr().out.split()[0]
    assert main(words) == 0
    assert "recorded before" in capfd.readouterr().out
    for _ in range(2):
        assert main([*words, "again=true"]) == 0
        assert f"is {Path(first).name} again, which gave the same scores, to the last digit" in capfd.readouterr().out
    runs = sorted(Path("runs/adding/gru").iterdir())
    records = [json.loads((run / "record.json").read_text()) for run in runs]
    assert len({record["id"] for record in records}) == 3 and len({record["setting"] for record in records}) == 1
    assert sorted(record.get("repeat", 0) for record in records) == [0, 1, 2]
    for run in runs:
        assert main(["train", "--again", str(run)]) == 0
        assert "recorded before" in capfd.readouterr().out
    assert main(["compare", "--format", "csv"]) == 0
    said = capfd.readouterr()
    assert said.out.count("\n") == 2 and said.err == ""  # a head and one row, of one seed
    assert main(["train", "-m", *words[1:], "again=true", "seed=0,1", "repeat=1"]) == 0
    assert len(list(Path("runs/adding/gru").glob("s0-*"))) == 4


def test_a_repeat_with_other_scores_is_told_of_and_does_not_count(capfd: pytest.CaptureFixture[str]) -> None:
    from rnnbench.store.run_folder import RunFolder

    words = ["train", *ADDING, "model=gru", "model.hidden_size=4"]
    assert main(words) == 0
    assert main([*words, "again=true"]) == 0
    for run in Path("runs/adding/gru").iterdir():
        record = json.loads((run / "record.json").read_text())
        if record.pop("checksum") and record.get("repeat"):
            record["scores"]["test"]["mse"] *= 2
            (run / "record.json").unlink()
            RunFolder(run).finish(record)
    capfd.readouterr()
    assert main(["compare"]) == 0
    said = capfd.readouterr()
    assert "made again, with other scores than" in said.err + said.out


# a class in a file


def test_relative_and_absolute_files_are_one_run_and_travel_to_processes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("my_cell.py").write_text(CELL, encoding="utf-8")
    Path("my_task.py").write_text(TASK, encoding="utf-8")
    ones = ["task=./my_task.py:Ones", "task.length=6", *QUICK]
    assert main(["train", *ones, "model=./my_cell.py:Leaky"]) == 0
    here = Path.cwd()
    for task, model in (
        ("my_task.py:Ones", f"{here}/my_cell.py:Leaky"),
        (f"{here}/my_task.py:Ones", "../here/my_cell.py:Leaky"),
    ):
        assert main(["train", f"task={task}", f"model={model}", "task.length=6", *QUICK]) == 0
        assert "recorded before" in capfd.readouterr().out
    assert main(["train", "-m", *ones, "model=./my_cell.py:Leaky,gru", "seed=0,1"]) == 0
    assert "4 of 4 runs recorded" in capfd.readouterr().out
    assert len(list(Path("runs/Ones").glob("*/s*"))) == 4
    assert main(["list", "models", "./my_cell.py:Leaky"]) == 0
    assert "model.rate=0.5" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model=./no.py:X", "there is no file"),
        ("model=./my_cell.py:", "name its class after a colon; allowed here: ./my_cell.py:Leaky"),
        ("model=./my_cell.py:Leeky", "no class Leeky; there are: Leaky"),
        ("task=./my_cell.py:Leaky", "Leaky is no class derived from rnnbench's Task"),
        ("model=./bad.py:X", "bad.py:1: ZeroDivisionError: division by zero"),
        ("model.class=./my_cell.py:Leaky", "no option 'model.class'"),
    ],
)
def test_a_file_that_cannot_be_is_one_line(word: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("my_cell.py").write_text(CELL, encoding="utf-8")
    Path("bad.py").write_text("1 / 0", encoding="utf-8")
    words = [one for one in ("task=adding", "model=gru") if not word.startswith(one.partition("=")[0] + "=")]
    assert main(["train", *words, word, "train.steps=1"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line and len(line) <= 400
    assert not Path("runs").exists()


def test_settings_from_a_file_run_no_code_that_was_never_named(site: Site) -> None:
    """A stranger's run folder may name any file; it is imported only where the user has named it on this machine."""
    path = site.folder / "evil.py"
    path.write_text("print('run')\n" + CELL, encoding="utf-8")
    model = {"name": "Leaky", "mechanism": "Leaky", "class": f"{path}:Leaky"}
    (settings,) = compose_jobs(["task=adding", "model=gru"], sweep=False)
    config = {**settings.plain(), "model": model}
    with pytest.raises(BadOption, match="was never named here; a file is code"):
        resolve(config)
    assert not [name for name in sys.modules if name.startswith("rnnbench_file_")]
    read_plugin(file_plugin("model", f"{path}:Leaky"))
    forget()
    settings = resolve(config)
    assert plan_run(settings).folder.path.parts[-2] == "Leaky"


def test_completion_imports_no_file_that_is_being_typed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("my_cell.py").write_text("print('run')\n" + CELL, encoding="utf-8")
    for name in ("./my_cell.py:Leaky", "./no.py:Leaky"):
        monkeypatch.setenv("COMP_LINE", f"rnnbench train model={name} model.h")
        assert main(["complete"]) == 0
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("word", ["model=./evil.py:Leaky", "model='./evil.py:Leaky'", 'model="./evil.py:Leaky"'])
def test_a_declared_run_names_no_file_that_was_never_named(site: Site, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a list of runs, of a table, and of settings in --config-dir."""
    Path("evil.py").write_text("print('run')\n" + CELL, encoding="utf-8")
    line = json.dumps(" ".join(["task=adding", word.replace("'", '"'), *QUICK]))
    Path("runs.yaml").write_text(f"runs: [{line}]", encoding="utf-8")
    Path("mine").mkdir()
    declared = {
        "title": "Mine",
        "about": "x",
        "rows": {"row": {"title": "x", "words": "task=adding", "columns": {"c": {"words": word}}}},
    }
    declared["rows"]["row"]["scales"] = {"laptop": {"words": "", "seeds": {"first": 1, "more": 2, "most": 3}, "minutes": 1}}
    Path("mine/grid.yaml").write_text(json.dumps(declared), encoding="utf-8")
    Path("conf/model").mkdir(parents=True)
    config = {"name": "x", "mechanism": "x", "class": str(Path("evil.py").absolute()) + ":Leaky"}
    Path("conf/model/x.yaml").write_text(json.dumps(config), encoding="utf-8")
    for words in (
        ["sweep", "runs.yaml"],
        ["reproduce", "./mine"],
        ["train", "task=adding", "model=x", "--config-dir", "conf"],
    ):
        assert main(words) == 2, words
        said = capfd.readouterr()
        assert "was never named here; a file is code" in said.err and "run" not in said.out.split(), (words, said)
    assert main(["list", "models", "./evil.py:Leaky"]) == 0
    assert main(["sweep", "runs.yaml", "tracker=none"]) == 0
