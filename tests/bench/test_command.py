"""`manage.py bench` as it is started: a database of its own, one JSON object, nothing left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actioncenter.bench.report import TARGETS
from actioncenter.estate.services import Service
from tests.architecture.tree import ROOT

pytestmark = pytest.mark.own_database
RATIOS = {
    "page1_vs_bare", "page1_vs_floor", "admin_default_vs_page1", "admin_tuned_vs_page1", "page1000_vs_page1",
    "filters_p95_vs_page1", "filters_max_vs_page1", "filters_mismatches", "sqlite_vs_postgres",
}  # fmt: skip


def bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Temporary files go to `folder`, so that what stays behind is seen."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ACTIONCENTER_", "DJANGO_"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", "bench", *arguments],
        cwd=ROOT,
        env=environment | {"ACTIONCENTER_NO_BOOTSTRAP": "1", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def found(run: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def found_whether_held(run: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """A shared machine decides whether a target holds, but not whether it is measured."""
    assert run.stdout.splitlines()[-1:], run.stderr
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def open_to_all(folder: Path) -> None:
    """A server in it runs as another user than root and has to reach it."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)


def small(folder: Path, database: str) -> dict[str, Any]:
    return found(bench(folder, "pages", "--rows", "2000", "--rounds", "1", "--json", "--database", database))


def check(result: dict[str, Any], database: str) -> None:
    ratios = result.pop("ratios")
    assert result == {"bench": "pages", "rows": 2000, "database": database, "targets": {}, "held": None}
    assert set(ratios) == RATIOS
    assert ratios["filters_mismatches"] == 0
    assert all(ratios[name] > 0 for name in RATIOS - {"filters_mismatches", "sqlite_vs_postgres"})


def test_pages_on_sqlite(tmp_path: Path) -> None:
    check(small(tmp_path, "sqlite"), "sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
def test_pages_on_a_server_of_its_own(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    check(small(tmp_path, "postgres"), "postgres")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_audit_is_written_sealed_and_verified(tmp_path: Path, database: str) -> None:
    open_to_all(tmp_path)
    arguments = ["--rows", "160", "--rounds", "1", "--json", "--database", database]
    result = found(bench(tmp_path, "audit", *arguments))
    assert (result["bench"], result["database"], result["held"]) == ("audit", database, None)
    assert set(result["ratios"]) == set(TARGETS["audit", 10_000])
    assert all(value > 0 for name, value in result["ratios"].items() if name != "growth_mib")


def test_policy_needs_no_table(tmp_path: Path) -> None:
    result = found(bench(tmp_path, "policy", "--rows", "1000", "--json"))
    assert (result["bench"], result["held"]) == ("policy", None)
    assert result["ratios"]["decisions_per_s"] > 0


@pytest.mark.parametrize("database", ["mysql://somewhere/db", "postgres://nobody@127.0.0.1:1/none"])
def test_a_database_it_cannot_use_is_named_and_nothing_stays(tmp_path: Path, database: str) -> None:
    run = bench(tmp_path, "policy", "--rows", "10", "--database", database)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_the_issue_has_targets() -> None:
    assert {name: str(target) for name, target in TARGETS["pages", 1_000_000].items()} == {
        "admin_default_vs_page1": ">= 20",
        "page1000_vs_page1": "<= 1.2",
        "filters_mismatches": "<= 0",
    }


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_decide(tmp_path: Path, database: str) -> None:
    open_to_all(tmp_path)
    result = found(
        bench(tmp_path, "decide", "--rows", "600", "--rounds", "1", "--json", "--database", database)
    )
    ratios = result["ratios"]
    assert set(ratios) == {
        "bulk_vs_bare_update",
        "statements_per_chunk",
        "aborted",
        "doubled",
        "contest_p99_ms",
    }
    assert (ratios["aborted"], ratios["doubled"]) == (0, 0)
    assert all(ratios[name] > 0 for name in ("bulk_vs_bare_update", "statements_per_chunk", "contest_p99_ms"))


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
@pytest.mark.long
def test_live(tmp_path: Path, database: str) -> None:
    open_to_all(tmp_path)
    ratios = found_whether_held(
        bench(tmp_path, "live", "--rows", "500", "--minutes", "0.2", "--json", "--database", database)
    )["ratios"]
    assert ratios.pop("wrong") == 0
    assert set(ratios) == {"cores_quiet", "cores_busy", "unchanged_quiet"}
    assert all(value > 0 for value in ratios.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
def test_a_server_that_is_there_gets_a_schema_and_loses_it(tmp_path: Path, postgres_service: Service) -> None:
    run = bench(
        tmp_path, "pages", "--rows", "1000", "--rounds", "1", "--json", "--database", postgres_service.url
    )
    assert found(run)["ratios"]["filters_mismatches"] == 0
    with psycopg.connect(postgres_service.url) as server:
        left = server.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench%'").fetchone()
    assert left == (0,)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.long
def test_chaos(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    result = found(bench(tmp_path, "chaos", "--minutes", "0.5", "--json"))
    growth, reached = (result["ratios"].pop(name) for name in ("memory_growth", "load_reached"))
    assert result["ratios"] == {"errors_outside_restarts": 0, "lost": 0, "doubled": 0}
    assert (result["held"], growth < 1, reached > 0) == (True, True, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.long
def test_dispatch(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    result = found(bench(tmp_path, "dispatch", "--rows", "100", "--json"))
    assert set(result["ratios"]) == {
        "start_vs_publish", "begun_vs_publish", "chunk_gain", "threads_vs_prefork", "embedded_p50_ms",
    }  # fmt: skip
    assert (result["held"], all(value > 0 for value in result["ratios"].values())) == (None, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["chaos", "dispatch"])
def test_what_starts_its_own_servers_takes_no_other(name: str, tmp_path: Path) -> None:
    run = bench(tmp_path, name, "--database", "sqlite")
    assert run.returncode == 1
    assert "starts its own servers" in run.stderr
