"""How fast is numbert? Measured side by side with PyTorch, ONNX Runtime and tokenizers, on the machine you sit at.

    python examples/benchmark.py --quick                        under a minute: a few cases, a few rounds
    python examples/benchmark.py                                everything: about an hour on two cores
    python examples/benchmark.py --cases 'pretrain-mini-*'      some cases; --list names them all
    python examples/benchmark.py --ablation                     where the time goes: numbert without each of its ideas
    python examples/benchmark.py --curves curves.svg            how time and memory grow

The others come with the extra `bench`; who is not installed is left out and named. Every contender runs in a process
of its own; they take turns, there and back (A B C C B A), with the same weights, data, dropout rates and number of
threads. ("numbert on ranks", with the extra `mpi`, has a process under MPI for each thread of the others.) Rounds in
which something else ran on the machine are dropped and counted. That all did the same work is checked first: the losses
of three training steps without dropout, encodings, or ids must agree.

Time is per step. "ratio" is numbert's time over the other's: the median over the rounds, and their range; below 1
numbert is faster. "of peak" is the share of the machine's best matrix product speed: floating-point operations of the
matrix products that the contender has to do in its way, over time and peak. "of own peak" is the same against the best
speed of the contender's own library of matrix products: so the two columns tell what is library and what is not. Padded
batches: half of the sequences fill the batch, the lengths of the others are uniform between a quarter of it and all of
it; of short sentences all but the longest are so.
"""
import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from benchmarking import ablation, curves
from benchmarking.cases import all_cases
from benchmarking.contenders import contenders_of, prepare
from benchmarking.rounds import Apart, Timed, call_apart, play

from numbert.hub import files
from numbert.lab.peak import description, sgemm_peak, slow_path_of_mkl
from numbert.machine import cores
from numbert.pretraining.corpus import python_documents, read_documents
from numbert.training import command

QUICK = ("pretrain-tiny-30522-padded", "finetune-mini-padded", "encode-tiny-padded", "tokenise-ids-warm")
ABLATION = ("pretrain-tiny-30522-padded", "pretrain-mini-30522-padded", "pretrain-mini-8000-*")
OTHERS = {"NUMBERT_KEEP_MEMORY": "0"}           # the others use memory as they do without numbert
SAME_WORK = 1e-3                                # largest relative difference between two contenders' numbers
HEADER = ("case", "against", "numbert", "other", "ratio (range)", "rounds", "dropped", "difference", "memory, MB",
          "of peak", "of own peak")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="only " + ", ".join(QUICK) + ", with short rounds and little text")
    add("--cases", nargs="+", metavar="PATTERN", help="names of cases, * stands for anything (default: all)")
    add("--list", action="store_true", help="name the cases and stop")
    add("--against", nargs="*", metavar="NAME", help="contenders beside numbert (default: all that are installed)")
    add("--ablation", action="store_true",
        help="numbert against itself without packing, masked rows, parts, and all three; cases are by default "
             + ", ".join(ABLATION))
    add("--threads", type=int, default=min(2, cores()), help="for every contender (default: %(default)s)")
    add("--rounds", type=int, help="that nothing disturbed (default: 7; 3 with --quick)")
    add("--round-seconds", type=float, help="a round is as many steps as fit (default: 1; 0.3 with --quick)")
    add("--batch", type=int, default=32, help="sequences in a batch (default: %(default)s)")
    add("--length", type=int, default=128, help="tokens in a sequence, with padding (default: %(default)s)")
    add("--text", help="what is tokenised (default: the English that Python carries)")
    add("--out", metavar="FOLDER", help="write what is printed to FOLDER/benchmark.md, too")
    add("--curves", metavar="FILE", help="instead of the table, draw how time and memory grow, as SVG")
    return parser


def main(argv=None):
    options = arguments().parse_args(argv)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.round_seconds = options.round_seconds or (0.3 if options.quick else 1.0)
    cases = all_cases(options.threads, options.batch, options.length)
    patterns = options.cases or (QUICK if options.quick else ABLATION if options.ablation else ("*",))
    chosen = [case for name, case in cases.items() if any(fnmatch(name, pattern) for pattern in patterns)
              and (case.kind == "pretrain" or not options.ablation)]
    with command.one_line("benchmark.py", (ValueError, OSError, RuntimeError)):
        if options.list:
            print("\n".join(cases))
            return
        if not chosen:
            raise ValueError(f"no case is called {' or '.join(patterns)}; --list names them all")
        with tempfile.TemporaryDirectory() as folder:
            peaks = call_apart(sgemm_peak, options.threads)
            if options.out:
                Path(options.out).mkdir(parents=True, exist_ok=True)
                files.write_text(Path(options.out) / "benchmark.md", "")
            tell(options, f"{description(options.threads)}\n\nBest product of float32 matrices: "
                  + ", ".join(f"{name} {peak / 1e9:.0f}" for name, peak in peaks.items())
                 + " G operations a second; the highest counts as peak.\n")
            if slow := slow_path_of_mkl():
                tell(options, slow + "\n")
            if options.curves:
                draw(options, Path(folder), max(peaks.values()))
            else:
                table(options, chosen, Path(folder), peaks)


def say(text):
    print(text, file=sys.stderr, flush=True)


def tell(options, text):
    """Print, and with --out append to the file."""
    print(text, flush=True)
    if options.out:
        path = Path(options.out) / "benchmark.md"
        with files.naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")


# %% The table


def table(options, chosen, folder, peaks):
    """Print a row for each case and contender as soon as it is known."""
    missing, loud, different = {}, False, False
    tell(options, "| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for case in chosen:
        case = replace(case, folder=str(folder / case.name))
        if options.quick and case.kind == "tokenise":
            case = replace(case, vocab_size=2000)
        made, lacking = (ablation.CONTENDERS, {}) if options.ablation else contenders_of(case, options.against)
        missing |= lacking
        result = measure(case, made, options)
        loud |= not result.quiet
        for name in [other for other in made if other != "numbert"] or [None]:
            cells, same = row(case, result, made, name, peaks)
            different |= not same
            tell(options, "| " + " | ".join(cells) + " |")
    if missing:
        tell(options, "\nNot measured, for want of packages (extras `bench` and `mpi`) or because it does not work "
             "here: " + "; ".join(f"{name} ({', '.join(lacks)})" for name, lacks in missing.items()))
    if loud:
        tell(options, "\n(!) something else ran in every round: not to be quoted.")
    if any(case.kind == "pretrain" for case in chosen):
        real, twin = call_apart(curves.python_share,
                                all_cases(options.threads, options.batch, options.length)["pretrain-tiny-30522-padded"])
        tell(options, f"\nPython's share of a training step at tiny size: {twin / real:.0%} ({1000 * twin:.1f} of "
             f"{1000 * real:.1f} ms: the same calls over arrays of almost nothing).")
    print("\nLook at the ratios and their ranges: below 1 numbert is faster. Try next: --cases 'encode-base-*'\n"
          "(nearly all time in products of matrices), --threads 1, and --curves curves.svg (how cost grows).")
    if different:
        raise RuntimeError(f"numbers differ by more than {SAME_WORK}: the contenders did not do the same work")


def measure(case, made, options):
    say(f"{case.name}: {', '.join(made)}")
    call_apart(prepare, case, texts(options) if case.kind == "tokenise" else None, "ONNX Runtime" in made)
    with ExitStack() as stack:
        return play({name: stack.enter_context(Apart(
            f"{case.name}, {name}", Timed, make, case, options.round_seconds,
            environment={} if options.ablation or name.startswith("numbert") else OTHERS))
            for name, make in made.items()}, options.rounds)


def texts(options):
    """Paragraphs to tokenise."""
    documents = read_documents(options.text) if options.text else python_documents()
    found = [paragraph for document in documents for paragraph in document]
    return found[:300] if options.quick else found


def row(case, result, made, name, peaks):
    """The cells of the table for numbert against `name` (None: alone), and whether both did the same work."""
    def seconds(who):
        return f"{1000 * result.seconds(who):.4g} ms"

    def megabytes(who):
        return f"{result.memory[who] / 2**20:.0f}" if result.memory[who] else "?"

    def shares(*names):
        """Of the machine's peak, and of each one's library."""
        columns = [[], []]
        for who in names:
            work = getattr(made[who], "operations", lambda case: None)(case)        # the ablation's have none
            speed = sum(work.values()) / result.seconds(who) if work else None
            for column, peak in zip(columns, (max(peaks.values()), peaks.get(getattr(made[who], "library", ""))),
                                    strict=True):
                column.append(f"{speed / peak:.0%}" if speed and peak else "–")
        return [" / ".join(column) for column in columns]

    rounds = [f"{len(result.rounds['numbert'])}{'' if result.quiet else ' (!)'}", str(result.dropped)]
    if name is None:
        return [case.name, "–", seconds("numbert"), "–", "–", *rounds, "–", megabytes("numbert"),
                *shares("numbert")], True
    ratios = result.ratios("numbert", name)
    difference = unlike(result.proofs["numbert"], result.proofs[name])
    memory = "–" if None in result.memory.values() else (
        f"{megabytes('numbert')} / {megabytes(name)} = {result.memory['numbert'] / result.memory[name]:.2f}")
    return [case.name, name, seconds("numbert"), seconds(name),
            f"{np.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})", *rounds, f"{difference:.0e}", memory,
            *shares("numbert", name)], difference <= SAME_WORK


def unlike(ours, theirs):
    """The largest difference of two arrays, relative to the largest number; of integers, the share that differs."""
    if ours.shape != theirs.shape:
        return np.inf
    if ours.dtype.kind == "i":
        return float((ours != theirs).mean())
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


# %% The curves


def draw(options, folder, peak):
    sweeps = curves.SWEEPS
    if options.quick:
        sweeps = {title: (label, place, cases[:2]) for title, (label, place, cases) in sweeps.items()}
    drawn = curves.draw(folder, options.threads, peak, options.round_seconds, print, sweeps)
    files.write_text(Path(options.curves), drawn)
    if not options.quick:
        print("\n" + curves.published(folder, options.threads, options.round_seconds))
    print(f"\n{options.curves}: open it in a browser.")


if __name__ == "__main__":
    main()
