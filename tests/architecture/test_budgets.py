"""How long things may get: the healthy band of code that people enjoy reading."""

import ast
import re
from pathlib import Path
from statistics import median

import pytest

from tests.architecture.tree import files, named

LONGEST_FILE = 400
LONGEST_FUNCTION = 50
MEDIAN_FUNCTION = 10
MOST_BASES = 2  # one base class and one mixin
LONGEST_TEST = 40
LONGEST_TEMPLATE = 200
MOST_TEMPLATE_BRANCHES = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*suffixes: str) -> list[Path]:
    return [path for path in files(*suffixes) if "migrations" not in path.parts]


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, Function)]


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1  # type: ignore[attr-defined]


def is_test(path: Path) -> bool:
    return named(path).startswith("tests/")


@pytest.mark.parametrize("path", sources(".py", ".js", ".mjs", ".css"), ids=named)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_functions_are_short() -> None:
    limits = {path: LONGEST_TEST if is_test(path) else LONGEST_FUNCTION for path in sources(".py")}
    too_long = [
        f"{named(path)}:{node.lineno} {node.name} has {length(node)} lines"
        for path, limit in limits.items()
        for node in functions(path)
        if length(node) > limit
    ]

    assert too_long == []


def test_half_of_all_functions_fit_into_a_glance() -> None:
    lengths = [length(node) for path in sources(".py") if not is_test(path) for node in functions(path)]

    assert median(lengths) < MEDIAN_FUNCTION


def test_classes_inherit_little() -> None:
    crowded = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in sources(".py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef) and len(node.bases) > MOST_BASES
    ]

    assert crowded == []


@pytest.mark.parametrize("path", files(".html", under="templates"), ids=named)
def test_template_is_short_and_flat(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LONGEST_TEMPLATE
    assert len(re.findall(r"\{%-?\s*(?:if|for)\b", text)) <= MOST_TEMPLATE_BRANCHES
