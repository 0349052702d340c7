-- name: insert
INSERT INTO api_token (name, sha256, scopes, made_by)
VALUES (%(name)s, %(sha256)s, %(scopes)s, %(by)s)
ON CONFLICT DO NOTHING
RETURNING name

-- name: of_hash
SELECT name, scopes
FROM api_token
WHERE sha256 = %(sha256)s
    AND revoked_at IS NULL

-- name: of_name
SELECT name, scopes
FROM api_token
WHERE name = %(name)s
    AND revoked_at IS NULL

-- name: revoke
UPDATE api_token
SET revoked_at = now(),
    revoked_by = %(by)s
WHERE name = %(name)s
    AND revoked_at IS NULL
RETURNING name

-- name: list
SELECT name, scopes, made_by, made_at, revoked_by, revoked_at
FROM api_token
ORDER BY made_at, name
