"""The napari plugin: the only modules that import Qt or napari."""
