SELECT p.digest, p.version, p.canonical, p.source, p.effective_from, p.logged_at, p.note, p.approved_by, p.who, p.manner, p.emergency,
    w.withdrawn_at, w.who, w.note, w.emergency
FROM policy AS p
LEFT JOIN policy_withdrawal AS w ON w.entry = p.entry
ORDER BY p.entry
