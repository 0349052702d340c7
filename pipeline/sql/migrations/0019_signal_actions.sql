-- A refusal of input that reads as an exit is an alert, since a position stays open.
ALTER TABLE refusal ADD COLUMN reads_as_exit boolean NOT NULL DEFAULT false;
CREATE INDEX refusal_of_exit ON refusal (at) WHERE reads_as_exit;
