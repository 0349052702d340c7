-- When `tradewire retention` removed the steps and attempts of the execution; NULL: they are all here.
ALTER TABLE execution ADD COLUMN pruned_at timestamptz;
