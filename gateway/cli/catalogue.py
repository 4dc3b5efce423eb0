"""Commands that show what there is: schema, items, plugins."""

from typing import Any

import click

from gateway.cli.output import as_text_or_json, config_path, print_json, print_table
from gateway.configuration.differences import read_as_written
from gateway.configuration.loading import load, policy_from
from gateway.configuration.parts import KINDS, PartUnusableError, available_parts, import_part
from gateway.configuration.problems import did_you_mean
from gateway.configuration.schemas import schema_of
from gateway.configuration.settings_table import markdown_of, markdown_of_part, value_text
from gateway.contracts import Part
from gateway.settings import ItemSettings, OperationSettings, PolicySettings, StaticSettings


@click.command()
@click.argument("which", default="policy", metavar="[static|policy|USE]")
@click.option("--format", "form", type=click.Choice(["json", "markdown"]), default="json", show_default=True)
def schema(which: str, form: str) -> None:
    """Print the JSON Schema of gateway.yaml, of policy.yaml, or of a part's `config`. 导出配置模式.

    WHICH is static, policy, or the part's `use`. An editor completes and checks the files with it. As markdown: every
    key of both files, or of the part's `config`, with type and default.
    """
    if form == "markdown":
        click.echo(markdown_of() if which in ("static", "policy") else markdown_of_part(_part(which).Config), nl=False)
    elif which == "static":
        print_json(schema_of(StaticSettings))
    elif which == "policy":
        print_json(schema_of(PolicySettings, available_parts()))
    else:
        print_json(schema_of(_part(which).Config))


def _part(use: str) -> type[Part[Any]]:
    try:
        return import_part(use)
    except PartUnusableError as exc:
        raise click.UsageError(str(exc)) from exc


@click.group()
def items() -> None:
    """List and show service items. 查看服务事项."""


def _read_policy(ctx: click.Context) -> PolicySettings:
    return policy_from(load(config_path(ctx)).policy)


@items.command("list")
@as_text_or_json
@click.pass_context
def list_items(ctx: click.Context, form: str) -> None:
    """List all items with their operations. 列出事项."""
    found = _read_policy(ctx).items
    if form == "json":
        print_json([item.model_dump(mode="json") for item in found])
        return
    rows = [
        (item.code, item.name, item.category, ", ".join(item.audience), item.assurance, item.system, _shown(operation))
        for item in found
        for operation in item.operations
    ]
    print_table(("code", "name", "category", "audience", "assurance", "system", "operation"), rows)


def _shown(operation: OperationSettings) -> str:
    return f"{operation.method} {operation.path}"


@items.command("show")
@click.argument("code")
@as_text_or_json
@click.pass_context
def show_item(ctx: click.Context, code: str, form: str) -> None:
    """Show one item whole, defaults included. 查看事项."""
    known = {item.code: item for item in _read_policy(ctx).items}
    if code not in known:
        raise click.ClickException(f"no item has the code {code!r}{did_you_mean(code, known)}")
    item = known[code]
    if form == "json":
        print_json(item.model_dump(mode="json"))
    else:
        print_table(("key", "value"), _rows(item))


def _rows(item: ItemSettings) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    plain = item.model_dump(mode="json", exclude={"operations", "limits"})
    for key, value in (plain | {"verifiers": "all" if item.verifiers is None else plain["verifiers"]}).items():
        rows.append((key, (", ".join(map(str, value)) or "[]") if isinstance(value, list) else value))
    rows += [(f"operations[{index}]", _shown(operation)) for index, operation in enumerate(item.operations)]
    for key, field in type(item.limits).model_fields.items():
        value = getattr(item.limits, key)
        rows.append((f"limits.{key}", _MISSING.get(key, "not limited") if value is None else value_text(field, value)))
    return rows


_MISSING = {"body": "the gateway's own limit"}


@click.group()
def plugins() -> None:
    """List plugins and their settings. 查看插件."""


@plugins.command("list")
@as_text_or_json
def list_plugins(form: str) -> None:
    """List the parts that `use:` can name here. 列出插件.

    These are the parts that ship, and installed entry points.
    """
    found = [
        {"use": use, "kind": _kind(use), "what": (import_part(use).__doc__ or "").partition("\n")[0]}
        for use in available_parts()
    ]
    if form == "json":
        print_json(found)
    else:
        print_table(("use", "kind", "what"), [tuple(one.values()) for one in found])


def _kind(use: str) -> str:
    part = import_part(use)
    return next((kind for kind, base in KINDS.items() if issubclass(part, base)), "")


@plugins.command("schema")
@click.argument("name")
@click.pass_context
def plugin_schema(ctx: click.Context, name: str) -> None:
    """Print the JSON Schema of a part's `config`. 导出插件配置模式.

    NAME is the part's `use`, or its name in policy.yaml. No secret is needed.
    """
    if ":" not in name:
        path = config_path(ctx)
        policy = read_as_written(path, path.parent)
        name = next((str(policy[kind][name].get("use")) for kind in KINDS if name in policy[kind]), name)
    print_json(schema_of(_part(name).Config))
