"""Reading a pickle without running it.

A pickle is a program for a small stack machine. Python's own machine can call any function the program names,
so loading a pickle from others is running their program. The state dict of a model needs few of the
instructions. This machine knows only those, and it calls nothing: a name becomes a `Global`, a call a
`Call(function, arguments)` that the reader interprets.

For `{"bias": f(2)}` with f from module m, the stack grows to the right:

    EMPTY_DICT           {}
    BINUNICODE 'bias'    {}  'bias'
    GLOBAL 'm f'         {}  'bias'  Global('m.f')
    BININT1 2            {}  'bias'  Global('m.f')  2
    TUPLE1               {}  'bias'  Global('m.f')  (2,)
    REDUCE               {}  'bias'  Call(Global('m.f'), (2,))
    SETITEM              {'bias': Call(...)}
    STOP

MARK begins a stack on top of the stack, for instructions that take any number of values (TUPLE, SETITEMS, APPENDS).
PUT and GET copy the top of the stack to a numbered place and back. Source: Python's pickletools module, which lists
every instruction and also cuts the bytes into instructions here.
"""
import pickletools
from typing import Any, NamedTuple

from .errors import CheckpointError, quoted

MAX_STEPS = 250_000  # a tensor takes about 35; bounds time and memory, for one byte can make an object of 64


class Global(NamedTuple):
    """A function or class that the pickle names, "module.name"."""
    name: str


class Call(NamedTuple):
    """A call that the pickle asks for."""
    function: Global
    arguments: tuple


class Persistent(NamedTuple):
    """Something that is stored outside the pickle, under `key`."""
    key: Any


def unpickle(file, path, known=frozenset()):
    """What the pickle at the position of `file` describes: dict, list, tuple, str, int, float, bool, None, and the
    three classes above. `file` is left behind the pickle; its read(n) must not allocate what n claims (mmap, BytesIO).

    A name outside `known` is refused as soon as it is named, and so is every instruction that a state dict does not
    need. An OrderedDict becomes a dict; attributes set on a dict (torch's `_metadata`) are dropped.
    Raises CheckpointError with the entry that was being read, where there is one.
    """
    levels = [[]]  # the stack; MARK adds a level
    try:
        return _run(file, known, levels)
    except IndexError:  # from an empty stack
        problem = "an instruction lacks its operands"
    except ValueError as error:  # of pickletools about damaged bytes, or from below
        problem = " ".join(str(error).split())
    raise CheckpointError(path, f"pickle refused before byte {file.tell()}: {problem}", _entry(levels)) from None


def _run(file, known, levels):
    memo = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step == MAX_STEPS:
            raise ValueError(f"more than {MAX_STEPS:,} instructions")
        stack = levels[-1]
        match opcode.name:
            case "PROTO":
                if argument > 5:
                    raise ValueError(f"unknown protocol {argument}")
            case "FRAME":  # how far one may read ahead
                pass
            case "STOP":
                return stack.pop()

            case "NONE":
                stack.append(None)
            case "NEWTRUE":
                stack.append(True)
            case "NEWFALSE":
                stack.append(False)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})

            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                if argument not in memo:
                    raise ValueError(f"nothing was put at place {argument}")
                stack.append(memo[argument])

            case "MARK":
                levels.append([])
            case "TUPLE":
                values = _pop_level(levels)
                levels[-1].append(tuple(values))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                values = [stack.pop() for _ in range(int(opcode.name[-1]))]
                stack.append(tuple(reversed(values)))
            case "APPEND":
                _extend(stack, [stack.pop()])
            case "APPENDS":
                values = _pop_level(levels)
                _extend(levels[-1], values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _update(stack, [key, value])
            case "SETITEMS":
                values = _pop_level(levels)
                _update(levels[-1], values)

            case "GLOBAL":
                stack.append(_global(argument.replace(" ", "."), known))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                if type(name) is not str or type(module) is not str:
                    raise ValueError("a name that is not text")
                stack.append(_global(f"{module}.{name}", known))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                if type(function) is not Global or type(arguments) is not tuple:
                    raise ValueError(f"would call a {type(function).__name__}")
                empty = function.name == "collections.OrderedDict" and not arguments
                stack.append({} if empty else Call(function, arguments))
            case "BINPERSID":
                stack.append(Persistent(stack.pop()))
            case "BUILD":  # attributes for the object below
                stack.pop()
                if type(stack[-1]) is not dict:
                    raise ValueError(f"sets attributes of a {type(stack[-1]).__name__}")

            case other:
                raise ValueError(f"instruction {other} has no place in a state dict")


def _global(name, known):
    if name not in known:
        raise ValueError(f"names {quoted(name)}, which is no part of a state dict")
    return Global(name)


def _pop_level(levels):
    """The values since the last MARK, which is taken away."""
    if len(levels) == 1:
        raise IndexError
    return levels.pop()


def _update(stack, values):
    """SETITEMS: `values` are key, value, key, value ... for the dict on top of `stack`."""
    settings = stack[-1]
    if type(settings) is not dict or len(values) % 2:
        raise ValueError("items without a dict")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if type(key) is not str:  # also: a tuple nested deep enough crashes hash(), chosen integers all collide
            raise ValueError(f"a key of type {type(key).__name__}")
        if key in settings:
            raise ValueError(f"key {quoted(key)} comes twice")
        settings[key] = value


def _extend(stack, values):
    if type(stack[-1]) is not list:
        raise ValueError("values without a list")
    stack[-1].extend(values)


def _entry(levels):
    """The key in the outermost dict whose value was being read; that dict's keys stand in the lowest levels."""
    texts = (value for level in levels[:2] for value in reversed(level) if type(value) is str)
    return next(texts, None)
