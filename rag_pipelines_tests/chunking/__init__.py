"""Tests of the chunking strategies."""
