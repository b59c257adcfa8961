"""The kinds of lessons other than word problems, one file a kind or two that share their numbers."""
