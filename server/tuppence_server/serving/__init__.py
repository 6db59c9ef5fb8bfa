"""What a process needs around one server: sockets to listen on, certificates, SIGHUP."""
