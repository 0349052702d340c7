"""Make the pages of rq-dashboard show hostile names and values as text, and run no scripts but its own."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import rq_dashboard
from flask import Flask, Response, g
from jinja2 import Environment, FileSystemLoader

from pipeline.startup.listening import nonce_header

# Underscore compiles its templates, which needs 'unsafe-eval'. All scripts need the nonce of the page.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

# Matches a template's value in a script, with the quotes around it.
_VALUE = re.compile(r"""(?P<quote>['"]?)\{\{\s*(?P<value>[\w.]+)(?:\s*\|\s*tojson\s*\|\s*safe)?\s*\}\}(?P=quote)""")


def protect_pages(app: Flask) -> None:
    """Escape every value of every page of *app*, and let browsers run only the scripts of these pages."""
    app.jinja_loader = _EscapingTemplates(Path(rq_dashboard.__file__).parent / "templates")
    app.before_request(_make_nonce)
    app.after_request(_add_headers)


class _EscapingTemplates(FileSystemLoader):
    """The dashboard's templates, with every value escaped and the page's nonce on every script."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_current = super().get_source(environment, template)
        source = re.sub(r"<%= \$\('<div/>'\)\.text\(([^%\n]+?)\)\.html\(\) %>", r"<%- \1 %>", source)
        if template.endswith(".js"):
            # Flask escapes nothing in a .js template, and its text becomes a script of the page.
            source = _VALUE.sub(r"{{ \g<value>|tojson }}", source)
        source = source.replace("<%=", "<%-").replace("<script ", '<script nonce="{{ g.nonce }}" ')
        return source, path, is_current


def _make_nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=g.get("nonce", "none"))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.update(nonce_header())
    return response
