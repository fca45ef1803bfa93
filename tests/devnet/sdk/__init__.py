"""The protocols' own SDKs, each in an environment of its own, asked through JSON lines."""
