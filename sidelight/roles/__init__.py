"""The wiring of each process; one file a role, so that the proxy carries no import it does not use."""
