"""Give every test the servers it asks for."""

from __future__ import annotations

pytest_plugins = ["tests.servers", "tests.dashboard_jobs", "tests.exchange_fixtures", "tests.core_fixtures"]
