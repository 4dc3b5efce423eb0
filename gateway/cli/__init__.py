"""The command line, `tongguan`. Commands are imported when they are called, so that help is there at once.

Each module here is one group: running, checking, explaining, catalogue, keys, tokens, managing, sessions, ledger and
staff.
"""

import errno
import importlib
import io
import os
import sys
from typing import NamedTuple

import click

from gateway.errors import ConfigurationError

EXIT_CODES = """\b
Exit codes:
  0  done; check: good; diff: no difference
  1  no: nothing listens there, it was refused, diff: a difference
  2  the configuration or the command line is wrong; nothing was changed
  3  serve: no worker could be started"""


class Named(NamedTuple):
    """A command that is imported when it is called.

    Attributes:
        place: `module:name`.
        english: what it does, for `--help`.
        chinese: the same in Chinese.
    """

    place: str
    english: str
    chinese: str


COMMANDS = {
    "serve": Named("gateway.cli.running:serve", "Run the gateway in the foreground.", "启动网关"),
    "gatekeeper": Named("gateway.cli.running:gatekeeper", "Run the unit behind the gatekeeper.", "启动网闸内端机"),
    "console": Named("gateway.cli.running:console", "Run the back office for the staff.", "启动后台管理"),
    "sandbox": Named("gateway.cli.running:sandbox", "Run everything in miniature, to try things out.", "启动演示环境"),
    "tour": Named("gateway.cli.running:tour", "Play the sandbox's story and check each step.", "演示完整流程"),
    "check": Named("gateway.cli.checking:check", "Say everything that is wrong with a configuration.", "检查配置"),
    "explain": Named("gateway.cli.explaining:explain", "Say what would happen to a request.", "解释请求处理"),
    "diff": Named("gateway.cli.checking:diff", "Compare two configurations by meaning.", "比较两份配置"),
    "schema": Named("gateway.cli.catalogue:schema", "Print JSON Schemas, for editors.", "导出配置模式"),
    "items": Named("gateway.cli.catalogue:items", "List and show service items.", "查看服务事项"),
    "plugins": Named("gateway.cli.catalogue:plugins", "List plugins and their settings.", "查看插件"),
    "reload": Named("gateway.cli.managing:reload", "Take over the changed policy now.", "重新加载策略"),
    "status": Named("gateway.cli.managing:status", "Show how a running gateway is.", "查看运行状态"),
    "drain": Named("gateway.cli.managing:drain", "Finish what is under way and stop.", "平滑停止"),
    "revoke": Named("gateway.cli.managing:revoke", "Make a token, session or person unknown at once.", "吊销登录"),
    "sessions": Named("gateway.cli.sessions:sessions", "List sign-in sessions, and end them.", "查看与注销会话"),
    "token": Named("gateway.cli.tokens:token", "Look into a person's token.", "查看令牌"),
    "keys": Named("gateway.cli.keys:keys", "Show our public keys and the issuers'; fetch those now.", "查看密钥"),
    "db": Named("gateway.cli.ledger:db", "Look at the ledger's database, and upgrade it.", "台账数据库"),
    "staff": Named("gateway.cli.staff:staff", "Begin, list and help the back office's staff.", "后台工作人员账户"),
    "version": Named("gateway.cli.running:version", "Print the version.", "显示版本"),
}


_WITHOUT_CONFIGURATION = frozenset({"sandbox", "tour", "diff", "version"})


def _remember_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj = value


def _take_config(command: click.Command) -> None:
    """Let `--config` stand behind the command as well: people write it where they think of it."""
    if not any(param.name == "config" for param in command.params):
        option = click.Option(
            ["--config"], metavar="FILE", expose_value=False, callback=_remember_config, help="As before the command."
        )
        command.params.append(option)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _take_config(inner)


class Commands(click.Group):
    """A group whose commands are named in a table and imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        named = COMMANDS.get(cmd_name)
        if named is None:
            return None
        module, _, name = named.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        if cmd_name not in _WITHOUT_CONFIGURATION:
            _take_config(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, f"{named.english} {named.chinese}") for name, named in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; problems of the configuration become lines on stderr and exit code 2."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo("\n".join(error.problems), err=True)
            ctx.exit(2)


@click.command(
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(None, "--version", package_name="tongguan", message="tongguan %(version)s")
@click.option(
    "--config",
    metavar="FILE",
    envvar="TONGGUAN_CONFIG",
    help="gateway.yaml; else $TONGGUAN_CONFIG, ./config/gateway.yaml, /etc/tongguan/gateway.yaml.",
)
@click.pass_context
def tongguan(ctx: click.Context, config: str | None) -> None:
    """Tongguan (通关): the gateway at the edge of a government department."""
    ctx.obj = config
    if os.environ.get("NO_COLOR"):  # no-color.org; click itself only asks whether a terminal is there
        ctx.color = False


_OUTPUT_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main() -> None:
    """Run `tongguan` with the arguments of this process; output that cannot be written is one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        tongguan(prog_name="tongguan")
    except OSError as exc:
        if exc.errno not in _OUTPUT_REFUSED:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered would fail again at exit
        click.echo(f"Error: the output cannot be written: {exc.strerror}", err=True)
        sys.exit(1)
