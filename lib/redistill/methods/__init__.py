"""What each paper does, as settings and little code."""
