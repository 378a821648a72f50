"""The import contracts hold, and no module stands outside of them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.tree import ROOT, files

# Read by anyone, importing nothing of ours but each other, and so in no layer.
LEAVES = re.compile(
    r"(actioncenter|investigations)(\.\w+)?(\.(apps|enums|migrations(\..+)?))?"
    r"|actioncenter\.(conf|environment|keys|logs)|actioncenter\.actions\.catalogue"
)


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layered() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    return [name for layer in layers for name in re.findall(r"[\w.]+", layer)]


def test_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_every_module_stands_in_a_layer_or_is_a_leaf() -> None:
    own = [
        module(path) for package in ("actioncenter", "investigations") for path in files(".py", under=package)
    ]
    prefixes = tuple(f"{name}." for name in layered())

    homeless = [name for name in own if not (name + ".").startswith(prefixes) and not LEAVES.fullmatch(name)]

    assert homeless == []


def test_no_layer_is_listed_twice() -> None:
    assert len(layered()) == len(set(layered()))
