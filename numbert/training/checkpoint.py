"""Stopping and going on: all that the next step depends on, in one file.

The weights, both moments of AdamW, the number of steps done, and the settings that the run was started with. Batches
and dropout need nothing here, they are functions of the seed and the step. One file, because it is replaced in one
moment: a run that is killed finds either the old state or the new one, and never a mixture.
"""
import json

from ..hub import safetensors
from ..hub.errors import CheckpointError, parse_json


def save_checkpoint(path, model, optimizer, step, settings):
    """Write `path`. `settings` is a flat dict of JSON values, to be compared on the way back."""
    arrays = {}
    for name, parameter, m, v in zip(model.named_parameters(), model.parameters(), optimizer.m, optimizer.v,
                                     strict=True):
        arrays |= {f"weight.{name}": parameter.data, f"m.{name}": m, f"v.{name}": v}
    safetensors.write(path, arrays, {"step": str(step), "t": str(optimizer.t), "settings": json.dumps(settings)})


def read_settings(path):
    """(step, settings) of a checkpoint. Raises CheckpointError if the file is not one of ours."""
    _, step, _, settings = _read(path)
    return step, settings


def load_checkpoint(path, model, optimizer, settings):
    """Put the state at `path` into `model` and `optimizer`; the number of steps done.

    Raises ValueError, listing the differences, if the run was started with other settings, and CheckpointError if the
    file is damaged or does not fit; then nothing was changed.
    """
    arrays, step, t, saved = _read(path)
    if differences := compare(saved, settings):
        raise ValueError(f"{path} belongs to another run: " + "; ".join(differences))
    state = {f"{kind}.{name}": array
             for name, parameter, m, v in zip(model.named_parameters(), model.parameters(), optimizer.m, optimizer.v,
                                              strict=True)
             for kind, array in (("weight", parameter.data), ("m", m), ("v", v))}
    if state.keys() != arrays.keys():
        raise CheckpointError(path, "tensors that only one side has: "
                              + ", ".join(sorted(state.keys() ^ arrays.keys())[:5]))
    for name, array in state.items():
        found = arrays[name]
        if (found.dtype, found.shape) != (array.dtype, array.shape):
            raise CheckpointError(path, f"is {found.dtype} {found.shape}, must be {array.dtype} {array.shape}", name)
    for name, array in state.items():
        array[...] = arrays[name]
    optimizer.t = t
    return step


def _read(path):
    """(arrays, step, t, settings)"""
    arrays, metadata = safetensors.read(path)
    try:
        return arrays, int(metadata["step"]), int(metadata["t"]), parse_json(path, metadata["settings"].encode())
    except (KeyError, ValueError):
        raise CheckpointError(path, "not a checkpoint of a training run") from None


def compare(saved, wanted):
    """Each setting that differs, in words."""
    return [f"{name} is {wanted.get(name)!r}, was {saved.get(name)!r}"
            for name in sorted(saved.keys() | wanted.keys()) if saved.get(name) != wanted.get(name)]
