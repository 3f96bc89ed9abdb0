"""Bugs in the training: every gradient is right, and what is done with it is not."""
from numbert.pretraining.batches import PretrainingData
from numbert.training import checkpoint, loop, parallel
from numbert.training.optimizer import AdamW, adamw

from .exhibit import Bug, Edit

BUGS = [
    Bug("Adam without bias correction",
        "The loss falls more slowly: in a short run all steps are about three times too long.",
        "Google's own optimiser for BERT leaves it out, \"mostly an oversight\" (google-research/bert issue 153), "
        "that a long warm-up hides, and others followed it. Mosbach et al. (2021) advise to have it, against unstable "
        "fine-tuning.",
        (Edit(adamw, "1 - beta1**t, 1 - beta2**t", "1.0, 1.0"),),
        "adamw_is_the_printed_algorithm"),
    Bug("weight decay goes through Adam's moments",
        "The loss falls more slowly: where gradients are small, as for rare words, full steps are taken towards 0.",
        "L2 in the loss and weight decay are the same for plain gradient descent and not for Adam, and libraries "
        "offered the one under the name of the other, until Loshchilov and Hutter (2019) took them apart.",
        (Edit(adamw, "g = g * scale ", "g = g * scale + weight_decay * w "),
         Edit(adamw, "    w *= 1 - lr * weight_decay\n", "")),
        "adamw_is_the_printed_algorithm"),
    Bug("biases and layer norms decay, too",
        "Nothing in a short run.",
        "The list of exceptions goes by name, and names change: CyberZHG/keras-bert issue 60, "
        "huggingface/transformers issue 4360.",
        (Edit(AdamW.step, "self.weight_decay if p.data.ndim > 1 else 0.0", "self.weight_decay"),),
        "adamw_is_the_printed_algorithm"),
    Bug("each parameter is clipped on its own",
        "Hardly anything: Adam divides by the length of gradients anyway.",
        "Clipping scales the whole gradient and keeps its direction. One parameter at a time changes it: "
        "huggingface/transformers issue 581, in the optimiser that was to be BERT's.",
        (Edit(loop.train, "        optimizer.step(gradients, lr(number), workers, scale=scale)\n",
              "        gradients = [g * min(1.0, clip_norm / (1e-9 + float((g * g).sum())**0.5)) for g in gradients]\n"
              "        optimizer.step(gradients, lr(number), workers)\n"),),
        "clipping_keeps_the_direction"),
    Bug("gradients are not set to zero",
        "The loss falls far more slowly: every step follows the sum of all gradients since the start.",
        "optimizer.zero_grad() was forgotten. Gradients that are returned, and not added into something that lives "
        "on, cannot have this one; here it takes a line to make it.",
        (Edit(loop.train, "        norm = global_norm(gradients, workers)\n",
              "        gradients = total = gradients if number == start else [\n"
              "            a + b for a, b in zip(total, gradients, strict=True)]\n"
              "        norm = global_norm(gradients, workers)\n"),),
        "a_step_follows_its_own_batch"),
    Bug("a mean of means",
        "Nothing, while a batch is one part. Cut into parts, texts with few blanks weigh more than texts with many.",
        "Gradient accumulation that averages the averages of parts with different numbers of labels. It stood in "
        "widely used trainers for a long time: huggingface/transformers issue 24725, huggingface/blog pull request "
        "2414.",
        (Edit(parallel.loss_and_gradients, "out.counts[name] / max(1, labels[name])", "1 / len(jobs)"),),
        "any_cut_of_a_batch_gives_the_same_gradient"),
    Bug("the learning rate moves once an epoch",
        "The loss falls very slowly: the run is over before the warm-up is.",
        "A schedule counted in steps, asked once an epoch: galilai-group/stable-worldmodel issue 280. The other way "
        "round it is over in the first epoch.",
        (Edit(loop.train, "optimizer.step(gradients, lr(number),", "optimizer.step(gradients, lr(number // 50),"),),
        "the_learning_rate_is_that_of_the_step"),
    Bug("the same dropout in every step",
        "Nothing. Some connections are never used, and some always.",
        "A generator made anew, with the same seed, where a fresh one was needed. In JAX that is one forgotten split; "
        "jax-ml/jax issue 170 was a proposal to do so.",
        (Edit(loop.train, "spawn_key=(number, part)", "spawn_key=(0, part)"),),
        "every_step_has_dropout_of_its_own"),
    Bug("only the weights come back from a checkpoint",
        "Hardly anything: a small step in the curve where the run was resumed.",
        "Adam's moments are as large as two more models, and easily left out. NVlabs/stylegan2-ada-pytorch issue 108; "
        "in KempnerInstitute/KempnerForge pull request 115 they were saved, and silently not loaded.",
        (Edit(checkpoint.load_checkpoint, "        array[...] = arrays[name]\n",
              "        if name.startswith(\"weight.\"):\n            array[...] = arrays[name]\n"),
         Edit(checkpoint.load_checkpoint, "    optimizer.t = t\n", "")),
        "a_resumed_run_is_the_same_run"),
    Bug("a resumed run begins the data again",
        "Nothing, or a loss that is a little too low after the stop: these batches were seen before.",
        "The checkpoint knows the step, and the data does not ask: OpenNMT/OpenNMT-py issue 2517. A run that is "
        "stopped every day never sees the end of its text.",
        (Edit(PretrainingData.undrawn, "divmod(start_step, self.batches_per_epoch)",
              "divmod(0, self.batches_per_epoch)"),),
        "a_resumed_run_is_the_same_run"),
]
