"""A `.env` file that every user can read is reported, and refused when an executor trades real money."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.checks.env_file_mode import exposed_secrets
from config.checks.warnings import warnings_of
from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import load_settings
from pipeline.model.errors import ConfigInvalid
from tests.command import app

LIVE = """
ARGO_API_KEY=key
ARGO_API_SECRET=secret
TRADEWIRE_LIVE=I accept real orders on account 123
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, which other users can pass through. They cannot pass through that of `tmp_path`."""
    made = Path(tempfile.mkdtemp(prefix="tradewire-")).resolve()
    made.chmod(0o755)
    monkeypatch.chdir(made)
    if any(not above.stat().st_mode & stat.S_IXOTH for above in made.parents):
        pytest.skip("other users cannot reach the folder of temporary files")
    yield made
    shutil.rmtree(made)


def env_file(folder: Path, text: str, mode: int = 0o644) -> None:
    (folder / ".env").write_text(text, encoding="utf-8")
    (folder / ".env").chmod(mode)


@pytest.mark.parametrize("line", ["ARGO_API_KEY=key", "DATABASE_URL=postgresql://a:b@c/d", "SLACK=https://hook"])
def test_keys_that_every_user_can_read_are_warned_about(folder: Path, line: str) -> None:
    env_file(folder, line)

    (warning,) = warnings_of(Executors(folder, {}), load_settings())

    assert f"run `chmod 600 {folder / '.env'}`" in str(warning)


@pytest.mark.parametrize(
    ("line", "mode", "above"),
    [
        ("ARGO_API_KEY=key", 0o600, 0o755),
        ("ARGO_API_KEY=key", 0o640, 0o755),
        ("PORT=1", 0o644, 0o755),
        ("ARGO_API_KEY=key", 0o644, 0o700),
    ],
)
def test_a_file_that_others_cannot_read_or_without_secrets_is_fine(
    folder: Path, line: str, mode: int, above: int
) -> None:
    env_file(folder, line, mode)
    folder.chmod(above)

    assert exposed_secrets(load_settings()) == []


def test_real_money_does_not_start_with_keys_that_every_user_can_read(folder: Path, smallest: str) -> None:
    live = 'mode = "live"\nbase_url = "https://api.alpaca.markets"\naccount = "123"'
    (folder / "executors.toml").write_text(smallest.replace('mode = "exchange"', live), encoding="utf-8")
    env_file(folder, LIVE)

    with pytest.raises(ConfigInvalid, match="every user of this machine can read its secrets"):
        load_executors("executors.toml", settings=load_settings())

    (folder / ".env").chmod(0o600)
    assert list(load_executors("executors.toml", settings=load_settings())) == ["argo"]


def test_a_copy_of_the_example_that_init_writes_is_private(folder: Path) -> None:
    assert CliRunner().invoke(app, ["init", "."]).exit_code == 0

    assert stat.S_IMODE(Path(shutil.copy(".env.example", ".env")).stat().st_mode) == 0o600
