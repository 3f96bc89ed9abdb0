"""Stopping and going on: all that the next step depends on, in one file.

The weights, both moments of AdamW, the number of steps done, and the settings that the run was started with. Batches
and dropout need nothing here, they are functions of the seed and the step. One file, because it is replaced in one
moment: a run that is killed finds either the old state or the new one, and never a mixture.
"""
import json

import numpy as np

from ..hub import safetensors
from ..hub.errors import CheckpointError


def save_checkpoint(path, model, optimizer, step, settings):
    """Write `path`. `settings` is a flat dict of JSON values, to be compared on the way back."""
    arrays = {}
    for name, parameter, m, v in zip(model.named_parameters(), model.parameters(), optimizer.m, optimizer.v,
                                     strict=True):
        arrays |= {f"weight.{name}": parameter.data, f"m.{name}": m, f"v.{name}": v}
    safetensors.write(path, arrays, {"step": str(step), "t": str(optimizer.t), "settings": json.dumps(settings)})


def read_settings(path):
    """(step, settings) of a checkpoint. Raises CheckpointError if the file is not one of ours."""
    _, metadata = safetensors.read(path)
    try:
        return int(metadata["step"]), json.loads(metadata["settings"])
    except (KeyError, ValueError):
        raise CheckpointError(path, "not a checkpoint of a training run") from None


def load_checkpoint(path, model, optimizer, settings):
    """Put the state at `path` into `model` and `optimizer`; the number of steps done.

    Raises ValueError, listing the differences, if the run was started with other settings.
    """
    arrays, metadata = safetensors.read(path)
    step, saved = read_settings(path)
    if differences := compare(saved, settings):
        raise ValueError(f"{path} belongs to another run: " + "; ".join(differences))
    names = model.named_parameters()
    wanted = {f"{kind}.{name}" for name in names for kind in ("weight", "m", "v")}
    if wanted != set(arrays):
        raise CheckpointError(path, f"tensors that only one side has: {', '.join(sorted(wanted ^ set(arrays))[:5])}")
    for (name, parameter), m, v in zip(names.items(), optimizer.m, optimizer.v, strict=True):
        for kind, array in (("weight", parameter.data), ("m", m), ("v", v)):
            np.copyto(array, arrays[f"{kind}.{name}"], casting="no")
    optimizer.t = int(metadata["t"])
    return step


def compare(saved, wanted):
    """Each setting that differs, in words."""
    return [f"{name} is {wanted.get(name)!r}, was {saved.get(name)!r}"
            for name in sorted(saved.keys() | wanted.keys()) if saved.get(name) != wanted.get(name)]
