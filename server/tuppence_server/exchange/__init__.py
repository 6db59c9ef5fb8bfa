"""Where exchange rates come from, and how one becomes a quote."""
