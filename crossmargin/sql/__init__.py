"""SQL for strangers: one SELECT over what is published, in a process that can be killed.

Layers, since each alone leaves a gap: `check` (one statement, reading only, public views and harmless functions, said by two parsers),
`worker` (a process without secrets under limits of the system, over a read-only database without a way out), `guard` (time, rows, bytes).
"""

from crossmargin.sql.answers import Answer, Form, form_of
from crossmargin.sql.errors import SqlBusy, SqlRefused, SqlTimeout
from crossmargin.sql.guard import Guard, Limits

__all__ = ["Answer", "Form", "Guard", "Limits", "SqlBusy", "SqlRefused", "SqlTimeout", "form_of"]
