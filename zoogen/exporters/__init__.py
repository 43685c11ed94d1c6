"""Zoos in other projects' formats, for `zoogen.export`; one file for each."""
