"""Check the free space on the disks of this machine."""

import shutil
import tempfile
from pathlib import Path

from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus, ok, warning

_WARNING = 1 << 30  # 1 GiB
_CRITICAL = 100 << 20  # 100 MiB


def check_disks(home: Path) -> list[CheckResult]:
    """Return one finding for TRADEWIRE_HOME's filesystem and one for that of temporary files."""
    return [_check("disk home", home), _check("disk temporary files", Path(tempfile.gettempdir()))]


def _check(name: str, path: Path) -> CheckResult:
    there = path.absolute()
    # TRADEWIRE_HOME may not exist yet: the first write creates it, on the disk of the folder above.
    while not there.exists():
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        saw = f"the free space of {there} cannot be read: {error.strerror}"
        cause, remedy = "This user has no access.", f"Run `df {there}` as a user who has access."
        return warning(name, saw, cause=cause, remedy=remedy)
    saw = f"{free / (1 << 30):.1f} GiB free at {there}"
    if free >= _WARNING:
        return ok(name, saw)
    return CheckResult(
        name=name,
        status=CheckStatus.CRITICAL if free < _CRITICAL else CheckStatus.WARNING,
        saw=saw,
        cause="The disk is nearly full; an embedded PostgreSQL or Valkey refuses writes when it is full.",
        remedy=f"Free some space: `du -xh --max-depth=2 {there} | sort -h` shows what uses it.",
    )
