"""Groups of commands: what each takes and says in `--help`. What it does is loaded when it is called."""
