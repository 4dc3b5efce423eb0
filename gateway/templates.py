"""Path templates, `/medical/settlements/{settlement_id}`: one grammar for the edge's operations and the inner routes.

configuration/policy_rules.py and ferry/inner_settings.py check with it; ferry/inner_routes.py writes paths from it.
"""

import re

# What inbound.py lets stand in a path, and no more: a template that no request can have is a mistake.
_ESCAPE = r"%(?:2[0-46-9A-C]|3[AC-F]|40|5[BDE]|60|7[B-D]|[89A-F][0-9A-F])"
_LITERAL = rf"(?!\.{{1,2}}(?:/|\Z))(?:[A-Za-z0-9._~!$&'()*+,=:@-]|{_ESCAPE})+"
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TEMPLATE = re.compile(rf"/|(?:/(?:{_LITERAL}|\{{[A-Za-z_][A-Za-z0-9_]*\}}))+")


def check_template(path: str) -> None:
    """Check that a path is made of whole segments, each plain (RFC 3986 §3.3, no `;`) or one parameter in braces.

    Raises:
        ValueError: it is not, or names a parameter twice.
    """
    if not _TEMPLATE.fullmatch(path):
        raise ValueError(f"{path!r} is no path template; write /segment/{{name}}, whole segments, no slash at the end")
    names = parameters(path)
    if len(set(names)) < len(names):
        raise ValueError(f"{path!r} names a parameter twice")


def parameters(path: str) -> list[str]:
    """Names of the parameters, in their order."""
    return _PARAMETER.findall(path) if "{" in path else []


def literals(path: str) -> list[str]:
    """What stands before, between and behind the parameters: one more than there are parameters."""
    return _PARAMETER.split(path)[::2]


def shape(path: str) -> str:
    """The template without the names of its parameters: two of one shape answer to the same paths."""
    return "{}".join(literals(path)) if "{" in path else path
