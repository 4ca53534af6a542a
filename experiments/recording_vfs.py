"""SQLite's own file layer, with a recorder in between: what is written, cut, deleted and synchronised, in
order.

A VFS is made by ctypes from the default one of the library that `sqlite3` uses: it opens files as that does, and then
takes the place of xWrite, xTruncate and xSync in the table of the opened file. Everything above it runs unchanged.
"""

import _sqlite3
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SQLITE_OK = 0


class NoSuchLibrary(RuntimeError):
    """This Python's SQLite is linked in such a way that its functions cannot be found."""


@dataclass(frozen=True, slots=True)
class Write:
    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    file: str


@dataclass(frozen=True, slots=True)
class Delete:
    file: str


@dataclass(frozen=True, slots=True)
class Told:
    """Not of the file layer: at this moment somebody was told that this is stored."""

    what: bytes


Event = Write | Truncate | Sync | Delete | Told

_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, version 3."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        ("pAppData", ctypes.c_void_p),
        ("xOpen", ctypes.c_void_p),
        ("xDelete", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 14),
    )


class _Methods(ctypes.Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("xClose", ctypes.c_void_p),
        ("xRead", ctypes.c_void_p),
        ("xWrite", ctypes.c_void_p),
        ("xTruncate", ctypes.c_void_p),
        ("xSync", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 13),
    )


class Recorder:
    """`events` is what has happened so far; others may append what they were told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._library = _library()
        self._names: dict[int, str] = {}
        self._tables: dict[int, tuple[_Methods, Any]] = {}
        self._default = ctypes.cast(self._library.sqlite3_vfs_find(None), ctypes.POINTER(_Vfs))
        self._open_file = _OPEN(self._default.contents.xOpen)
        self._delete_file = _DELETE(self._default.contents.xDelete)
        self._own_open, self._own_delete = _OPEN(self._open), _DELETE(self._delete)
        self._vfs = _Vfs.from_buffer_copy(self._default.contents)
        self._vfs.zName, self._vfs.pNext = b"recording", None
        self._vfs.xOpen = ctypes.cast(self._own_open, ctypes.c_void_p).value
        self._vfs.xDelete = ctypes.cast(self._own_delete, ctypes.c_void_p).value

    @contextmanager
    def recording(self) -> Iterator["Recorder"]:
        """Connections that are opened inside go through here. They must be closed before it ends."""
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        try:
            yield self
        finally:
            self._library.sqlite3_vfs_register(self._default, 1)
            self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def _open(self, vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = int(self._open_file(vfs, name, file, flags, out))
        if code == SQLITE_OK and name:
            self._names[file] = Path(ctypes.string_at(name).decode()).name
            methods = ctypes.c_void_p.from_address(file)
            if methods.value is not None:
                methods.value = ctypes.addressof(self._table(methods.value)[0])
        return code

    def _delete(self, vfs: int, name: int, is_synced: int) -> int:
        code = int(self._delete_file(vfs, name, is_synced))
        if code == SQLITE_OK:
            self.events.append(Delete(Path(ctypes.string_at(name).decode()).name))
        return code

    def _table(self, original: int) -> tuple[_Methods, Any]:
        """The table with our three functions in it that stands for an original one; made once."""
        if original not in self._tables:
            table = _Methods.from_buffer_copy(_Methods.from_address(original))
            functions = self._functions(table)
            for name, function in functions.items():
                setattr(table, name, ctypes.cast(function, ctypes.c_void_p).value)
            self._tables[original] = (table, functions)
        return self._tables[original]

    def _functions(self, table: _Methods) -> dict[str, Any]:
        do_write, do_truncate, do_sync = _WRITE(table.xWrite), _TRUNCATE(table.xTruncate), _SYNC(table.xSync)

        def write(file: int, data: int, size: int, offset: int) -> int:
            self.events.append(Write(self._names[file], offset, ctypes.string_at(data, size)))
            return int(do_write(file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            self.events.append(Truncate(self._names[file], size))
            return int(do_truncate(file, size))

        def sync(file: int, flags: int) -> int:
            code = int(do_sync(file, flags))
            if code == SQLITE_OK:
                self.events.append(Sync(self._names[file]))
            return code

        return {"xWrite": _WRITE(write), "xTruncate": _TRUNCATE(truncate), "xSync": _SYNC(sync)}


def _library() -> Any:
    library = ctypes.CDLL(_sqlite3.__file__)
    try:
        library.sqlite3_vfs_find.restype = ctypes.c_void_p
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        library.sqlite3_vfs_register.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.sqlite3_vfs_unregister.argtypes = [ctypes.c_void_p]
    except AttributeError as error:
        raise NoSuchLibrary("the SQLite of this Python shows none of its functions to ctypes") from error
    return library
