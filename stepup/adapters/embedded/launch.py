"""Become another program that ends when the process which started this one ends.

Run by path, in an interpreter without site packages: `launch.py PARENT SIGNAL USER PROGRAM ...`.
The kernel sends SIGNAL when the parent is gone, however it went. USER is the numeric user to run
as, or `-` to stay who we are.
"""

import ctypes
import os
import sys

_SET_PARENT_DEATH_SIGNAL = 1
_KEEP_CAPABILITIES = 8
_AMBIENT = 47
_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_BYPASS_FILE_PERMISSIONS = 1  # CAP_DAC_OVERRIDE

_libc = ctypes.CDLL(None, use_errno=True)


def main(parent: str, signal_number: str, user: str, *command: str) -> None:
    """Tie this process to its parent's life and become `command`."""
    os.setsid()  # Ctrl-C reaches our parent alone, which then stops everything in order
    if user != "-":
        _become(int(user))
    # After the change of user, which clears it.
    _prctl(_SET_PARENT_DEATH_SIGNAL, int(signal_number))
    if os.getppid() != int(parent):
        sys.exit(1)  # it died before the signal was armed
    os.execv(command[0], command)  # noqa: S606  there is no shell to want


def _become(user: int) -> None:
    """Give up root but for one thing: this user's program may lie below root's own folders.

    PostgreSQL refuses to run as root, and a checkout in `/root` is closed to everybody else.
    """
    _prctl(_KEEP_CAPABILITIES, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    capability = 1 << _BYPASS_FILE_PERMISSIONS
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(capability, capability, capability)
    _check(_libc.capset(header, effective_permitted_inheritable))
    _prctl(_AMBIENT, _AMBIENT_RAISE, _BYPASS_FILE_PERMISSIONS)


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    _check(_libc.prctl(option, *(ctypes.c_ulong(argument) for argument in padded)))


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
