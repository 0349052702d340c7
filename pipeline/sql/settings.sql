-- name: keep
-- Keep the settings behind a hash. They never change, so they are written once.
INSERT INTO executor_settings (settings_hash, executor_id, body)
VALUES (%(settings_hash)s, %(executor_id)s, %(body)s)
ON CONFLICT DO NOTHING

-- name: kept
SELECT settings_hash, body
FROM executor_settings
WHERE settings_hash = ANY(%(hashes)s)

-- name: lock_account
-- Make two processes that start at the same time accept settings one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('accepted:' || %(account_number)s, 7204211))

-- name: accepted
-- The settings that were last accepted for the account.
SELECT settings_hash, executor_id, body, accepted_by, accepted_at
FROM accepted_settings
WHERE account_number = %(account_number)s
ORDER BY acceptance_id DESC
LIMIT 1

-- name: accept
INSERT INTO accepted_settings (account_number, executor_id, settings_hash, body, accepted_by)
VALUES (%(account_number)s, %(executor_id)s, %(settings_hash)s, %(body)s, %(accepted_by)s)
