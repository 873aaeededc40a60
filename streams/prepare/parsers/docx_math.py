"""Office Math to one line of text: fractions with a slash, scripts with a caret or an underscore."""

from typing import Any

from lxml import etree

_SCRIPTS = {"sSup": ("{e}^{sup}"), "sSub": "{e}_{sub}", "sSubSup": "{e}_{sub}^{sup}", "f": "({num})/({den})"}
_SEPARATED = frozenset({"eqArr", "m"})


def math_text(element: Any) -> str:
    """Return an equation's words and signs on one line."""
    name = etree.QName(element).localname if isinstance(element.tag, str) else ""
    if name == "t":
        return element.text or ""
    if name in _SCRIPTS:
        parts = {etree.QName(child).localname: math_text(child) for child in element}
        return _SCRIPTS[name].format_map({"e": "", "sup": "", "sub": "", "num": "", "den": "", **parts})
    if name.endswith("Pr"):
        return _sign(element)
    return (" " if name in _SEPARATED else "").join(math_text(child) for child in element)


def _sign(properties: Any) -> str:
    """Return the operator of a sum or an integral; the delimiters around an expression are its own."""
    signs = [child for child in properties if etree.QName(child).localname == "chr"]
    return next((str(value) for sign in signs for value in sign.attrib.values()), "")
