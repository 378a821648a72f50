"""Carrying actions out. Only the runner comes here; no request ever does (import contract)."""
