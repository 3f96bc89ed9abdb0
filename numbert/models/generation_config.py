"""generation_config.json: the settings with which a model's authors generate text.

Settings that are arguments of `generate` are left to its caller. Other settings that would change the text are refused
by name. Older folders have the same keys in config.json.
"""
from __future__ import annotations

from pathlib import Path

from ..hub.settings import FOLLOWED, Only, Settings

# {key: the values that do not change the text} for settings that `generate` does not support. None is allowed, too.
ONLY = {
    "min_length": 0, "num_beams": 1, "num_beam_groups": 1, "typical_p": 1.0, "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0, "bad_words_ids": None, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None, "suppress_tokens": None, "begin_suppress_tokens": None,
}
MORE = {
    "min_new_tokens": None, "stop_strings": None, "min_p": None, "top_h": None, "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0, "sequence_bias": None, "token_healing": False, "guidance_scale": None,
    "watermarking_config": None, "penalty_alpha": None, "dola_layers": None, "constraints": None,
    "force_words_ids": None,
}
CALLER = "an argument of generate; without rng=... the best token is taken, and nothing is drawn"
SPEED = "memory and time, not the text"
OUTPUT = "what is given back besides the text"
ENCODER = "of models that read with an encoder"
BEAMS = "of searches with several beams, which are refused"
TABLE = {
    "bos_token_id": FOLLOWED, "eos_token_id": FOLLOWED, "pad_token_id": FOLLOWED,
    **{key: Only(value, None) for key, value in (ONLY | MORE).items()},
    **{key: reason for reason, keys in {
        CALLER: "do_sample temperature top_k top_p max_length max_new_tokens max_time num_return_sequences",
        SPEED: "use_cache cache_implementation cache_config max_cache_len return_legacy_cache prefill_chunk_size "
               "low_memory disable_compile compile_config continuous_batching_config use_mtp is_assistant "
               "num_assistant_tokens num_assistant_tokens_schedule assistant_confidence_threshold "
               "prompt_lookup_num_tokens max_matching_ngram_size assistant_early_exit assistant_lookbehind "
               "target_lookbehind assistant_ensemble_weight speculation_type",
        OUTPUT: "output_attentions output_hidden_states output_scores output_logits return_dict_in_generate",
        ENCODER: "encoder_repetition_penalty encoder_no_repeat_ngram_size decoder_start_token_id",
        BEAMS: "early_stopping length_penalty diversity_penalty",
        "infinite scores are none of ours": "remove_invalid_values",
        "scores are normalised again when they are drawn from": "renormalize_logits",
        "where the file came from": "transformers_version _from_model_config _commit_hash",
    }.items() for key in keys.split()},
}


def read_generation_config(folder: str | Path) -> dict[str, int | list[int]]:
    """The ids of special tokens that `folder`/generation_config.json names, {} if there is no such file. Raises
    CheckpointError for a setting that `generate` does not support."""
    settings = Settings.read(Path(folder) / "generation_config.json", TABLE)
    found = {}
    for name in ("bos_token_id", "pad_token_id", "eos_token_id"):
        several = name == "eos_token_id" and isinstance(settings.values.get(name), list)
        value = settings.get(name, list if several else int)
        if several and not all(type(index) is int for index in value):
            raise settings.error(name, "must be whole numbers")
        if value is not None:
            found[name] = value
    return found
