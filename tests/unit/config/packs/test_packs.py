from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from config.executors import load_executors
from config.packs.reading import read_pack, shipped_packs
from config.schema.executor import Executors, settings_hash
from config.schema.firm import Firm
from config.schema.settings import load_settings
from config.show import shown_executors, shown_text

REPOSITORY = Path(__file__).parents[4]
Faults = Callable[[str], dict[str, str]]

#: An executor without a key that a pack could override.
BARE = """
[executors.argo]
mode = "exchange"
pack = "{pack}"
size = {{method = "equity_percent", value = 3}}
"""

MINE = """
name = "mine"
description = "the rules of my contract"
[route]
symbols = ["SPY", "QQQ", "IWM"]
deny = ["GME"]
minimum_confidence = 80
[size]
maximum_percent = 5
default_stop_percent = 2
[limits]
daily_loss_percent = 2.5
drawdown_percent = 4
orders_per_day = 20
on_breach = "flatten"
[hours]
closed = "skip"
time_zone = "America/Chicago"
day_starts_at = "17:00"
[firm]
maximum_quantity = 500
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Executors]:
    """Load executors with the pack mine.toml."""

    def load_with(text: str, *, mine: str = MINE) -> Executors:
        (tmp_path / "mine.toml").write_text(mine, encoding="utf-8")
        (tmp_path / "executors.toml").write_text(text, encoding="utf-8")
        return load_executors(tmp_path / "executors.toml", settings=load_settings())

    return load_with


Loads = Callable[..., Executors]


def bare(pack: str, more: str = "") -> str:
    return BARE.format(pack=pack) + more


def test_two_step_has_its_figures(load: Loads) -> None:
    argo = load(bare("two_step", "[executors.argo.firm]\ninitial_balance = 25000\n"))["argo"]

    assert (argo.limits.daily_loss_percent, argo.limits.drawdown_percent) == (5, 10)
    assert (argo.limits.on_breach, argo.limits.next_day) == ("flatten", "stay")
    assert (argo.hours.time_zone, argo.hours.day_starts_at) == ("Europe/Prague", time(0, 0))
    assert argo.firm == Firm(
        percent_of="initial_balance", daily_loss_basis="balance", drawdown="static", initial_balance=Decimal(25000)
    )


def test_trailing_has_its_figures(load: Loads) -> None:
    argo = load(bare("trailing"))["argo"]

    assert (argo.limits.daily_loss_percent, argo.limits.drawdown_percent) == (2, 4)
    assert (argo.limits.on_breach, argo.limits.next_day) == ("flatten", "stay")
    assert (argo.hours.time_zone, argo.hours.day_starts_at) == ("America/Chicago", time(17, 0))
    assert argo.firm == Firm(
        percent_of="day_start",
        daily_loss_basis="equity",
        drawdown="trailing",
        flat_before_close_s=600,
        consistency_percent=Decimal(30),
        minimum_hold_s=60,
    )


def test_two_packs_ship_under_their_own_names() -> None:
    assert list(shipped_packs()) == ["trailing", "two_step"]
    for name, path in shipped_packs().items():
        assert read_pack(path).name == name


def test_an_installed_wheel_has_the_packs(tmp_path: Path) -> None:
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    source = tmp_path / "source"
    (source / "config").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((REPOSITORY / name).read_bytes())
    for path in (REPOSITORY / "config").rglob("*"):
        if path.suffix in {".py", ".toml"}:
            target = source / path.relative_to(REPOSITORY)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())

    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True, timeout=60
    )

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"config/packs/{path.name}" for path in shipped_packs().values()} <= names


def test_a_third_pack_is_one_file_beside_the_executors(load: Loads) -> None:
    argo = load(bare("mine.toml"))["argo"]

    assert argo.pack == "mine.toml"
    assert argo.route.symbols == ("SPY", "QQQ", "IWM")
    assert argo.route.deny == ("GME",)
    assert argo.route.minimum_confidence == 80
    assert (argo.size.value, argo.size.maximum_percent, argo.size.default_stop_percent) == (3, 5, 2)
    assert (argo.limits.daily_loss_percent, argo.limits.orders_per_day) == (Decimal("2.5"), 20)
    assert (argo.hours.closed, argo.hours.day_starts_at) == ("skip", time(17, 0))
    assert argo.firm.maximum_quantity == 500


@pytest.mark.parametrize(
    ("table", "line", "holds"),
    [
        ("limits", "daily_loss_percent = 2", Decimal(2)),
        ("limits", "daily_loss_percent = 2.6", Decimal("2.5")),
        ("limits", 'daily_loss_percent = "off"', Decimal("2.5")),
        ("limits", "orders_per_day = 19", 19),
        ("limits", "orders_per_day = 21", 20),
        ("limits", 'on_breach = "halt"', "flatten"),
        ("route", "minimum_confidence = 79", Decimal(80)),
        ("route", "minimum_confidence = 81", Decimal(81)),
        ("size", "default_stop_percent = 1.5", Decimal(2)),
        ("size", "default_stop_percent = 3", Decimal(3)),
        ("hours", 'closed = "extended"', "skip"),
    ],
)
def test_of_pack_and_executor_the_tighter_holds(load: Loads, table: str, line: str, holds: object) -> None:
    text = bare("mine.toml", f"[executors.argo.{table}]\n{line}\n")
    if table == "size":
        text = text.replace("value = 3}", f"value = 3, {line}}}").replace("[executors.argo.size]\n" + line, "")

    argo = load(text)["argo"]

    assert getattr(getattr(argo, table), line.split(" = ", maxsplit=1)[0]) == holds


def test_lists_shrink_to_what_both_allow_and_grow_to_what_either_denies(load: Loads) -> None:
    route = '[executors.argo.route]\nsymbols = ["AAPL", "QQQ", "SPY"]\ndeny = ["AMC", "GME"]\n'

    argo = load(bare("mine.toml", route))["argo"]

    assert argo.route.symbols == ("QQQ", "SPY")
    assert argo.route.deny == ("AMC", "GME")


def test_lists_without_a_common_word_are_refused(load: Loads, faults_in: Faults, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")

    faults = faults_in(bare("mine.toml", '[executors.argo.route]\nsymbols = ["AAPL"]\n'))

    assert faults.keys() == {"executors.argo.route.symbols"}
    assert 'pack "mine" allows: SPY, QQQ, IWM' in faults["executors.argo.route.symbols"]


@pytest.mark.parametrize(
    ("table", "line", "theirs"),
    [
        ("hours", 'time_zone = "America/New_York"', "America/Chicago"),
        ("hours", 'day_starts_at = "00:00"', "17:00"),
        ("firm", "maximum_quantity = 400", "500"),
        ("firm", 'maximum_quantity = "off"', "500"),
    ],
)
def test_a_value_that_differs_from_a_binding_one_is_refused(
    faults_in: Faults, tmp_path: Path, table: str, line: str, theirs: str
) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    key = f"executors.argo.{table}.{line.split(' = ', maxsplit=1)[0]}"

    faults = faults_in(bare("mine.toml", f"[executors.argo.{table}]\n{line}\n"))

    assert faults.keys() == {key}
    assert 'pack "mine" requires' in faults[key]
    assert theirs in faults[key]


def test_a_binding_value_may_be_repeated(load: Loads) -> None:
    hours = '[executors.argo.hours]\ntime_zone = "America/Chicago"\nday_starts_at = "17:00"\nhold_s = 60\n'

    argo = load(bare("mine.toml", hours))["argo"]

    assert (argo.hours.time_zone, argo.hours.day_starts_at, argo.hours.hold_s) == ("America/Chicago", time(17, 0), 60)


def test_a_pack_that_counts_from_the_initial_balance_requires_it(faults_in: Faults) -> None:
    faults = faults_in(bare("two_step"))

    assert faults.keys() == {"executors.argo.firm.initial_balance"}
    assert faults["executors.argo.firm.initial_balance"].startswith("is missing")


def test_an_unknown_pack_is_refused_with_the_known_ones(faults_in: Faults) -> None:
    faults = faults_in(bare("two_steps"))

    assert faults.keys() == {"executors.argo.pack"}
    assert 'did you mean "two_step"' in faults["executors.argo.pack"]
    assert "trailing" in faults["executors.argo.pack"]


def test_a_pack_file_that_is_not_there_is_refused_where_it_is_named(faults_in: Faults) -> None:
    faults = faults_in(bare("gone.toml"))

    assert faults.keys() == {"executors.argo.pack"}
    assert "gone.toml" in faults["executors.argo.pack"]


def test_each_problem_of_a_pack_names_its_file_and_key_once(faults_in: Faults, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ncolour = "red"\nretry = {attempts = 1}\n'
        '[limits]\ndaily_loss_percent = 0\ndrawdwon_percent = 3\n[hours]\nday_starts_at = "25:00"\n',
        encoding="utf-8",
    )

    faults = faults_in(bare("mine.toml") + bare("mine.toml").replace("executors.argo", "executors.other"))

    assert faults.keys() == {
        f"{path}: {key}"
        for key in (
            "description",
            "colour",
            "retry",
            "limits.daily_loss_percent",
            "limits.drawdwon_percent",
            "hours.day_starts_at",
        )
    }
    assert 'did you mean "drawdown_percent"' in faults[f"{path}: limits.drawdwon_percent"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is not TOML"),
        ('name = "mine"\ndescription = "nothing"\n', "has no rule"),
        ('name = "mine"\ndescription = "nothing"\n[limits]\n', "has no rule"),
    ],
)
def test_a_file_that_is_no_pack_is_refused(faults_in: Faults, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")

    faults = faults_in(bare("mine.toml"))

    assert faults.keys() == {str(path)}
    assert message in faults[str(path)]


def test_faults_of_the_executor_are_reported_beside_those_of_the_pack(faults_in: Faults, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    more = (
        '[executors.argo.limits]\ndaily_loss_percent = "two"\n'
        '[executors.argo.route]\nsymbols = ["SPY//"]\n[executors.argo.hours]\nday_starts_at = "00:00"\n'
    )

    assert faults_in(bare("mine.toml", more)).keys() == {
        "executors.argo.limits.daily_loss_percent",
        "executors.argo.route.symbols.0",
        "executors.argo.hours.day_starts_at",
    }


def test_the_hash_covers_the_values_in_force(load: Loads) -> None:
    def hashed(text: str, mine: str = MINE) -> str:
        return settings_hash(load(text, mine=mine)["argo"])

    ours = bare("mine.toml", "[executors.argo.limits]\ndaily_loss_percent = 9\n")

    assert hashed(bare("mine.toml")) == hashed(ours)
    assert hashed(ours) != hashed(ours, MINE.replace("2.5", "2.4"))


def test_a_reader_sees_what_came_from_the_pack_and_what_the_file_says(load: Loads) -> None:
    executors = load(
        bare("mine.toml", '[executors.argo.limits]\ndaily_loss_percent = 9\ndrawdown_percent = "off"\npyramiding = 2\n')
    )

    shown = shown_executors(executors, load_settings())["argo"]

    assert shown["limits.daily_loss_percent"] == {"value": "2.5", "origin": "pack mine.toml", "file": "9"}
    assert shown["limits.drawdown_percent"] == {"value": "4", "origin": "pack mine.toml", "file": "off"}
    assert shown["limits.orders_per_day"] == {"value": 20, "origin": "pack mine.toml"}
    assert shown["limits.pyramiding"] == {"value": 2, "origin": "file"}
    assert shown["limits.open_positions"] == {"value": 10, "origin": "default"}
    assert any(
        line.startswith("limits.daily_loss_percent = 2.5 ") and line.endswith("(pack mine.toml; the file says 9)")
        for line in shown_text(shown)
    )


def test_an_executor_with_a_pack_equals_one_written_by_hand(load: Loads) -> None:
    by_hand = """
[executors.argo]
mode = "exchange"
size = {method = "equity_percent", value = 3}
[executors.argo.limits]
daily_loss_percent = 2
drawdown_percent = 4
on_breach = "flatten"
[executors.argo.hours]
time_zone = "America/Chicago"
day_starts_at = "17:00"
[executors.argo.firm]
flat_before_close_s = 600
consistency_percent = 30
minimum_hold_s = 60
"""

    packed = load(bare("trailing"))["argo"]

    assert packed.model_copy(update={"pack": None}) == load(by_hand)["argo"]
