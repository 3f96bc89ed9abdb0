"""Checkpoints of a training run: all that the next step depends on, in one file.

The weights, both moments of AdamW, the number of steps done, and the settings that the run was started with. Batches
and dropout need nothing here, they are functions of the seed and the step. One file, because it is replaced in one
moment: a run that is killed finds either the old state or the new one, and never a mixture.
"""
import json

from ..hub import safetensors
from ..hub.errors import CheckpointError, parse_json
from ..hub.files import json_text


def save_checkpoint(path, model, optimizer, step, settings, *, state=None, best=None):
    """Write `path`. `settings` is a flat dict of JSON values, compared when the run is resumed.

    Under MPI all ranks must call it together, and rank 0 writes what one process would have written.
    state: a dict of JSON values that the run goes on from besides. best: arrays in the order of optimizer.parameters,
    such as the weights of the best epoch so far.
    """
    arrays = {}
    for name, parameter, m, v in zip(_names(model), optimizer.parameters, *optimizer.moments(), strict=True):
        arrays |= {f"weight.{name}": parameter.data, f"m.{name}": m, f"v.{name}": v}
    if best is not None:
        arrays |= {f"best.{name}": array for name, array in zip(_names(model), best, strict=True)}
    safetensors.write(path, arrays, {"step": str(step), "t": str(optimizer.t), "settings": json.dumps(settings)}
                      | ({} if state is None else {"state": json_text(state)}))


def read_settings(path):
    """(step, settings) of a checkpoint. Raises CheckpointError if the file is not one of ours."""
    _, step, _, settings, _ = _read(path)
    return step, settings


def read_state(path):
    """The `state` of a checkpoint, {} if it has none. Raises CheckpointError if the file is not one of ours."""
    return _read(path)[-1]


def load_checkpoint(path, model, optimizer, settings):
    """Put the state at `path` into `model` and `optimizer`; the number of steps done.

    Raises ValueError, listing the differences, if the run was started with other settings, and CheckpointError if the
    file is damaged or does not fit. In both cases nothing is changed.
    """
    arrays, step, t, saved, _ = _read(path)
    if differences := compare(saved, settings):
        raise ValueError(f"{path} belongs to another run: " + "; ".join(differences))
    state = {f"{kind}.{name}": array
             for name, parameter, m, v in zip(_names(model), optimizer.parameters, optimizer.m, optimizer.v,
                                              strict=True)
             for kind, array in (("weight", parameter.data), ("m", m), ("v", v))}
    arrays = _fitting(path, {name: array for name, array in arrays.items() if not name.startswith("best.")}, state)
    for name, array in state.items():
        array[...] = arrays[name]
    optimizer.t = t
    return step


def load_best(path, model, optimizer):
    """Copies of the arrays that were saved as `best`, None if none were. CheckpointError if they do not fit."""
    arrays = {name: array for name, array in _read(path)[0].items() if name.startswith("best.")}
    wanted = {f"best.{name}": p.data for name, p in zip(_names(model), optimizer.parameters, strict=True)}
    return [array.copy() for array in _fitting(path, arrays, wanted).values()] if arrays else None


def _names(model):
    """The names of the trainable parameters, in the order of the optimizer."""
    return [name for name, parameter in model.named_parameters().items() if parameter.requires_grad]


def _fitting(path, arrays, wanted):
    """`arrays` in the order of `wanted`. Raises CheckpointError unless names, dtypes and shapes are the same."""
    if wanted.keys() != arrays.keys():
        raise CheckpointError(path, "tensors that only one side has: "
                              + ", ".join(sorted(wanted.keys() ^ arrays.keys())[:5]))
    for name, array in wanted.items():
        found = arrays[name]
        if (found.dtype, found.shape) != (array.dtype, array.shape):
            raise CheckpointError(path, f"is {found.dtype} {found.shape}, must be {array.dtype} {array.shape}", name)
    return {name: arrays[name] for name in wanted}


def _read(path):
    """(arrays, step, t, settings, state)"""
    arrays, metadata = safetensors.read(path)
    try:
        return (arrays, int(metadata["step"]), int(metadata["t"]), parse_json(path, metadata["settings"].encode()),
                parse_json(path, metadata.get("state", "{}").encode()))
    except (KeyError, ValueError):
        raise CheckpointError(path, "not a checkpoint of a training run") from None


def compare(saved, wanted):
    """Each setting that differs, in words."""
    return [f"{name} is {wanted.get(name)!r}, was {saved.get(name)!r}"
            for name in sorted(saved.keys() | wanted.keys()) if saved.get(name) != wanted.get(name)]
