-- name: signals
-- The signals of a symbol between two times, those nearest to a third time first.
SELECT signal_id
FROM signal
WHERE symbol = %(symbol)s
    AND recorded_at BETWEEN %(since)s AND %(until)s
ORDER BY abs(extract(epoch FROM recorded_at - %(at)s::timestamptz))
LIMIT %(limit)s

-- name: last_of_symbol
SELECT source, symbol, recorded_at AS at
FROM signal
WHERE symbol = %(symbol)s
    AND recorded_at <= %(until)s
ORDER BY recorded_at DESC
LIMIT 1

-- name: last_of_sources
-- The last signal of each source within a day, whatever the symbol: its time shows whether the source stopped sending.
SELECT DISTINCT ON (source) source, symbol, recorded_at AS at
FROM signal
WHERE recorded_at BETWEEN %(until)s::timestamptz - interval '1 day' AND %(until)s
    AND NOT starts_with(source, 'tradewire:')
ORDER BY source, recorded_at DESC

-- name: refused
-- Input of any kind that was not a signal; first the input that contains the symbol.
SELECT at, source, code, message, position(%(bare)s IN replace(upper(payload), '/', '')) > 0 AS mentions_symbol
FROM (
    SELECT at, source, code, message, payload
    FROM refusal
    WHERE at BETWEEN %(since)s AND %(until)s
    UNION ALL
    SELECT at, webhook, code, coalesce(message, ''), payload
    FROM delivery
    WHERE code IS NOT NULL
        AND at BETWEEN %(since)s AND %(until)s
) AS refused
ORDER BY mentions_symbol DESC, at DESC
LIMIT %(limit)s
