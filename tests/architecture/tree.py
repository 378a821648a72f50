"""The project's own files, without what is generated, installed or vendored."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = frozenset({
    ".git", ".venv", "var", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
    ".import_linter_cache", "test-results", "htmlcov",
})  # fmt: skip


def files(*suffixes: str, under: str = "", vendored: bool = False) -> list[Path]:
    """Return paths, sorted; every file when no suffix is given."""
    found = (path for path in _walk(ROOT / under) if not suffixes or path.suffix in suffixes)
    return sorted(path for path in found if vendored or "vendor" not in path.parts)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in FOREIGN:
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix not in {".sqlite3", ".pyc"}:
            yield path


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
