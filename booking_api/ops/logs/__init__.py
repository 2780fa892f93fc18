"""What is logged, and how: the one configuration, the handler, and the line of each request."""
