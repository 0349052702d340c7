"""Each guard and each test in the list of defects exists, and every guarantee has a defect."""

from __future__ import annotations

import re

from tests.faults import assert_none
from tests.tools.defects import defects
from tests.tools.sources import ROOT


def test_every_guard_and_every_test_of_the_list_is_there() -> None:
    assert_none(problem for defect in defects() for problem in defect.problems())


def test_every_guarantee_of_the_readme_has_a_defect() -> None:
    promised = re.findall(r"^- \*\*(G\d+) ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)

    assert set(promised) == {defect.guarantee for defect in defects()}
