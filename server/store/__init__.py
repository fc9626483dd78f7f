"""All SQL: connections, tables, statements, the change record, migrations."""
