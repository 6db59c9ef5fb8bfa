"""Where bytes come in: sockets and HTTP. The edge judges form and pace; the rules are elsewhere."""
