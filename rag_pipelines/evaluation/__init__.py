"""How well an index answers: judged suites, measures, significance, abstention and reports."""
