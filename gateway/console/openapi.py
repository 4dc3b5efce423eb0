"""The description of the JSON API (OpenAPI 3.1), made of the table of operations and of its models."""

from importlib.metadata import version
from typing import Any

from gateway.console.operations import Operation, SessionCall
from gateway.console.session import COOKIE
from gateway.identity.cross_site import TOKEN_FIELD
from gateway.openapi import PROBLEM, answer, parameter, path_parameters, query_parameters, refusals, request_body

_REFUSALS = {
    "400": "the request is not well formed",
    "401": "nobody has signed in completely",
    "403": "the post does not have this power, or not in this region",
    "409": "something must be done first, or somebody else was faster",
    "422": "fields cannot be taken; nothing was saved",
    "503": "the ledger cannot be asked now; nothing was saved",
}


def describe(operations: tuple[Operation, ...], calls: tuple[SessionCall, ...] = ()) -> dict[str, Any]:
    """The whole description, plain data."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    described: tuple[Operation | SessionCall, ...] = (*calls, *operations)
    for one in described:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one, schemas) | _needs(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "通关后台 · Tongguan back office", "version": version("tongguan")},
        "servers": [{"url": "/api"}],
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}},
        },
    }


def _described(one: Operation | SessionCall, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": " · ".join(one.title),
        "responses": {str(one.status): answer(one.result, schemas)} | refusals(_REFUSALS),
    }
    parameters = path_parameters(one.path)
    if one.input is not None and one.method == "GET":
        parameters += query_parameters(one.input)
    elif one.input is not None:
        described["requestBody"] = request_body(one.input, schemas)
    if one.method != "GET" and (isinstance(one, Operation) or one.token):
        parameters.append(parameter("header", TOKEN_FIELD.decode(), {"type": "string"}))
    return described | ({"parameters": parameters} if parameters else {})


def _needs(one: Operation | SessionCall) -> dict[str, Any]:
    if isinstance(one, Operation):
        return {"description": f"needs `{one.power}`"}
    if one.token:
        return {"description": "needs a session"}
    return {"description": "begins a session", "security": []}
