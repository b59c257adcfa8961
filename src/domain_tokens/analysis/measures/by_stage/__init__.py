"""What each stage of training changed."""
