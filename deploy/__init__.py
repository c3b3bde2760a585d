"""What surrounds a running Sidelight: dashboards, rules, alerts. None of it is in the wheel."""
