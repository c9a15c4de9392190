"""What a path of somebody's own machine looks like, in commands and in files."""

USER_PATH_PATTERN = r"(?<![\w.:/-])/(?:home|Users)/(?!linuxbrew/)[A-Za-z0-9._-]+(?=/|[\s\"'):,;]|$)"
