"""The judge: pictures in, numbers out, each with the yardstick it must be read against."""
