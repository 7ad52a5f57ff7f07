"""Counts how the house is built: `python -m tests.support.house [ROOT]`. What is counted, over src/rnnbench and tasks:

    modules           files directly in src/rnnbench, `__init__` included
    circles           groups of packages that import each other, however many steps it takes
    upwards           imports of a package that stands later in ORDER, `module: package`
    named twice       names of public top-level functions and classes that two files define
    long functions    functions and methods of more than 60 lines, signature and docstring included
    inner imports     imports of ours inside functions
    any               `Any` in the annotations of public functions, and of public methods and `__init__` of public classes
    repeated          pairs of files, or of places in one, that share six code lines in a row (white space folded; blank lines,
                      comments, imports and lines of signs alone left out)

A package is a folder of src/rnnbench, or `tasks`; a file directly in src/rnnbench is one by itself. Imports that are only for
the type checker count as all others.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

# From the ground up: a package may import those before it.
ORDER = """
    version console options signatures groups kernels data hub text store plugins tasks baselines models laws tracking config
    networks training run analysis reproduction launch search benchmarks card testing interface cli __init__ __main__
""".split()  # noqa: SIM905
LONGEST, SHARED = 60, 6  # lines


class House:
    """The files of a checkout at `root`, parsed."""

    def __init__(self, root: Path):
        self.src, self.tasks = root / "src" / "rnnbench", root / "tasks"
        paths = [*sorted(self.src.rglob("*.py")), *sorted(self.tasks.rglob("*.py"))]
        self.trees = {self.name(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
        self.texts = {self.name(path): path.read_text(encoding="utf-8").splitlines() for path in paths}

    def name(self, path: Path) -> str:
        """`config.schema`, `tasks.shared.rows`; a package's own file as `config.__init__`."""
        below = path.relative_to(self.src) if path.is_relative_to(self.src) else path.relative_to(self.tasks.parent)
        return ".".join(below.with_suffix("").parts)

    def imports(self, module: str) -> Iterator[tuple[str, ast.ImportFrom, bool]]:
        """(module of ours, statement, whether it stands in a function) of every import in `module`."""
        tree = self.trees[module]
        inner = {id(node) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.level:
                base = module.split(".")[: -node.level]
                place = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            elif (node.module or "").split(".")[0] == "rnnbench":
                place = (node.module or "").removeprefix("rnnbench").lstrip(".")
            else:
                continue
            for alias in node.names:
                full = f"{place}.{alias.name}".strip(".")
                found = next(
                    (name for name in (full, f"{full}.__init__", place, f"{place}.__init__") if name in self.trees), ""
                )
                if found:
                    yield found, node, id(node) in inner

    # what is counted

    def modules(self) -> list[str]:
        return [name for name in self.trees if "." not in name]

    def arrows(self) -> dict[str, set[str]]:
        """The packages that each package imports."""
        found: dict[str, set[str]] = defaultdict(set)
        for module in self.trees:
            found[package(module)] |= {package(other) for other, _, _ in self.imports(module)} - {package(module)}
        return dict(found)

    def circles(self) -> list[set[str]]:
        arrows = self.arrows()

        def reached(start: str) -> set[str]:
            seen, left = set(), [start]
            while left:
                for other in arrows.get(left.pop(), set()) - seen:
                    seen.add(other)
                    left.append(other)
            return seen

        reach = {name: reached(name) for name in arrows}
        groups = {frozenset(other for other in arrows if other in reach[name] and name in reach[other]) for name in arrows}
        return [set(group) for group in groups if len(group) > 1]

    def upwards(self) -> list[str]:
        """Imports against ORDER; a package that is not in it stands above all."""
        place = {name: number for number, name in enumerate(ORDER)}
        return [
            f"{module}: {package(other)}"
            for module in self.trees
            for other in dict.fromkeys(other for other, _, _ in self.imports(module))
            if place.get(package(other), 99) > place.get(package(module), 99)
        ]

    def named_twice(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for module, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].add(module)
        return {name: sorted(modules) for name, modules in sorted(found.items()) if len(modules) > 1}

    def long_functions(self) -> list[str]:
        return [
            f"{module}.{node.name}: {length}"
            for module, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST
        ]

    def inner_imports(self) -> list[str]:
        inner = {
            (module, node.lineno): ast.unparse(node)
            for module in self.trees
            for _, node, within in self.imports(module)
            if within
        }
        return [f"{module}:{line}: {text}" for (module, line), text in inner.items()]

    def anys(self) -> dict[str, int]:
        """How often `Any` stands in public signatures, by module; modules without are left out."""
        found: dict[str, int] = defaultdict(int)
        for module, tree in self.trees.items():
            for function in public_functions(tree.body):
                for annotation in annotations(function):
                    found[module] += sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))
        return {module: count for module, count in found.items() if count}

    def repeated(self) -> list[tuple[str, str]]:
        places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
        for module, lines in self.texts.items():
            code = [" ".join(line.split()) for line in lines]
            code = [line for line in code if re.search(r"\w", line) and not re.match(r"#|import |from .* import", line)]
            for start in range(len(code) - SHARED + 1):
                places[tuple(code[start : start + SHARED])].append((module, start))
        pairs: dict[tuple[str, str, int], set[int]] = defaultdict(set)
        for same in places.values():
            for number, (one, start) in enumerate(same):
                for other, begin in same[number + 1 :]:
                    pairs[one, other, begin - start].add(start)  # a longer run keeps its distance
        runs = set()
        for (one, other, _), starts in pairs.items():
            runs |= {(one, other, start) for start in starts if start - 1 not in starts}
        return sorted({(one, other) for one, other, _ in runs})


def package(module: str) -> str:
    return module.split(".")[0]


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Those of a module, and of its public classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)


def annotations(function: ast.FunctionDef) -> Iterator[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (argument.annotation for argument in every if argument is not None and argument.annotation is not None)
    if function.returns is not None:
        yield function.returns


def main(root: Path) -> None:
    house = House(root)
    found: dict[str, list[str]] = {
        "modules": house.modules(),
        "circles": [" ".join(sorted(group)) for group in house.circles()],
        "upwards": house.upwards(),
        "named twice": [f"{name}: {' '.join(where)}" for name, where in house.named_twice().items()],
        "long functions": house.long_functions(),
        "inner imports": house.inner_imports(),
        "any": [module for module, count in house.anys().items() for _ in range(count)],
        "repeated": [f"{one} ~ {other}" for one, other in house.repeated()],
    }
    for name, lines in found.items():
        print(f"{name:<15}{len(lines):>4}", *(f"    {line}" for line in dict.fromkeys(lines)), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])
