"""One self-contained HTML document: everything inlined, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

_SLOT = re.compile(r"\{\{(\w+)\}\}")
# A script's text ends at `</script`, and `<!--` changes how it is read; line separators end a line of JavaScript.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED = re.compile("[<>&\u2028\u2029]")


@cache
def asset(name: str) -> str:
    """The text of a file in the package's `assets`."""
    return (resources.files("harness.report") / "assets" / name).read_text("utf-8")


@cache
def vendored(name: str) -> str:
    """The text of a file in the package's `vendor`."""
    return (resources.files("harness.report") / "vendor" / name).read_text("utf-8")


def json_for_script(text: str) -> str:
    """JSON that can stand inside a script element: the same value, without a character that HTML would act on."""
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text)


def document(*, title: str, body: str, styles: Sequence[str], scripts: Sequence[str], data: str = "") -> str:
    """A page from its parts. `body` is HTML already escaped; `data` is JSON for `#model`, escaped here.

    The Content-Security-Policy allows these very styles and scripts by their hashes, and nothing from anywhere.
    """
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": html.escape(policy, quote=False),
        "title": html.escape(title),
        "styles": "\n".join(f"<style>{style}</style>" for style in styles),
        "body": body,
        "data": f'<script type="application/json" id="model">{json_for_script(data)}</script>' if data else "",
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _SLOT.sub(lambda match: parts[match[1]], asset("document.html"))


def _hashes(texts: Sequence[str]) -> str:
    """The source list for inline texts: their SHA-256 hashes (Content Security Policy Level 3, 6.7.2.3)."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
