"""One supervisor and its workers: start, respawn, reload in two steps, drain, and the management listener.

serve.py is the way in; worker.py runs what gateway/app.py makes.
"""
