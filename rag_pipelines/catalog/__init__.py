"""The state: what every stage has done, in one transactional database (SQLite or Postgres)."""
