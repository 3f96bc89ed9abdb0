"""A formula, written as a Python expression, as MathML.

    D(L, z[i]) == p[i] - y[i]          ∂L/∂zᵢ = pᵢ - yᵢ

`/` is a fraction, `**` a power, `x[i]` an index, `@` and `*` a product, `x.T` a transpose, `==` equality. Functions
with a form of their own: D (a partial derivative), sum(i, x), sqrt, exp, hat, bar, of (brackets); every other is
written as it is called.
"""
import ast
from html import escape

ORDER = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.MatMult: 2, ast.Div: 3, ast.Pow: 4}
SIGNS = {ast.Eq: "=", ast.Lt: "&lt;", ast.LtE: "≤", ast.Gt: "&gt;", ast.GtE: "≥", ast.NotEq: "≠"}


def mathml(text):
    """The <math> element of a formula. SyntaxError for what is no expression, ValueError for one of another kind."""
    return f"<math>{_row(ast.parse(text, mode='eval').body)}</math>"


def _row(node):
    return f"<mrow>{_made(node)}</mrow>"


def _op(sign):
    return f"<mo>{sign}</mo>"


def _paren(inside):
    return f"{_op('(')}{inside}{_op(')')}"


def _below(node, level):
    """In brackets where its own operator binds less than `level`."""
    binds = ORDER[type(node.op)] if isinstance(node, ast.BinOp) else 1 if isinstance(node, ast.UnaryOp) else 5
    return _paren(_made(node)) if binds < level else _made(node)


def _made(node):
    match node:
        case ast.Name(name):
            return f"<mi>{escape(name)}</mi>"
        case ast.Constant(int() | float() as value):
            return f"<mn>{value:g}</mn>"
        case ast.Constant(str() as value):
            return f"<mtext>{escape(value)}</mtext>"
        case ast.Compare(left, signs, rights):
            return _made(left) + "".join(_op(SIGNS[type(s)]) + _made(r) for s, r in zip(signs, rights, strict=True))
        case ast.UnaryOp(ast.USub(), x):
            return _op("−") + _below(x, 2)
        case ast.BinOp(a, ast.Add(), b):
            return _made(a) + _op("+") + _made(b)
        case ast.BinOp(a, ast.Sub(), b):
            return _made(a) + _op("−") + _below(b, 2)
        case ast.BinOp(a, ast.Mult(), b):
            return _below(a, 2) + _op("·") + _below(b, 2)
        case ast.BinOp(a, ast.MatMult(), b):
            return _below(a, 2) + "<mspace width='.15em'/>" + _below(b, 2)
        case ast.BinOp(a, ast.Div(), b):
            return f"<mfrac>{_row(a)}{_row(b)}</mfrac>"
        case ast.BinOp(a, ast.Pow(), b):
            return f"<msup><mrow>{_below(a, 5)}</mrow>{_row(b)}</msup>"
        case ast.Subscript(x, ast.Tuple(parts)):
            return f"<msub>{_row(x)}<mrow>{''.join(map(_made, parts))}</mrow></msub>"
        case ast.Subscript(x, index):
            return f"<msub>{_row(x)}{_row(index)}</msub>"
        case ast.Attribute(x, "T"):
            return f"<msup><mrow>{_below(x, 5)}</mrow><mi>⊤</mi></msup>"
        case ast.Tuple(parts):
            return _op(",").join(map(_made, parts))
        case ast.Call(ast.Name(name), parts):
            return _called(name, parts)
    raise ValueError(f"a formula has no {ast.unparse(node)!r}")


def _called(name, parts):
    match name, parts:
        case "D", [a, b]:
            return f"<mfrac><mrow>{_op('∂')}{_made(a)}</mrow><mrow>{_op('∂')}{_made(b)}</mrow></mfrac>"
        case "sum", [index, x]:
            return f"<munder>{_op('∑')}{_row(index)}</munder>{_below(x, 2)}"
        case "sqrt", [x]:
            return f"<msqrt>{_made(x)}</msqrt>"
        case "exp", [x]:
            return f"<msup><mi>e</mi>{_row(x)}</msup>"
        case ("hat" | "bar"), [x]:
            return f"<mover>{_row(x)}{_op('^' if name == 'hat' else '¯')}</mover>"
        case "of", [x]:
            return _paren(_made(x))
    return f"<mi mathvariant='normal'>{escape(name)}</mi>{_paren(_op(',').join(map(_made, parts)))}"
