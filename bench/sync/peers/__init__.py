"""Other indexers, each in an environment of its own, doing as much of the same job as it can."""
