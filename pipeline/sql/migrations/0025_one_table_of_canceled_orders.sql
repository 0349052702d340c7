-- A flatten records the stops that it cancels where exits do. Those that are open move; the others are history.
ALTER TABLE canceled_order ALTER COLUMN execution_id DROP NOT NULL;

INSERT INTO canceled_order AS c (
    order_id, client_order_id, executor_id, symbol, side, quantity, terms, execution_id, first_asked_at, asked_at
)
SELECT s.order_id, '', s.executor_id, s.symbol, s.request ->> 'side', (s.request ->> 'qty')::numeric,
    s.request - 'client_order_id' - 'symbol' - 'side' - 'qty', newest.execution_id, s.asked_at, s.asked_at
FROM canceled_stop AS s
LEFT JOIN LATERAL (
    -- The close for which it was canceled.
    SELECT e.execution_id
    FROM execution AS e
    JOIN signal AS x USING (signal_id)
    WHERE e.executor_id = s.executor_id
        AND e.symbol = s.symbol
        AND x.source = 'tradewire:flatten'
    ORDER BY e.seq DESC
    LIMIT 1
) AS newest ON true
WHERE s.settled_at IS NULL
ON CONFLICT (order_id) DO UPDATE
SET asked_at = greatest(c.asked_at, excluded.asked_at),
    outcome = NULL,
    settled_at = NULL;

DROP TABLE canceled_stop;
