"""Nodes that republish what the node `msga` publishes in the form that other systems take."""
