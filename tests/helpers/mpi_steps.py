"""Started by test_mpi.py, under mpiexec or alone: gradients, or some steps of training, of a small BERT; what each rank
found goes to FOLDER/RANK.npz.

    mpi_steps.py FOLDER gradients|shared|plain DTYPE WORKERS [adamw|lamb] [DEALT]

shared: each rank updates its part of the parameters; plain: every rank updates all of them.
"""
import sys
from pathlib import Path

import numpy as np
import tiny_bert

import numbert as nb
from numbert.training import optimizer as optimizers
from numbert.training import parallel
from numbert.training import ranks as ranks_module
from numbert.training.loop import train
from numbert.training.optimizer import OPTIMIZERS, linear_schedule
from numbert.training.parallel import Workers, loss_and_gradients
from numbert.training.ranks import together

LENGTHS = (9, 12, 5, 7, 3, 10)


def generator(part):
    return np.random.default_rng(part)


ranks_module.TABLE = 100           # so small that some tables are sent by their rows,
optimizers.BLOCK = 50              # so small that every rank has some of most parameters


def table_of_few_rows(ranks):
    """Of a table in which each rank has a row of its own and all have one together, and of one without zeros."""
    tables = [np.zeros((100, 3)), np.full((100, 3), 2.0)]
    tables[0][[10 + ranks.rank, 51]] = 1 + ranks.rank
    total = sum(range(1, ranks.size + 1))
    expected = np.zeros((100, 3))
    expected[10:10 + ranks.size] = np.arange(1, ranks.size + 1)[:, None]
    expected[51] = total
    if ranks.size > 1:
        assert ranks._rows(tables[0]).tolist() == [*range(10, 10 + ranks.size), 51] and ranks._rows(tables[1]) is None
    found = ranks.add_up(tables)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], 2.0 * ranks.size)


def main(folder, what, dtype, n, optimizer="adamw", dealt=64):
    parallel.DEALT = int(dealt)
    with together("mpi_steps") as ranks, Workers(int(n), ranks) as workers:
        model = nb.BertForPreTraining(tiny_bert.config(hidden_dropout_prob=0.0), rng=np.random.default_rng(0),
                                      dtype=np.dtype(dtype))
        batches = [tiny_bert.pretraining_batch(np.random.default_rng(i), LENGTHS) for i in range(5)]
        if what == "gradients":
            sums, arrays = loss_and_gradients(model, batches[0], generator, workers,
                                              lambda part, out: {"sequences": len(part["input_ids"])})
        else:
            optimizer = OPTIMIZERS[optimizer](model.trainable_parameters(), ranks=ranks if what == "shared" else None)
            steps = list(train(model, iter(batches), optimizer=optimizer, lr=linear_schedule(5, 1e-2), steps=5, seed=0,
                               workers=workers))
            sums = {str(step.number): step.sums["loss"] for step in steps}
            arrays = [p.data for p in model.parameters()] + [x for moments in optimizer.moments() for x in moments]
        shares = workers.share(lambda i: i * i, range(7))
        assert shares == [i * i for i in range(7)], shares
        table_of_few_rows(ranks)
        values = {f"a{i}": x for i, x in enumerate(arrays)} | {f"sum {name}": x for name, x in sums.items()}
        np.savez(Path(folder, f"{ranks.rank}.npz"), **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
