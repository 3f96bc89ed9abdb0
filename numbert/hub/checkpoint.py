"""The weights of a folder, whichever file holds them.

A published model is a folder. Its weights are in one file, or, when it is large, in several ("shards") with an index
beside them: {"metadata": {...}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors", ...}}.

A shard's name is the name of a file in the index's own folder and never a path, so no index can point outside it.
Links are followed: the owner of the folder made them (a Hugging Face cache is a folder of links), not the author of the
index.
"""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..module import Module
from . import safetensors, torch_pickle
from .errors import CheckpointError, exists, expect_type, quoted, read_json

# What is looked for, the best first: safetensors maps straight into memory.
NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# How the names of weights end that other libraries write: TensorFlow, Flax, ONNX, llama.cpp.
FOREIGN = (".ckpt.index", ".ckpt.meta", ".h5", ".msgpack", ".onnx", ".gguf")


def load_weights(folder_or_file: str | Path) -> dict[str, np.ndarray]:
    """The weights by name: a dict of str to read-only arrays, in their own dtype (BF16 as float32).

    Takes a folder, where the first of `NAMES` that exists is read, or one file: .safetensors, .bin (also .pt, .pth)
    or .index.json. Raises CheckpointError if there is none, or if the file is damaged.
    """
    path = weights_file(folder_or_file)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    return _read_file(path)


def weights_file(folder_or_file: str | Path) -> Path:
    """The file that `load_weights` reads. Raises CheckpointError if a folder has none."""
    path = Path(folder_or_file)
    if not path.is_dir():
        return path
    found = [path / name for name in NAMES if exists(path / name)]
    if not found:
        others = [name for name in sorted(os.listdir(path)) if name.endswith(FOREIGN)]
        raise CheckpointError(path, f"the folder has no weights: looked for {', '.join(NAMES)}"
                              + (f"; {others[0]} is of another library and not read" if others else ""))
    return found[0]


def save_parameters(path: str | Path, module: Module) -> None:
    """Write the parameters of a `Module` by their names to one file in the safetensors format, whole or not at all."""
    safetensors.write(path, {name: p.data for name, p in module.named_parameters().items()})


def load_parameters(path: str | Path, module: Module) -> None:
    """Read the parameters of a `Module` from a file that `save_parameters` wrote; the module keeps its dtype.

    Raises CheckpointError unless the names and the shapes are the same; then nothing is changed.
    """
    arrays, _ = safetensors.read(path)
    parameters = module.named_parameters()
    if alone := sorted(arrays.keys() ^ parameters.keys()):
        raise CheckpointError(path, f"only the {'file' if alone[0] in arrays else 'module'} has it", alone[0])
    for name, parameter in parameters.items():
        array = arrays[name]
        if array.shape != parameter.shape or array.dtype.kind != "f":
            raise CheckpointError(path, f"is {array.dtype} {array.shape}, the module needs floating-point numbers "
                                  f"{parameter.shape}", name)
    for name, parameter in parameters.items():
        parameter.data = np.array(arrays[name], parameter.dtype, order="C")


def _read_file(path):
    match path.suffix:
        case ".safetensors":
            arrays, _ = safetensors.read(path)
            return arrays
        case ".bin" | ".pt" | ".pth":
            return torch_pickle.read(path)
    raise CheckpointError(path, "weights are read from a folder or a file .safetensors, .bin, .pt, .pth, .index.json")


def _read_shards(path):
    """The tensors that the index at `path` names, each from the shard that it names."""
    weight_map = expect_type(path, "weight_map", read_json(path).get("weight_map"), dict)
    shards = {}
    for name, shard in weight_map.items():
        if type(shard) is not str or shard != Path(shard).name:
            got = quoted(shard) if type(shard) is str else type(shard).__name__
            raise CheckpointError(path, f"its shard must be the name of a file beside the index, got {got}", name)
        if shard not in shards:
            if not os.path.isfile(path.parent / shard):
                raise CheckpointError(path, f"its shard {quoted(shard)} is missing", name)
            shards[shard] = _read_file(path.parent / shard)
        if name not in shards[shard]:
            raise CheckpointError(path, f"its shard {quoted(shard)} does not hold it", name)
    return {name: shards[shard][name] for name, shard in weight_map.items()}
