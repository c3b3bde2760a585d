"""The data plane: bytes through, a bounded copy on the side. No JSON, no disk, no lock, no waiting."""
