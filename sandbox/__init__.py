"""A miniature of the world around the gateway, to try things out and to test with: `tongguan sandbox`, `tongguan tour`.

Everything in here is sample data; nothing in `gateway` or `plugins` imports it.
"""
