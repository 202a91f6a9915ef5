"""Who may read what: the one place where rights become an engine filter."""
