"""Imports go one way, files and functions are small, and a class name has one meaning."""

from __future__ import annotations

from tests.faults import assert_none
from tests.tools.figures import figures
from tests.tools.rooms import Import, Map, read_map


def test_no_import_points_to_a_higher_layer_and_no_folders_import_each_other_in_a_circle() -> None:
    drawn = read_map()

    assert len(drawn.arrows) > 100
    assert_none([*drawn.upward(), *drawn.circles()])


def test_an_arrow_upward_to_a_neighbour_or_in_a_circle_is_found() -> None:
    drawn = Map(layers=[["web"], ["left", "right"], ["model"]])
    for old, new in [("model.a", "web"), ("left", "right"), ("web", "web.page"), ("web.page", "web"), ("web", "model")]:
        drawn.arrows[old, new].append(Import(by=f"{old}.x", of=f"{new}.y"))

    assert drawn.upward() == ["left -> right: left.x imports right.y", "model.a -> web: model.a.x imports web.y"]
    assert drawn.circles() == ["web -> web.page: web.x imports web.page.y", "web.page -> web: web.page.x imports web.y"]


def test_files_functions_types_comments_and_class_names_are_within_their_limits() -> None:
    assert_none(figures().beyond_limits())
