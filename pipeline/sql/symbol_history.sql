-- name: signals
-- The signals of a symbol in a time, those nearest to a moment first.
SELECT signal_id
FROM signal
WHERE symbol = %(symbol)s
    AND recorded_at BETWEEN %(since)s AND %(until)s
ORDER BY abs(extract(epoch FROM recorded_at - %(at)s::timestamptz))
LIMIT %(limit)s

-- name: last_of_symbol
SELECT signal_id, source, symbol, recorded_at
FROM signal
WHERE symbol = %(symbol)s
    AND recorded_at <= %(until)s
ORDER BY recorded_at DESC
LIMIT 1

-- name: last_of_sources
-- Who was heard before then, whatever the symbol: a source that fell silent shows by its time.
SELECT DISTINCT ON (source) source, symbol, recorded_at
FROM signal
WHERE recorded_at BETWEEN %(until)s::timestamptz - interval '1 day' AND %(until)s
    AND NOT starts_with(source, 'tradewire:')
ORDER BY source, recorded_at DESC

-- name: refused
-- What came and was no signal, at any door; first what speaks of the symbol.
SELECT at, source, code, message, position(%(bare)s IN replace(upper(payload), '/', '')) > 0 AS mentions
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
ORDER BY mentions DESC, at DESC
LIMIT %(limit)s
