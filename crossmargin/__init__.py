"""The application: settings, wiring, command line, server and schedule."""
