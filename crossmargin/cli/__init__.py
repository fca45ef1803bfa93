"""The command line: stdout is data, stderr is progress and errors."""
