"""Of the conformance suite only the cases that can fail: what the list declines, it declines in one line."""

import pytest

from actioncenter.actions.enums import ActionType

SHOWN = {ActionType.BLOCK_URL, ActionType.UNBLOCK_URL, ActionType.BLOCK_SENDER, ActionType.ISOLATE_DEVICE}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name != "feeds" or item.path.name != "test_conformance.py":
            continue
        kind = item.callspec.params.get("kind") if hasattr(item, "callspec") else None
        if kind is not None and kind not in SHOWN:
            item.add_marker("long")
