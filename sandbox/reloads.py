"""Tell whoever watches `tongguan sandbox` what became of each changed file (`last_reload` of the edge's /status)."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp

POLL = 0.4
MOST_PROBLEMS = 5


async def tell_reloads(session: aiohttp.ClientSession, management: str) -> None:
    """Print every reload of the edge from now on; never ends by itself.

    Args:
        session: asks.
        management: address of the edge's management listener.
    """
    last = await _last_reload(session, management)
    while True:
        await asyncio.sleep(POLL)
        found = await _last_reload(session, management)
        if found is not None and last is not None and found["at"] != last["at"]:
            print("\n".join(describe_reload(found)), flush=True)
        last = found or last


async def _last_reload(session: aiohttp.ClientSession, management: str) -> dict[str, Any] | None:
    try:
        async with session.get(f"{management}/status") as answer:
            told: dict[str, Any] = (await answer.json())["last_reload"]
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
        return None  # it is being ended, or has no time now
    return told


def describe_reload(reload: dict[str, Any]) -> Iterator[str]:
    """A line for a reload that went well, or one for each problem."""
    if reload["outcome"] != "refused":
        unchanged = "  内容未变 unchanged" if reload["outcome"] == "unchanged" else ""
        waits = "  gateway.yaml 重启后生效 waits for a restart" if reload["restart_needed"] else ""
        yield f"✓ generation {reload['generation']}{unchanged}{waits}"
        return
    problems = reload["problems"]
    for problem in problems[:MOST_PROBLEMS]:
        yield f"✗ {problem}  (上一版配置继续生效 the last good one stays)"
    if len(problems) > MOST_PROBLEMS:
        yield f"✗ 另有 {len(problems) - MOST_PROBLEMS} 处 and as many more"
