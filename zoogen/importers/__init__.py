"""The field's model zoos as sources of `zoogen.convert`; one file for each published format."""
