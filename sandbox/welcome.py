"""What `tongguan sandbox` says once everything runs: who listens where, and commands that work as they stand."""

import os
import shlex
import sys
from pathlib import Path
from string import Template

from sandbox.places import Places

_WHAT = {
    "edge": "网关（人社部门） the gateway itself",
    "management": "网关管理口 health, status, metrics, reload",
    "console": "后台（人社部门） back office, for staff",
    "medical-edge": "另一部门（医保）的网关 the gateway of another department",
    "medical-management": "其管理口 its health, status, metrics, reload",
    "province": "省统一身份认证平台 identity platform (simulated)",
    "national": "国家平台（垂直系统） national platform of the line (simulated)",
    "dialects": "各省认证平台 platforms of other provinces (simulated)",
    "social-insurance": "业务系统（网闸后） business system, inside",
    "medical-insurance": "业务系统（网闸后） business system, inside",
    "pension": "业务系统（网闸后） business system, inside",
    "channels": "微信、支付宝、云闪付 platforms behind the channels (simulated)",
    "outpatient": "另一部门的业务系统 the other department's system, in its external zone",
    "assistant": "外网区系统 system in the external zone",
}

_KEPT = ("停止后文件保留 · its files stay when it stops",)
_DELETED = (
    "停止后文件全部删除；如需保留： make run RUN='--dir ./my-sandbox'",
    "then all its files are deleted; to keep them: make run RUN='--dir ./my-sandbox'",
)

_COMMANDS = r"""
# 公开事项，无需登录 · a public item
curl -s @edge/guides/social-insurance
# 用浏览器打开：登录、到另一部门、退出 · open in a browser: log in, go on to the other department, log out of both
#   @edge/social-insurance/contributions
#   @medical/outpatient/booking
#   @edge/sso/
# 后台，供工作人员使用；样例账号见 docs/sandbox.md，密码和动态验证码由下面的命令给出
# the back office, for staff: docs/sandbox.md lists them; the command tells password and code of one of them
#   @console
@tongguan sandbox code clerk-1
# 未登录被拒 · what a refusal looks like
curl -si @edge/social-insurance/contributions
# 向省平台取令牌，再办理 · a token from the province, then the same again: it crosses the gatekeeper
TOKEN=$(curl -s '@province/sandbox/token?user=citizen-1&format=jwt&level=3' | sed 's/.*"token": "\([^"]*\)".*/\1/')
curl -s -H "Authorization: Bearer $TOKEN" @edge/social-insurance/contributions
# 法人由经办人申报，带附件 · a unit's operator declares, with an attachment
UNIT=$(curl -s '@province/sandbox/token?user=unit-1&format=opaque' | sed 's/.*"token": "\([^"]*\)".*/\1/')
printf '%%PDF-1.7 sample' | curl -s -H "Authorization: Bearer $UNIT" -F person=sample \
    -F 'paper=@@-;filename=paper.pdf' @edge/pension/retirement-declarations
# 签名渠道 · the app channel: a signed request
@python -m sandbox.signing GET /guides/retirement | curl -s -H @@- @edge/guides/retirement
# 智能咨询 · an answer as server-sent events; a WebSocket waits at @socket/assistant/chat
curl -sN '@edge/assistant/answers?question=pension'
# 离线解释一次请求 · what would happen to a request, and why
@tongguan --config @yaml explain GET @edge/medical/settlements/S1 --as subject=someone,kind=natural,assurance=2
# 完整演示 · the whole story, checked step by step
@tongguan tour@base
"""


class _LineTemplate(Template):
    """Placeholders are `@name`, because `$` belongs to the shell."""

    delimiter = "@"


def welcome(places: Places, *, kept: bool) -> str:
    """The table of addresses and the commands to try, in Chinese and English.

    Args:
        places: the sandbox.
        kept: whether its folder stays when it stops.
    """
    rows = [f"  {name:18} {places.url(name):24} {_WHAT[name]}" for name in places.ports]
    rows.append(f"  {'gatekeeper':18} {'(Unix socket)':24} 网闸内端机 inner unit behind the gatekeeper")
    return "\n".join(
        [
            "",
            "通关演示环境已就绪，按 Ctrl-C 停止 · the sandbox is ready, Ctrl-C stops it",
            *(_KEPT if kept else _DELETED),
            "",
            *rows,
            "",
            f"  配置 configuration  {places.edge}  (policy.yaml, items/: 保存即生效 a saved change applies at once)",
            f"  记录 records        tail -f {places.access_records}",
            f"  日志 logs           {places.logs}",
            f"  重载 reloads        {places.edge_log}  (结果也显示在本终端 told here, too)",
            "",
            "在另一终端试一试 · try, in another terminal:",
            *("  " + line for line in commands(places)),
            "",
        ]
    )


def commands(places: Places) -> list[str]:
    """Lines for a shell, with comments in between."""
    text = _LineTemplate(_COMMANDS.strip()).substitute(
        edge=places.url("edge"),
        medical=places.url("medical-edge"),
        province=places.url("province"),
        console=places.url("console"),
        socket=places.url("edge").replace("http", "ws"),
        yaml=shlex.quote(str(places.gateway_yaml)),
        python=_shown(Path(sys.executable)),
        tongguan=_shown(Path(sys.executable).with_name("tongguan")),
        base="" if places.base == Places.USUAL_BASE else f" --base-port {places.base}",
    )
    return text.splitlines()


def _shown(program: Path) -> str:
    """As short as it can be typed here."""
    here = os.path.relpath(program)
    return shlex.quote(str(program) if here.startswith("..") else here)
