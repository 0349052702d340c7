"""One RQ queue per executor. A job carries the id of an execution and nothing else.

Redis may be emptied at any moment: PostgreSQL knows which executions are open, and the keeper enqueues them again.
So nothing here is retried, no job expires, and a second job for the same execution does no harm.
"""
