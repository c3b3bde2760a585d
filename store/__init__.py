"""SQLite: the schema, the journal that writes it, the queries that read it."""
