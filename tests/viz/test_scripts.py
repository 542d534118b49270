"""The script of a page has the words of its modules, and none of their imports and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from graftwork.viz.scripts import CORE, KINDS, script_text

BLANK = re.compile(r"(?:\s|//.*\n|/\*.*?\*/)*")
WORD = re.compile(r"[\w$]+|[+-]+|[^\w\s]")
STRING = re.compile(r'"(?:\\.|[^\\"\n])*"')
PATTERN = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/")
TEMPLATE = re.compile(r"[`}](?:\\.|\$(?!\{)|[^\\`$])*(?:`|\$\{)")
VALUE = re.compile(r"(?!return$)[\w$]+|.*[)\]}\"`]$")
IMPORT = re.compile(r'import\n\{\n[^}]*\}\nfrom\n"\S+"\n;\n|^export\n', re.MULTILINE)


def words(script: str) -> Iterator[str]:
    """Names, signs, and literals as they are, read as a browser reads them."""
    last, braces = ";", [False]
    at = end_of(BLANK, script, 0)
    while at < len(script):
        sign = script[at]
        if sign == "`" or (sign == "}" and braces[-1]):
            form = TEMPLATE
        elif sign == "/" and not VALUE.match(last):
            form = PATTERN
        else:
            form = STRING if sign == '"' else WORD
        last = script[at : end_of(form, script, at)]
        if sign == "}":
            braces.pop()
        if last.endswith("{"):
            braces.append(form is TEMPLATE)
        yield last
        at = end_of(BLANK, script, at + len(last))


def end_of(form: re.Pattern[str], script: str, start: int) -> int:
    found = form.match(script, start)
    assert found, script[start : start + 80]
    return found.end()


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_has_the_words_of_its_modules(kind: str) -> None:
    wanted: list[str] = []
    for name in (*CORE.scripts, *KINDS[kind].scripts, "start"):
        text = (files("graftwork.viz") / "assets" / f"{name}.js").read_text("utf-8")
        module = list(words(text))
        kept = IMPORT.sub("", "\n".join(module)).split("\n")
        wanted += kept if "export" in module else ["{", *kept, "}"]
    assert list(words(script_text([kind]))) == wanted
