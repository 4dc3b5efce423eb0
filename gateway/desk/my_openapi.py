"""The description of the self-service API (OpenAPI 3.1), made of the table of operations and of its models."""

from importlib.metadata import version
from typing import Any

from gateway.desk.addresses import MY
from gateway.desk.my_operation import Operation
from gateway.identity.cross_site import TOKEN_FIELD
from gateway.openapi import PROBLEM, answer, parameter, path_parameters, query_parameters, refusals, request_body

_REFUSALS = {
    "400": "not well formed; or a step that cannot be taken any more",
    "401": "nobody is signed in, or not lately enough: `WWW-Authenticate` says what would do (RFC 9470)",
    "403": "not yours, not for whom you act as, or no page of ours sent it",
    "409": "something must be done first, or somebody else was faster",
    "422": "fields cannot be taken; nothing was saved",
    "503": "the ledger cannot be asked now; nothing was saved",
}
_CSRF = "with a session's cookie: `csrf_token` of GET /sso/session"


def describe(operations: tuple[Operation, ...], cookie: str) -> dict[str, Any]:
    """The whole description, plain data.

    Args:
        operations: all of them.
        cookie: name of the session cookie.
    """
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(f"/{operation.path}", {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "通关我的服务 · Tongguan self-service", "version": version("tongguan")},
        "servers": [{"url": MY.removesuffix("/")}],
        "security": [{"session": []}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
                "token": {"type": "http", "scheme": "bearer", "description": "of POST /sso/token"},
            },
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": " · ".join(operation.title),
        "responses": {str(operation.status): answer(operation.result, schemas)} | refusals(_REFUSALS),
    }
    if operation.browser:
        described["security"] = [{"session": []}]
    parameters = path_parameters(operation.path)
    if operation.input is not None and operation.method == "GET":
        parameters += query_parameters(operation.input)
    elif operation.input is not None:
        described["requestBody"] = request_body(operation.input, schemas)
    if operation.method != "GET":
        told = {"type": "string", "description": _CSRF}
        parameters.append(parameter("header", TOKEN_FIELD.decode(), told, required=False))
    return described | ({"parameters": parameters} if parameters else {})
