"""Folders that another user cannot change: only there can a host rely on the files that it finds and makes.

A program that opens a file by a known name in a folder of others follows the links that they have prepared. So the
state directory belongs to this user or to root, others may not write in it, and files in it are opened relative to a
descriptor of the folder that was checked.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from datasync_core.model.errors import ConfigError

_MODE = 0o755
"""Of folders that are made here: with a umask of 002 or 000 they would be open to others."""


def make_base(folder: Path) -> None:
    """Make and check the folder below which each host has its own.

    Others may write in it where they cannot rename what is ours (a sticky folder such as ``/tmp``). Raises
    `ConfigError` where another user could change it, or where it cannot be used.
    """
    try:
        os.close(open_folder(folder, sticky=True))
    except OSError as error:
        raise unusable(folder, error) from error


def open_folder(folder: Path, *, sticky: bool = False) -> int:
    """Make a folder where there is none, and return a descriptor of it.

    Raises `ConfigError` where another user could change it (``sticky`` allows a sticky one), `OSError` where it
    cannot be made or opened.
    """
    folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    link = os.lstat(folder)
    is_link = stat.S_ISLNK(link.st_mode)
    if is_link and (wrong := _not_ours(link)):
        raise refused(folder, f"it is a symbolic link that {wrong}")
    follow = 0 if is_link else os.O_NOFOLLOW
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow)
    try:
        found = os.fstat(descriptor)
        if wrong := _not_ours(found):
            raise refused(folder, f"it {wrong}")
        if wrong := _open_to_others(found, sticky=sticky):
            raise refused(folder, wrong, f"chmod go-w {folder}, or ")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_file(folder: int, name: str, flags: int) -> int:
    """Open, or with `O_CREAT` make, a file in a folder: a regular one of this user's or root's, and no link.

    Raises `OSError`, also for a file of another kind.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, 0o644, dir_fd=folder)
    except OSError as error:
        if _is_link(folder, name):  # else it reads "too many levels of symbolic links"
            raise OSError(error.errno, f"{name} in it is a symbolic link: remove it") from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or _not_ours(found):
        os.close(descriptor)
        wrong = _not_ours(found) or "is not a regular file of its own"
        raise OSError(0, f"{name} in it {wrong}: remove it")
    return descriptor


def refused(folder: Path, wrong: str, remedy: str = "") -> ConfigError:
    """Return what is said where another user could change the state directory."""
    return ConfigError(
        f"the state directory {folder} cannot be used ({wrong}): {remedy}name another one by [host] state_dir"
    )


def unusable(folder: Path, error: OSError) -> ConfigError:
    """Return what is said where something in the state directory cannot be made or written."""
    return ConfigError(
        f"the state directory {folder} cannot be used ({error.strerror or error}): "
        "name a writable one by [host] state_dir"
    )


def _not_ours(found: os.stat_result) -> str:
    if found.st_uid in (os.geteuid(), 0):
        return ""
    return f"belongs to {_user(found.st_uid)}, while this host runs as {_user(os.geteuid())}"


def _open_to_others(found: os.stat_result, *, sticky: bool) -> str:
    mode = stat.S_IMODE(found.st_mode)
    if sticky and mode & stat.S_ISVTX:
        return ""
    if mode & stat.S_IWOTH:
        return f"every user may write in it, mode {mode:04o}"
    if mode & stat.S_IWGRP and found.st_gid != found.st_uid:  # a user's private group has the user's number
        return f"its group may write in it, mode {mode:04o}"
    return ""


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
