"""What the demo plays: conversations over real connections, each step checked before it is printed."""
