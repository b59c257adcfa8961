"""What a program may call: functions of Python and its libraries, methods, and what holds several values."""
