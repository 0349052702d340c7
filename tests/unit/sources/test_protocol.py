from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.intake.sources.alpaca import AlpacaSource
from pipeline.intake.sources.file import FileSource
from pipeline.intake.sources.protocol import AlpacaKeys, SourceContext, known_sources, open_source_by_name
from pipeline.intake.sources.replay import ReplaySource
from pipeline.model.errors import ConfigInvalid


def test_the_shipped_sources_are_installed() -> None:
    assert {"replay", "alpaca", "file"} <= set(known_sources())


def test_a_source_is_opened_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.touch()
    context = SourceContext(
        exchange_url="http://127.0.0.1:1",
        alpaca=AlpacaKeys(key="a-key", secret=SecretStr("a-secret")),
        path=str(path),
    )

    for name, kind in (("replay", ReplaySource), ("file", FileSource), ("alpaca", AlpacaSource)):
        source = open_source_by_name(name, context)
        assert isinstance(source, kind)
        assert source.name == name
        source.close()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigInvalid, match=r"'telepathy' is not a source; known are: alpaca, drill, file, none,"):
        open_source_by_name("telepathy", SourceContext())


@pytest.mark.parametrize(
    ("name", "key"), [("replay", "exchange_url"), ("alpaca", "ALPACA_API_KEY"), ("file", "TRADEWIRE_SOURCE_FILE")]
)
def test_a_source_reports_the_setting_that_it_lacks(name: str, key: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        open_source_by_name(name, SourceContext())

    assert key in {problem.key for problem in caught.value.problems}
