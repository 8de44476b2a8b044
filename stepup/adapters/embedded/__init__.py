"""PostgreSQL and a Redis-protocol server as child processes of this one, for one machine.

Real servers, over Unix sockets in a directory that nobody else may enter. They end with the process
that started them, even when it is killed.
"""
