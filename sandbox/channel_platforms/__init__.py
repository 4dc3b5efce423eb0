"""The platforms behind the channels, simulated: WeChat, Alipay and 云闪付 exchange login codes as they really do.

plugins/channels/ are the counterparts. Whatever lies under /sandbox/ exists only here: it hands out codes, and lets an
endpoint answer with any of its documented codes of failure.
"""

from sandbox.channel_platforms.process import create_channel_platforms

__all__ = ["create_channel_platforms"]
