-- Whether a person sent a signal, by the way in which it came: no field of a signal can claim it.
ALTER TABLE signal ADD COLUMN by_person boolean NOT NULL DEFAULT false;
