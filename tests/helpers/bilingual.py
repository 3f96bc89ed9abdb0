"""Texts in two languages: that both have the same numbers, and what is wrong with the Chinese one: half-width
punctuation, traditional characters, words that mean something else."""
import re
from collections import Counter

# Mistranslations that have stood somewhere, or are of the same kind, and what is meant.
BANNED = dict(pair.split("→") for pair in """
    遮住→盖住 遮盖→盖住 遮蔽→盖住 掩盖→盖住 只遮→只盖住 掩码→mask 逐字标注→序列标注 推论→自然语言推断
    离散程度→标准差 波动的→标准差 同义句→意思相同的句子 异义句→意思不同的句子 瞎猜→随机猜 资料→数据
    印出→打印 打平→差异不显著 超过运气→差异显著 走运→偶然 往前看→看到自己和左边的 所以能写→所以能生成文本
    整行的句子→连续的完整句子 整排的句子→连续的完整句子 位置向量表→position 梯度的长度→范数 向量的长度→范数
    词表收到→词嵌入矩阵收到 差距差异→差异 机率→概率 几率→概率 函数库→库 留言→评论 拷贝→副本 程式→程序
    函式→函数 变数→变量 阵列→数组 网路→网络 软体→软件 档案→文件 讯息→消息 记忆体→内存 演算法→算法
    回圈→循环 字元→字符 字串→字符串 评量→衡量
""".split())
RATIOS = r"[+−-] ?\d[\d.]* ?倍|高出 ?[\d.]+ ?倍|[快慢] ?[\d.]+ ?倍"     # of standard deviations; "as fast as"
HAN = r"[\u3400-\u9fff]"
HALF = rf"{HAN}[,;:?!()]|[,;:?!()]{HAN}|{HAN}\.(?![\w/])|{HAN} ?\.\.\."
TRADITIONAL = set(
    "學習個為這說對關應該會過還後來時間們與從東車長門開電點無當樣種經總統體變讓認識詞語訓練資訊輸層數據"
    "庫標註測試實驗類別圖網絡權項單雙發現問題選錯誤進並將兩邊較難簡複雜頭書寫讀聽見頁號碼組織優義務張機構"
    "預報設計產業極導師歸納")

UNITS = {"billion": 1e9, "million": 1e6, "亿": 1e8, "万": 1e4}


def numbers(text):
    """The numbers of a text, and the facts that it takes from the run, however a language writes them."""
    text = re.sub(r"`[^`]*`", " ", text)
    found = Counter(re.findall(r"\{\w+[^}]*\}", text))
    text = re.sub(r"\{[^}]*\}", " ", text)
    for digits, unit in re.findall(r"(\d[\d,]*(?:\.\d+)?)\s*(billion|million|亿|万)?", text):
        found[float(f"{float(digits.replace(',', '')) * UNITS.get(unit, 1):.12g}")] += 1
    return found


def prose(text):
    """A Markdown text without its code, the targets of its links, and its HTML."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = re.sub(r"^    .*$", " ", text, flags=re.M)
    text = re.sub(r"`[^`\n]*`", "x", text)
    text = re.sub(r"\$[^$\n]*\$|\{\w+[^}]*\}", "0", text)
    return re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)


def mistakes(text):
    text = prose(text)
    found = [f"{word} -> {meant}" for word, meant in BANNED.items() if word in text.replace("打印", "")]
    found += [f"{text[max(0, m.start() - 8):m.end() + 8]!r}: full-width punctuation" for m in re.finditer(HALF, text)]
    found += [f"{m[0]}: not a ratio" for m in re.finditer(RATIOS, text)]
    return found + [f"{char} is not simplified" for char in sorted(set(text) & TRADITIONAL)]
