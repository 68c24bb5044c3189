"""The expressions that a bundle may write without being trusted: a closed grammar, checked and never evaluated.

```
expr := atom | expr ("+"|"-"|"*"|"/"|"//") expr | "not" expr | "-" expr | expr "if" expr "else" expr
      | "len(" REF ")" | REF ".run()" | REF ".parameters()"
atom := REF | number | string (only in a sum) | True | False | None
```

REF is MONAI's reference, ``@train#dataset#data``. What is parsed here is the very text that MONAI hands to `eval`, with
MONAI's own substitution of the references, so that nothing can mean one thing here and another one there. The grammar
stops code, not waste: ``@a * @b`` may still be a long list.
"""

from __future__ import annotations

import ast

from monai.bundle import ReferenceResolver

LONGEST = 500
"""Characters of an expression, references substituted."""
DEEPEST = 40
"""Nested operations."""

_REFERENCES = ReferenceResolver._vars  # MONAI evaluates ``@a`` as ``__local_refs['a']``
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)


class _Refused(Exception):
    """The message is the reason."""


def why_refused(expression: str) -> str:
    """Return why ``expression`` (with its ``$``) lies outside the grammar, or an empty string where it lies inside."""
    if len(expression) > LONGEST:
        return f"longer than {LONGEST} characters"
    references = ReferenceResolver.match_refs_pattern(expression)
    text = ReferenceResolver.update_refs_pattern(expression, dict.fromkeys(references))
    try:
        body = ast.parse(text[1:], mode="eval").body
        # A lone string needs no "$", so a string is let in only where everything above it is a sum.
        _check(body, in_sum=isinstance(body, ast.BinOp))
    except _Refused as refusal:
        return str(refusal)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "an import, or not an expression at all"
    written = sum(isinstance(node, ast.Name) and node.id == _REFERENCES for node in ast.walk(body))
    if written != sum(references.values()):
        return f"{_REFERENCES} is MONAI's own name: write @id"
    return ""


def _check(node: ast.expr, *, in_sum: bool, depth: int = 0) -> None:
    """Raise `_Refused` unless ``node`` and all below it are in the grammar."""
    if depth > DEEPEST:
        raise _Refused(f"more than {DEEPEST} operations deep")
    match node:
        case ast.Constant(value=str(text)):
            if not in_sum:
                raise _Refused("a string may only be added")
            if _REFERENCES in text:
                raise _Refused("a reference inside a string")
        case ast.Constant(value=bool() | int() | float() | None):
            pass
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _OPERATORS):
            in_sum = in_sum and isinstance(operator, ast.Add)
            _check(left, in_sum=in_sum, depth=depth + 1)
            _check(right, in_sum=in_sum, depth=depth + 1)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            _check(operand, in_sum=False, depth=depth + 1)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            for part in (test, body, orelse):
                _check(part, in_sum=False, depth=depth + 1)
        case ast.Call(func=ast.Name(id="len"), args=[argument], keywords=[]) if _is_reference(argument):
            pass
        case ast.Call(func=ast.Attribute(value=owner, attr="run" | "parameters"), args=[], keywords=[]) if (
            _is_reference(owner)
        ):
            pass
        case _ if _is_reference(node):
            pass
        case _:
            raise _Refused(f"{type(node).__name__} is not in the grammar of trusted expressions")


def _is_reference(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
            return name == _REFERENCES
    return False
