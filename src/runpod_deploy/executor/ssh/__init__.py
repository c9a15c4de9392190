"""The ports `Connector` and `Transport` over asyncssh."""
