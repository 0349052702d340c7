"""The tracker starts quickly, because every `up` starts one."""

from __future__ import annotations

import subprocess
import sys

from tests.pages import ROOT


def test_the_tracker_loads_no_client_of_alpaca() -> None:
    code = (
        "import sys, pipeline.entrypoints.cli.startup, workers.tracker.process\n"
        "print(sorted({'alpaca', 'pandas', 'requests'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
