"""Many trainings and what they say: ablations, matrices, tables, the report page."""
