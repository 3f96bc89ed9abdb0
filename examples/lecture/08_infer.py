"""Natural language inference: does the second text follow from the first, contradict it, or neither?

    python examples/lecture/08_infer.py                  about two minutes: pre-trains on toy stories, then fine-tunes
    python examples/lecture/08_infer.py --examples 5000  more labelled examples
    python examples/lecture/08_infer.py --language zh    the same world in Chinese

Two texts go in with [SEP] between them, one of three classes comes out of [CLS]. The stance of a comment towards an
article (agrees, denies, asks, only comments) is the same head with an article and a comment for the two texts.
Source: Devlin et al. 2019, section 4.1 and figure 4a.
"""
from numbert import AutoTokenizer
from numbert.lab import comparison as toy
from numbert.lab import laboratory
from numbert.lab.toy_tasks import toy_task
from numbert.tasks.classification import classify


def main(argv=None):
    laboratory.start(inference, toy.arguments(__doc__, name="infer"), argv)


# %% The task: the beginning of a story, and a statement about where things stand at its end
# The statement uses only words of the story, whatever its label, and one in four is denied, whatever its label: it must
# be read together with the story.


def inference(options, workers):
    folder = toy.body(options, workers)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    splits = toy.splits("infer", options)
    task = toy_task("infer", splits, tokenizer, laboratory.settings(options), workers)

    # %% The comparison: pre-trained and from scratch, the same examples, the same settings
    runs = toy.compare(task, folder, tokenizer, options, workers)

    # %% A look at single answers
    print("\nWhat the best model says:")
    for story, statement, label in splits[2][:5]:
        answer, share = next(iter(classify(runs["pre-trained"].model, tokenizer, story, statement).items()))
        print(f"  {story}\n    {statement}  {answer} {share:.0%}{'' if answer == label else f'  (WRONG: {label})'}")
    print("""
Look at the epochs above: where the loss falls and the accuracy on other examples stays, the model memorises. And
look at the wrong answers: is there a "not" in the statement? A model that has learnt from masked words guesses the same
word behind "is" and behind "is not". Try next: --examples 5000, --pretraining-steps 10000, and your own articles and
comments, as pairs, for stance.""")


if __name__ == "__main__":
    main()
