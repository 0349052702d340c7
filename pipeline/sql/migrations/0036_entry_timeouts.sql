-- Why tradewire asked for the cancel of its own order: a reason's code. NULL: for another reason, or it did not ask.
ALTER TABLE broker_order ADD COLUMN canceled_for text;
