"""What an experiment with several bodies says of a card's claim, at the end of the card: made from its result file.

A card's command `python examples/claims.py NAME` names the file, examples/results/claims/NAME.json: for each contrast
what is compared, the mean difference with its 95% interval, the number of bodies, what could have been seen, and the
verdict (numbert/lab/effects.py). Where the package is installed without examples/, nothing is said.
"""
import re

from ..hub.errors import read_json
from .source import ROOT

RESULTS = ROOT / "examples" / "results" / "claims"
COMMAND = "python examples/claims.py "
WORDS = {
    "en": {"settled": "**Verdict** of `{}`; a body is one pre-training; mean difference, 95% interval:",
           "open": "**Not settled yet**: `{}` measures it with several bodies.",
           "line": "- {what}{claimed}: **{verdict}**, {mean} [{low}, {high}], {bodies} bodies; {seen} could have been "
                   "seen",
           "claimed": " (claimed: {})", "below": "less", "equal": "equal",
           "shown": "shown", "refuted": "refuted at this size", "undecided": "undecided"},
    "zh": {"settled": "**结论**，来自 `{}`，一个 body 就是一次预训练；平均差异和 95% 置信区间：",
           "open": "**还没有结论**：`{}` 用几个 body 来测。",
           "line": "- {what}{claimed}：**{verdict}**，{mean} [{low}, {high}]，{bodies} 个 body；"
                   "能看出的最小差异 {seen}",
           "claimed": "（说法：{}）", "below": "更低", "equal": "相等",
           "shown": "成立", "refuted": "对这么大的模型不成立", "undecided": "没有定论"}}
# How contrasts are called in Chinese: the first of these that fits. What is not here stays as it is.
CHINESE = {
    "labels to reach (\\d+%)": r"正确率达到 \1 所需的标注", "in doublings": "以翻倍次数计",
    "\\(of (\\d+) of (\\d+) bodies at least\\)": r"（\2 个 body 里有 \1 个是下限）",
    "each asked its own question": "各做自己的任务", "trained on (\\w+), asked (\\w+)": r"用 \1 训练、用 \2 测试",
    "(\\w+) asked (\\w+)": r"\1 模型做 \2", "(\\d+) labels": r"\1 个标注", "(\\d+) steps": r"\1 步",
    "rank after (\\d+) steps against before": r"倒数排名，\1 步之后对比之前",
    "rank after (\\d+) steps": r"倒数排名，\1 步之后", "tuned on English": "用英文微调",
    "from scratch": "从零训练", "pre-trained": "预训练", "fine-tuned": "微调", "frozen body": "冻结 body",
    "only \\[MASK\\]": "只用 [MASK]", "only random": "只用随机的词", "only kept": "只用保持不变的词",
    "the majority": "多数类", "majority": "多数类", "shuffled": "打乱权重", "same norms": "同范数的随机权重",
    "made up": "生成的序列", "real": "真实的序列", "nothing shared": "没有共用的词", "names shared": "共用人名",
    "runs hidden": "连续盖住", "single tokens hidden": "单独盖住", "untrained": "未训练", "gap": "差距",
    "nearest": "最近的句子", "as many steps": "步数相同", "as many guesses": "预测的 token 数相同",
    "answer in en": "英文问答", "answer in zh": "中文问答", "tag in en": "英文词性标注", "tag in zh": "中文词性标注",
    "classify": "情感分类", "infer": "自然语言推断", "tag": "词性标注", "answer": "问答", "against": "对比"}


def settled(entry, language):
    """The verdicts on what the card `entry` claims, in the marks of `markup`; "" where no claims.py tests it."""
    words, parts = WORDS[language], []
    for command in entry.commands if RESULTS.is_dir() else ():
        if command.startswith(COMMAND):
            path = RESULTS / f"{command.removeprefix(COMMAND)}.json"
            if path.exists():
                content = read_json(path)
                parts += [words["settled"].format(command), "\n".join(line(one, language) for one in
                                                                      content["contrasts"])]
            else:
                parts.append(words["open"].format(command))
    return "\n\n".join(parts)


def line(contrast, language):
    """One contrast of a result file."""
    words, claim = WORDS[language], contrast["claim"]
    mean, low, high = (f"{contrast[name]:+.3f}".replace("-", "−") for name in ("mean", "low", "high"))
    return words["line"].format(
        what=in_chinese(contrast["what"]) if language == "zh" else contrast["what"],
        claimed="" if claim == "above" else words["claimed"].format(words[claim]), verdict=words[contrast["verdict"]],
        mean=mean, low=low, high=high, bodies=contrast["bodies"], seen=f"{contrast['could_be_seen']:.3f}")


def in_chinese(what):
    """What is compared, in Chinese: its known phrases put into other words, with Chinese punctuation between them."""
    phrase = re.compile("|".join(rf"(?<!\w)(?:{one})(?!\w)" for one in CHINESE))

    def other(found):
        return next(re.sub(one, chinese, found[0]) for one, chinese in CHINESE.items() if re.fullmatch(one, found[0]))
    text = phrase.sub(other, what).replace(", ", "，")
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", text)
