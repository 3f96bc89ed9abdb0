"""The people, things and places of the toy world, with their names in English and in Chinese.

A thing is known by its English name everywhere in the code ("ball", "kitchen", "Anna"); these tables say
how each language writes it, and the few properties that the world's rules need: which places lie under the sky,
what can be eaten, which feelings are good.
A tag after a slash is the word's universal part of speech (UPOS, universaldependencies.org).
"""
from typing import NamedTuple

LANGUAGES = ("en", "zh")


class Person(NamedTuple):
    zh: str
    female: bool


class Place(NamedTuple):
    zh: str
    preposition: str    # in the kitchen, at the station
    localizer: str      # 厨房里, 海滩上
    outdoors: bool


class Thing(NamedTuple):
    zh: str
    classifier: str     # 一本书: the word that Chinese puts between a number and this noun
    past: str           # what one does with it: she "read" the book
    base: str           # and wants to do: she wanted to "read" the book
    zh_verb: str
    food: bool = False


class Circumstance(NamedTuple):
    """Something that can be good or bad: the soup was warm, the soup was cold."""
    zh: str
    good: str
    bad: str
    zh_good: str
    zh_bad: str


PEOPLE = {
    "Anna": Person("安娜", True), "Lucy": Person("露西", True), "Mary": Person("玛丽", True),
    "Amy": Person("艾米", True), "Lily": Person("莉莉", True), "Sara": Person("萨拉", True),
    "Helen": Person("海伦", True), "Emma": Person("爱玛", True), "Kate": Person("凯特", True),
    "Rose": Person("罗丝", True), "Nancy": Person("南希", True), "Linda": Person("琳达", True),
    "Tom": Person("汤姆", False), "David": Person("大卫", False), "Jack": Person("杰克", False),
    "Peter": Person("彼得", False), "Mark": Person("马克", False), "Paul": Person("保罗", False),
    "George": Person("乔治", False), "John": Person("约翰", False), "Henry": Person("亨利", False),
    "Bill": Person("比尔", False), "Frank": Person("弗兰克", False), "Sam": Person("山姆", False),
}

PLACES = {
    "kitchen": Place("厨房", "in", "里", False), "bedroom": Place("卧室", "in", "里", False),
    "school": Place("学校", "at", "里", False), "office": Place("办公室", "in", "里", False),
    "library": Place("图书馆", "in", "里", False), "shop": Place("商店", "in", "里", False),
    "museum": Place("博物馆", "in", "里", False), "hall": Place("大厅", "in", "里", False),
    "garden": Place("花园", "in", "里", True), "park": Place("公园", "in", "里", True),
    "market": Place("市场", "at", "上", True), "beach": Place("海滩", "on", "上", True),
    "station": Place("车站", "at", "里", True), "forest": Place("森林", "in", "里", True),
    "farm": Place("农场", "on", "里", True), "square": Place("广场", "in", "上", True),
}

THINGS = {
    "book": Thing("书", "本", "read", "read", "看"),
    "letter": Thing("信", "封", "read", "read", "看"),
    "map": Thing("地图", "张", "studied", "study", "研究"),
    "ball": Thing("球", "个", "played with", "play with", "玩"),
    "doll": Thing("娃娃", "个", "played with", "play with", "玩"),
    "toy": Thing("玩具", "件", "played with", "play with", "玩"),
    "kite": Thing("风筝", "只", "flew", "fly", "放"),
    "watch": Thing("手表", "块", "looked at", "look at", "看"),
    "clock": Thing("钟", "个", "repaired", "repair", "修理"),
    "light": Thing("灯", "盏", "turned on", "turn on", "打开"),
    "candle": Thing("蜡烛", "根", "lit", "light", "点亮"),
    "phone": Thing("手机", "部", "used", "use", "用"),
    "camera": Thing("相机", "台", "used", "use", "用"),
    "saw": Thing("锯子", "把", "used", "use", "用"),
    "hammer": Thing("锤子", "把", "used", "use", "用"),
    "pen": Thing("笔", "支", "wrote with", "write with", "用"),
    "key": Thing("钥匙", "把", "cleaned", "clean", "擦"),
    "mirror": Thing("镜子", "面", "cleaned", "clean", "擦"),
    "cup": Thing("杯子", "个", "washed", "wash", "洗"),
    "plate": Thing("盘子", "个", "washed", "wash", "洗"),
    "hat": Thing("帽子", "顶", "tried on", "try on", "试戴"),
    "scarf": Thing("围巾", "条", "tried on", "try on", "试戴"),
    "coat": Thing("大衣", "件", "tried on", "try on", "试穿"),
    "umbrella": Thing("雨伞", "把", "opened", "open", "打开"),
    "bag": Thing("包", "个", "opened", "open", "打开"),
    "box": Thing("盒子", "个", "opened", "open", "打开"),
    "present": Thing("礼物", "份", "opened", "open", "打开"),
    "rose": Thing("玫瑰", "朵", "smelled", "smell", "闻"),
    "flower": Thing("花", "朵", "smelled", "smell", "闻"),
    "drum": Thing("鼓", "面", "played", "play", "敲"),
    "guitar": Thing("吉他", "把", "played", "play", "弹"),
    "violin": Thing("小提琴", "把", "played", "play", "拉"),
    "picture": Thing("画", "幅", "looked at", "look at", "看"),
    "blanket": Thing("毯子", "条", "folded", "fold", "叠"),
    "apple": Thing("苹果", "个", "ate", "eat", "吃", food=True),
    "orange": Thing("橙子", "个", "ate", "eat", "吃", food=True),
    "banana": Thing("香蕉", "根", "ate", "eat", "吃", food=True),
    "pear": Thing("梨", "个", "ate", "eat", "吃", food=True),
    "cake": Thing("蛋糕", "块", "ate", "eat", "吃", food=True),
    "pie": Thing("馅饼", "块", "ate", "eat", "吃", food=True),
    "egg": Thing("鸡蛋", "个", "ate", "eat", "吃", food=True),
    "sandwich": Thing("三明治", "个", "ate", "eat", "吃", food=True),
}

COLOURS = {
    "red": "红色", "blue": "蓝色", "green": "绿色", "yellow": "黄色", "white": "白色",
    "black": "黑色", "orange": "橙色", "brown": "棕色", "grey": "灰色", "pink": "粉色",
}

GOOD_FEELINGS = {
    "happy": "高兴", "glad": "开心", "pleased": "满意", "cheerful": "快乐", "proud": "自豪", "calm": "平静",
    "hopeful": "乐观", "relaxed": "轻松",
}
BAD_FEELINGS = {
    "sad": "难过", "angry": "生气", "upset": "伤心", "worried": "担心", "afraid": "害怕", "lonely": "孤独",
    "nervous": "紧张", "bored": "无聊",
}
FEELINGS = GOOD_FEELINGS | BAD_FEELINGS

# How much: the English and the Chinese words before a feeling. Those in DENIALS turn it into its opposite.
DEGREES = {
    "plain": ("", "很/ADV"),
    "very": ("very/ADV", "非常/ADV"),
    "quite": ("quite/ADV", "相当/ADV"),
    "not": ("not/PART", "不/ADV"),
    "no longer": ("no/ADV longer/ADV", "不再/ADV"),
    "not at all": ("not/PART at/ADP all/DET", "一点/NOUN 也/ADV 不/ADV"),
}
DENIALS = ("not", "no longer", "not at all")
AFFIRMATIONS = ("plain", "very", "quite")

CIRCUMSTANCES = {
    "soup": Circumstance("汤", "warm", "cold", "热", "凉"),
    "tea": Circumstance("茶", "hot", "cold", "热", "凉"),
    "coffee": Circumstance("咖啡", "sweet", "bitter", "甜", "苦"),
    "bread": Circumstance("面包", "fresh", "dry", "新鲜", "干"),
    "play": Circumstance("戏", "good", "bad", "好", "差"),
    "film": Circumstance("电影", "funny", "boring", "有趣", "无趣"),
    "game": Circumstance("比赛", "exciting", "boring", "精彩", "无趣"),
    "song": Circumstance("歌", "lovely", "terrible", "好听", "难听"),
    "news": Circumstance("消息", "good", "bad", "好", "坏"),
    "weather": Circumstance("天气", "fine", "terrible", "好", "差"),
    "room": Circumstance("房间", "clean", "dirty", "干净", "脏"),
    "water": Circumstance("水", "clear", "dirty", "清", "脏"),
    "street": Circumstance("街道", "quiet", "noisy", "安静", "吵"),
    "road": Circumstance("路", "short", "long", "短", "长"),
    "luggage": Circumstance("行李", "light", "heavy", "轻", "重"),
    "test": Circumstance("考试", "easy", "hard", "容易", "难"),
    "homework": Circumstance("作业", "easy", "difficult", "容易", "难"),
    "bed": Circumstance("床", "soft", "hard", "软", "硬"),
    "bus": Circumstance("公共汽车", "early", "late", "早", "晚"),
    "teacher": Circumstance("老师", "kind", "strict", "和善", "严厉"),
    "dinner": Circumstance("晚饭", "delicious", "awful", "好吃", "难吃"),
    "party": Circumstance("聚会", "great", "awful", "好", "差"),
}

# What may stand before a sentence: the times of a day in their order, and words that lead on.
TIMES = {
    "morning": ("in/ADP the/DET morning/NOUN", "早上/NOUN"),
    "noon": ("at/ADP noon/NOUN", "中午/NOUN"),
    "afternoon": ("in/ADP the/DET afternoon/NOUN", "下午/NOUN"),
    "evening": ("in/ADP the/DET evening/NOUN", "傍晚/NOUN"),
    "night": ("at/ADP night/NOUN", "夜里/NOUN"),
}
LINKS = {
    "then": ("then/ADV", "然后/ADV"),
    "later": ("later/ADV", "后来/NOUN"),
    "after that": ("after/ADP that/PRON", "之后/ADP"),
    "so": ("so/ADV", "于是/CCONJ"),
    "in the end": ("in/ADP the/DET end/NOUN", "最后/NOUN"),
}

# The states of a body that a story tells of, as adjectives: (if true, if false).
STATES = {
    "wet": ("wet", "dry"),
    "hungry": ("hungry", "full"),
    "tired": ("tired", "rested"),
}
ZH_STATES = {"wet": "湿", "dry": "干", "hungry": "饿", "full": "饱", "tired": "累", "rested": "精神"}
