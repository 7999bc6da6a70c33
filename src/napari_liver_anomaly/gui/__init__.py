"""The napari plugin: the only rooms that know Qt or napari."""
