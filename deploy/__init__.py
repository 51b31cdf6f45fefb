"""How the server is run: by operators (compose, systemd) and by developers (`deploy.local`, behind ./dev)."""
