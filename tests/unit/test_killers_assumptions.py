"""Tests of what mutants showed to be unwatched."""
