-- Which keys read the account: a hash of the address and the key's id. A reading with other keys may show another
-- account. NULL: an earlier version read it.
ALTER TABLE account_snapshot ADD COLUMN keys text;
