-- An intent that certainly did not reach the broker is over until it is written anew. So the partial indexes hold only
-- orders that may exist: fifty thousand unsent ones slowed every decision down.
UPDATE broker_order
SET ended_at = clock_timestamp(), follow_up = false, first_sent_at = NULL, last_sent_at = NULL
WHERE NOT may_exist
    AND ended_at IS NULL;

-- What limits an account counts by its number, whatever the executor is called: repeats, and the newest entries.
DROP INDEX broker_order_idea;
CREATE INDEX broker_order_idea ON broker_order (account_number, symbol, side, intended_at) WHERE may_exist;
CREATE INDEX broker_order_entries ON broker_order (account_number, intended_at)
    WHERE role = 'entry' AND first_sent_at IS NOT NULL;
