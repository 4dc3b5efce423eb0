"""THE SIGN-IN DESK: everything under `/sso/`, as a small web application that the request path reaches like a system.

application.py lists its pages (my_operations.py those of self-service), host.py runs it inside a worker, guidance.py
sends browsers to it; identity/ has what it decides, the platforms' plugins what it asks.
"""
