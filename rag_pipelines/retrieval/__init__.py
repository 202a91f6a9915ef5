"""Query -> candidates -> fusion -> cited passages; one path for the service, the CLI and evaluation."""
