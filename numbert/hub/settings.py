"""Settings in files from others: each is followed, refused by name, or known to have no influence.

A table says how each is treated, {name: treatment}:

    FOLLOWED                 it is read, and has the effect that its authors meant
    Only(value, ...)         any other value is refused; with None it may be missing
    "a reason"               any value: the reason why it has no influence
    {name: ...}, [{...}]     an object with settings of its own, or a list of such; the name ANY stands for all others
    (FOLLOWED, {name: ...})  a text, or such an object

The code can only read settings that are FOLLOWED in the table.
"""
import logging

from .errors import CheckpointError, exists, read_json

log = logging.getLogger("numbert")

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "a list",
         dict: "an object"}
FOLLOWED, ANY = "followed", "*"


class Only:
    """The values that a setting may have."""

    def __init__(self, *values):
        self.values = values


class Settings:
    """A JSON object in the file `path`; `place` is where it stands there, such as "model." """

    def __init__(self, path, values, place="", known=None):
        self.path, self.values, self.place, self.known = path, values, place, known

    @classmethod
    def read(cls, path, known=None, strict=False):
        """Those in a file; none where there is no such file. `known`: the table of what becomes of each, by which they
        are checked; one that it lacks is refused if `strict`, and else logged."""
        if not exists(path):
            return cls(path, {}, known=known)
        settings = cls(path, read_json(path), known=known)
        if known is not None:
            unknown = list(settings.unknown())
            if unknown and strict:
                raise CheckpointError(path, f"{unknown[0]} is not known, so it cannot be followed")
            if unknown:
                log.warning("%s: not followed, because unknown: %s", path, ", ".join(unknown))
        return settings

    def unknown(self):
        """Check the values by the table; gives the names that it lacks."""
        for name, entry in self.known.items():
            if isinstance(entry, Only):
                self.expect(name, *entry.values)
        for name, value in self.values.items():
            entry = self._entry(name)
            if entry is None and value not in (None, False, "", [], {}):
                yield f"{self.place}{name}"[:100]
            elif isinstance(entry, dict) or (isinstance(entry, tuple) and isinstance(value, dict)):
                yield from self.inner(name).unknown()
            elif isinstance(entry, list):
                for one in self.each(name):
                    yield from one.unknown()

    def get(self, name, kind, default=None):
        """The value of type `kind` called `name`; `default` where it is missing or null."""
        self._table(name)
        value = self.values.get(name)
        if value is None:
            return default
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise self.error(name, f"must be {KINDS[kind]}")
        return value

    def _entry(self, name):
        return self.known.get(name, self.known.get(ANY))

    def _table(self, name):
        """The table of what is called `name`, None if it has none. KeyError if it is not there to be followed."""
        if self.known is None:
            return None
        entry = self._entry(name)
        if entry is None or isinstance(entry, Only) or (isinstance(entry, str) and entry != FOLLOWED):
            raise KeyError(f"{self.place}{name} is read, but the table does not say that it is followed")
        return entry[-1] if isinstance(entry, tuple | list) else entry if isinstance(entry, dict) else None

    def need(self, name, kind):
        """The same, and it must be there."""
        if self.values.get(name) is None:
            raise self.error(name, f"must be {KINDS[kind]}")
        return self.get(name, kind)

    def inner(self, name):
        """The Settings in the object called `name`; none where it is missing or null."""
        return Settings(self.path, self.get(name, dict, {}), f"{self.place}{name}.", self._table(name))

    def each(self, name):
        """The Settings in the objects of the list called `name`."""
        listed = {f"{name}[{i}]": x for i, x in enumerate(self.get(name, list, []))}
        listed = Settings(self.path, listed, self.place, known=None if self.known is None else {ANY: self._table(name)})
        return [listed.inner(i) for i in listed.values]

    def expect(self, name, *allowed):
        """Refuse a value that is none of these; None stands for one that is missing or null."""
        value = self.values.get(name)
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
            raise self.error(name, "must not be set" if allowed[0] is None else f"must be {allowed[0]!r}")

    def error(self, name, problem):
        return CheckpointError(self.path, f"{self.place}{name} {problem}, got {self.values.get(name)!r:.100}")
