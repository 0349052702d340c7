"""The doorbell: one RQ queue per executor, whose jobs carry an execution's id and nothing else.

Redis may be flushed at any moment: the record knows what is owed, and the keeper rings again. So nothing here is
retried, nothing has a time to live, and no job is unique: a bell rung twice does nothing.
"""
