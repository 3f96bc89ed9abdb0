"""A grid of figures survives an interruption, and is never mixed with one of other settings."""
import json

import pytest

from numbert.lab import grid as grids
from numbert.lab.grid import Grid


def fill(grid, bodies=2, heads=2, stop=None):
    """Figures 10 body + head, and the cells that were really computed."""
    computed = []

    def figure(body, head):
        if (body, head) == stop:
            raise KeyboardInterrupt
        computed.append((body, head))
        return 10 * body + head

    for body in grid.bodies(bodies):
        for head in range(heads):
            grid.cell("a / b", body, head, lambda body=body, head=head: figure(body, head))
    return computed


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    path = tmp_path / "one.json"
    with pytest.raises(KeyboardInterrupt):
        fill(Grid(path, {"steps": 3}, say=None), stop=(1, 1))
    again = Grid(path, {"steps": 3}, say=None)
    assert fill(again) == [(1, 1)]
    assert again.figures("a / b") == [[0, 1], [10, 11]]
    assert json.loads(path.read_text())["settings"] == {"steps": 3}


def test_a_body_that_is_not_whole_does_not_count(tmp_path):
    grid = Grid(tmp_path / "one.json", {}, say=None)
    with pytest.raises(KeyboardInterrupt):
        fill(grid, bodies=3, stop=(2, 1))
    assert grid.figures("a / b") == [[0, 1], [10, 11]]


def test_other_settings_are_refused(tmp_path):
    fill(Grid(tmp_path / "one.json", {"steps": 3}, say=None))
    with pytest.raises(ValueError, match=r"other settings, \{'steps': 3\} and not \{'steps': 4\}"):
        Grid(tmp_path / "one.json", {"steps": 4})


def test_as_many_bodies_as_fit_into_the_minutes(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(grids.time, "monotonic", lambda: clock[0])
    said = []
    grid = Grid(tmp_path / "one.json", {}, say=said.append)
    done = []
    for body in grid.bodies(9, minutes=5):
        clock[0] += 70                                          # seconds for each body: four are 280 of the 300
        done.append(body)
    assert done == [0, 1, 2, 3] and said == ["4 of 9 bodies fit into 5 minutes"]
    done = []
    for body in grid.bodies(9, minutes=1):                      # two always: one body has no spread
        clock[0] += 70
        done.append(body)
    assert done == [0, 1]


def test_bodies_of_other_seeds_stand_apart(tmp_path):
    grid = Grid(tmp_path / "one.json", {}, say=None)
    for first in (0, 3):
        grid = Grid(tmp_path / "one.json", {}, say=None)
        for body in grid.bodies(2, first=first):
            grid.cell("x", body, 0, lambda body=body: body)
    assert grid.figures("x") == [[3.0], [4.0]]                  # those of this run
    assert len(grid.content["figures"]) == 4                    # and the file has all
