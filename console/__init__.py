"""Pages and JSON for people and orchestrators, on aiohttp; never on the proxied path."""
