-- name: end
INSERT INTO ended_session (nonce, valid_until)
VALUES (%(nonce)s, now() + %(lasts_s)s * interval '1 second')
ON CONFLICT DO NOTHING
RETURNING nonce

-- name: forget
DELETE FROM ended_session
WHERE valid_until < now()
RETURNING nonce

-- name: has_ended
SELECT nonce
FROM ended_session
WHERE nonce = %(nonce)s
