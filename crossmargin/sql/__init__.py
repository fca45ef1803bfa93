"""SQL for strangers: one SELECT over what is published, in a process that can be killed.

Layers, since each alone leaves a gap: `check` (one statement, reading only, public views and harmless functions, said by two parsers),
`worker` (a process without secrets under limits of the system, over a read-only database without a way out), `guard` (time, rows, bytes).
A worker imports nothing of the guard: it starts in three quarters of the time.
"""

from crossmargin.sql.answers import Answer, Form, form_of
from crossmargin.sql.errors import SqlBusy, SqlRefused, SqlTimeout

__all__ = ["Answer", "Form", "SqlBusy", "SqlRefused", "SqlTimeout", "form_of"]
