"""What `migrator doctor` finds: whether this machine, these settings and the service are fit for a run.

What belongs here: a look at one thing each, said in a sentence with what to do about it. What must never: a secret, or
anything that changes what it looks at.
"""

from __future__ import annotations

from migrator.diagnosing.finding import Finding, Grade

__all__ = ["Finding", "Grade"]
