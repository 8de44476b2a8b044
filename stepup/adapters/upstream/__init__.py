"""The identity providers that say who a subject is before step-up."""
