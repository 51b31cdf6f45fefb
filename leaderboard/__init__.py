"""The challenge server: people, phases, submissions, their journey, standings and pages."""
