"""The scratch folder is kept only on request or after a finding."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict
from pipeline.entrypoints.drill.progress import DrillProgress
from pipeline.entrypoints.drill.result import DrillResult
from pipeline.entrypoints.drill.run import DrillPlan
from pipeline.entrypoints.drill.scratch import in_scratch

ORDER = DrillPlan(signals=1, seed=1, pace=20)
LOST = AuditFinding(verdict=AuditVerdict.LOST, what="signal not recorded", facts={"source_id": "000000"})


class Unwatched:
    def step(self, name: str, total: int) -> None: ...

    def advance(self, done: int, remark: str = "") -> None: ...


class OneDrill:
    """A drill that stores its folder and returns the given findings."""

    def __init__(self, *findings: AuditFinding) -> None:
        self.home = Path()
        self._findings = findings

    def __call__(self, order: DrillPlan, home: Path, progress: DrillProgress) -> DrillResult:
        progress.step("drilling", 1)
        self.home = home
        (home / "up.log").write_text("some lines")
        return DrillResult(
            seed=order.seed, sent=1, accepted=1, executions=2, added=0, orders=2, findings=self._findings
        )


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize(("findings", "keep", "stays"), [((), False, False), ((), True, True), ((LOST,), False, True)])
def test_the_folder_stays_when_asked_for_or_when_something_was_found(
    *, findings: tuple[AuditFinding, ...], keep: bool, stays: bool
) -> None:
    drill = OneDrill(*findings)

    result = in_scratch(drill, ORDER, Unwatched(), keep=keep)

    assert stays == drill.home.exists()
    assert (str(drill.home) if stays else None) == result.kept


def test_a_stopped_drill_leaves_no_folder(tmp_path: Path) -> None:
    def stopped(order: DrillPlan, home: Path, progress: DrillProgress) -> DrillResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_scratch(stopped, ORDER, Unwatched(), keep=False)

    assert list(tmp_path.iterdir()) == []
