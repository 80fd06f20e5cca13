"""What may this uid do with a directory?"""

from __future__ import annotations

import os


def make_directory(directory: str, mode: int = 0o700) -> str:
    """Make it if it is missing; returns what is wrong with it, or nothing."""
    try:
        os.makedirs(directory, mode=mode, exist_ok=True)
    except OSError as error:
        return f"uid {os.geteuid()} cannot make the directory {directory}: {error.strerror}"
    return unusable(directory)


def unusable(directory: str) -> str:
    """Why this process can neither write to the directory nor make it; nothing if it can."""
    uid = os.geteuid()
    if os.path.isdir(directory):
        if os.access(directory, os.W_OK | os.X_OK):
            return ""
        return f"uid {uid} cannot write to {directory}"
    if os.path.lexists(directory):
        return f"{directory} is not a directory, so uid {uid} cannot write below it"
    parent = os.path.dirname(directory)
    while parent != os.path.dirname(parent) and not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if os.access(parent, os.W_OK | os.X_OK):
        return ""
    return f"{directory} does not exist, and uid {uid} cannot make it below {parent}"


LEAST_SPACE = 16 * 1024 * 1024  # bytes


def short_of_space(directory: str) -> str:
    """Why hardly anything can be written there, though it is allowed; nothing if there is room, or nobody knows."""
    while directory != os.path.dirname(directory) and not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    try:
        found = os.statvfs(directory)
    except OSError:
        return ""
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < LEAST_SPACE:
        return f"{free // 1024} KiB are free on the disk of {directory}"
    return f"no file can be made on the disk of {directory}" if found.f_files and not found.f_favail else ""
