"""Tests of the embedding package."""
