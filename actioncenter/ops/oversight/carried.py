"""Which tests carry which requirement, read from their source without importing any."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

MARK: Final = "oversight"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def carrying(folder: Path) -> Mapping[str, Sequence[str]]:
    """Requirement -> node ids below `folder`, relative to its parent, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        name = path.relative_to(folder.parent).as_posix()
        for node, requirement in _marked(ast.parse(path.read_bytes())):
            found[requirement].append(f"{name}::{node}")
    return found


def _marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Pairs of (name of the test, requirement)."""
    whole = [
        requirement
        for node in module.body
        if isinstance(node, ast.Assign) and _names(node, "pytestmark")
        for requirement in _requirements(ast.walk(node.value))
    ]
    for definition in module.body:
        if isinstance(definition, Definition):
            yield from _below(definition, whole, "")


def _below(definition: Definition, inherited: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    own = [*inherited, *_requirements(definition.decorator_list)]
    if isinstance(definition, ast.ClassDef):
        for inner in definition.body:
            if isinstance(inner, Definition):
                yield from _below(inner, own, f"{prefix}{definition.name}::")
    elif definition.name.startswith("test"):
        yield from ((f"{prefix}{definition.name}", requirement) for requirement in dict.fromkeys(own))


def _names(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _requirements(nodes: Iterator[ast.AST] | Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == MARK:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value
