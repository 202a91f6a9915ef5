"""`python -m rag_pipelines.cli`."""

from rag_pipelines.cli import main

if __name__ == "__main__":
    main()
