"""The Jinja2 templates of the report; whatever is put into them is escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("msga_ros.evaluation"), autoescape=True, undefined=StrictUndefined
    )


def rendered(template: str, **values: object) -> str:
    """The template of this name in `templates`, filled in."""
    return _environment().get_template(template).render(**values)
