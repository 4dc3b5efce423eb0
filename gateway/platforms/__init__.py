"""What the dialects of identity platforms have in common; plugins/platforms/ has one file for each dialect.

settings.py: what is configured of every platform; calls.py: asking one; tickets.py: ticket, token, user information;
introspection.py: the standard's question about a token; profiles.py: data items of GB/T 39046; signing.py: what several
dialects sign with.
"""
