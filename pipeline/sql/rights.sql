-- name: missing
-- The rights that this role lacks, with the tables of ours on which it lacks them.
SELECT
    quote_ident(current_user) AS role, quote_ident(lacking.schema) AS schema, lacking.rights,
    array_agg(lacking.name ORDER BY lacking.name) AS tables
FROM (
    SELECT t.name, n.nspname AS schema, string_agg(p.privilege, ', ' ORDER BY p.place) AS rights
    FROM unnest(%(tables)s::text[]) AS t (name)
    INNER JOIN pg_class AS c ON c.oid = to_regclass(t.name)
    INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) AS p (place, privilege)
    WHERE NOT has_table_privilege(c.oid, p.privilege)
    GROUP BY t.name, n.nspname
) AS lacking
GROUP BY lacking.schema, lacking.rights
ORDER BY lacking.rights DESC
