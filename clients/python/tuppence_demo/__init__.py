"""What the demo plays: conversations of people, over real connections, each step checked before it is printed."""
