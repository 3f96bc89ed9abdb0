"""An experiment of conditions x bodies x heads in one file: what is done is kept, so that a run can be interrupted.

    grid = Grid("runs/claims/inference.json", settings, say=print)
    for body in grid.bodies(5, minutes=60):
        for head in range(3):
            grid.cell("pre-trained", body, head, lambda: accuracy)          # computed once, then read from the file
    grid.figures("pre-trained")                                             # a row of heads for each whole body
"""
import time
from pathlib import Path

from ..hub import files
from ..hub.errors import read_json
from .peak import description


class Grid:
    """The figures of an experiment, {"condition / body / head": number}, in a JSON file beside the settings.

    A file with other settings is not continued: ValueError. say(text) gets a line for each new figure; None: nothing.
    """

    def __init__(self, path, settings, *, workers=1, say=print):
        self.path, self.say = Path(path), say
        self.content = {"machine": description(workers), "settings": settings, "seconds": 0.0, "figures": {}}
        if self.path.exists():
            found = read_json(self.path)
            if found.get("settings") != settings:
                raise ValueError(f"{path} was made with other settings, {found.get('settings')} and not {settings}: "
                                 "move it away, or name another folder")
            self.content |= found
        self.whole = set()

    def bodies(self, count, minutes=float("inf"), first=0):
        """The numbers first..first+count-1, one after another; after the second it ends where another body would take
        longer than what is left of so many minutes. The figures of a body count once the next one is asked for."""
        began, longest = time.monotonic(), 0.0
        for done, body in enumerate(range(first, first + count)):
            start = time.monotonic()
            if done >= 2 and start - began + longest > 60 * minutes:
                self._say(f"{done} of {count} bodies fit into {minutes:g} minutes")
                return
            yield body
            self.whole.add(body)
            longest = max(longest, time.monotonic() - start)

    def cell(self, condition, body, head, compute):
        """The figure of that cell: compute(), unless the file has it."""
        key, figures = f"{condition} / {body} / {head}", self.content["figures"]
        if key not in figures:
            start = time.monotonic()
            figures[key] = float(compute())
            seconds = time.monotonic() - start
            self.content["seconds"] = round(self.content["seconds"] + seconds, 1)
            self.save()
            self._say(f"{condition}, body {body}, head {head}: {figures[key]:.4f}  ({seconds:.0f} s)")
        return figures[key]

    def figures(self, condition):
        """A list for each whole body, with the figure of each of its heads."""
        rows = {}
        for key, figure in self.content["figures"].items():
            name, body, _ = key.rsplit(" / ", 2)
            if name == condition and int(body) in self.whole:
                rows.setdefault(int(body), []).append(figure)
        return [rows[body] for body in sorted(rows)]

    def save(self, **more):
        self.content |= more
        files.write_text(self.path, files.json_text(self.content, indent=1) + "\n")

    def _say(self, text):
        if self.say:
            self.say(text)
