"""Files of settings in which one value has been replaced by an odd one."""
import copy
import json

from hypothesis import strategies as st

ODD = [None, True, False, 0, 1, -1, 2.5, 10**30, "", "yes", "[CLS]", [], ["a"], [1], {}, {"a": 1}, [{}]]


def places(value, path=()):
    """The path of every value inside a JSON value."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(part, (*path, key))


def write_with_an_odd_value(folder, contents, data):
    """Write {file name: JSON value} with one value inside one of them changed as hypothesis likes."""
    changed = copy.deepcopy(contents)
    *before, last = data.draw(st.sampled_from([path for path in places(changed) if len(path) > 1]))
    inside = changed
    for key in before:
        inside = inside[key]
    inside[last] = data.draw(st.sampled_from(ODD))
    for name, content in changed.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
