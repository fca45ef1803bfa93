"""A node that misbehaves: a proxy before an honest one, whose faults are seeded, counted and recorded."""
