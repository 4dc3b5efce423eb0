"""aiohttp on one side, our nouns on the other: the public listener.

server.py accepts and watches over connections, connection.py answers on one of them, body.py reads request bodies,
wire.py knows how answers look as bytes.
"""
