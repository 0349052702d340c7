-- Stop orders that protect positions.
ALTER TYPE order_role ADD VALUE 'protection';
