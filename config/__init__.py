"""A file → Settings, or an error with its path. Knows no component: the registries are passed in."""
