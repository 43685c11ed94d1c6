"""The page as HTML: one file with its styles, its script and its pictures in it.

A content security policy in the page allows its own script by hash and no connection at all, so
that names of zoos, however hostile, are text and nothing else.
"""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sweeps.page.page import Page
from sweeps.page.palette import COLOURS, heat_colours

TEMPLATE, STYLES, SCRIPT = "page.html.j2", "page.css", "page.js"


def render(page: Page) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=PackageLoader("sweeps.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    styles = "\n".join([*_colours(), _asset(STYLES)])
    return environment.get_template(TEMPLATE).render(
        page=page,
        steps=range(len(heat_colours())),
        styles=Markup(styles),
        script=Markup(_asset(SCRIPT)),
        policy=_policy(_asset(SCRIPT)),
    )


def _colours() -> Iterator[str]:
    yield ":root {"
    for name, (light, dark) in COLOURS.items():
        yield f"  --{name}: light-dark({light}, {dark});"
    for step, (light, dark) in enumerate(heat_colours()):
        yield f"  --heat-{step}: light-dark({light}, {dark});"
    yield "}"
    for step in range(len(heat_colours())):
        yield f".h{step} {{ --heat: var(--heat-{step}); }}"


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
