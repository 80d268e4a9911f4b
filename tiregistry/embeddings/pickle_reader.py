"""An interpreter for pickle streams that imports nothing and calls nothing: it only builds plain values.

Every one of pickle's opcodes is either carried out on plain values (numbers, text, lists, dicts) and the inert
descriptions of `pickle_ops`, or refused. The work is bounded by the number of opcodes, of remembered values and of
bytes copied, and no key is hashed that could be deep, so a stream can neither hang nor fill the memory.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any

from tiregistry.embeddings.limits import MAX_DEPTH, MAX_MEMO, MAX_OPCODES, MAX_PICKLE
from tiregistry.embeddings.pickle_ops import Global, Module, build, call, is_allowed, plain_key, refuse
from tiregistry.embeddings.tensors import damaged
from tiregistry.errors import UnreadableEmbedding

PersistentLoad = Callable[[Any], Any]


class _Mark:
    """The value that MARK pushes; there is one."""


_MARK = _Mark()


def read_pickle(
    data: bytes, start: int = 0, persistent_load: PersistentLoad | None = None, budget: list[int] | None = None
) -> tuple[Any, int]:
    """Carry out one pickle stream.

    Args:
        data: bytes that contain the stream.
        start: where it begins.
        persistent_load: turns a persistent id into a value.
        budget: opcodes left, shared between the streams of one file.

    Returns:
        The value (dicts, lists, tuples, text, numbers, `RawTensor`, `Module`) and where the stream ended.

    Raises:
        UnreadableEmbedding: the stream is damaged, exceeds a limit, or names a global that is not on the list (the
            message says which).
    """
    interpreter = _Interpreter(data, start, persistent_load, budget if budget is not None else [MAX_OPCODES])
    try:
        value = interpreter.run()
    except (IndexError, struct.error, UnicodeError, ValueError, OverflowError) as error:
        raise damaged(f"the pickle breaks off or is malformed ({type(error).__name__})") from None
    check_depth(value)
    return value, interpreter.position


def check_depth(value: Any) -> None:
    """Refuse values nested deeper than `MAX_DEPTH`; looks at each container once, without recursion."""
    level, seen, depth = [value], {id(value)}, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableEmbedding(f"the pickle nests values more than {MAX_DEPTH} deep", "it is no embedding")
        inner: list[Any] = []
        for item in level:
            content: Any = ()
            if isinstance(item, dict):
                content = item.values()
            elif isinstance(item, Module):
                content = (item.state,)
            elif isinstance(item, (list, tuple)) and not isinstance(item, Global):
                content = item
            for child in content:
                if isinstance(child, (dict, list, tuple, Module)) and id(child) not in seen:
                    seen.add(id(child))
                    inner.append(child)
        level = inner


class _Interpreter:
    """The stack machine; `run` returns the value below STOP."""

    def __init__(self, data: bytes, start: int, load: PersistentLoad | None, budget: list[int]) -> None:
        self.data = data
        self.position = start
        self.limit = min(len(data), start + MAX_PICKLE)
        self.load = load
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.copies = MAX_PICKLE

    def run(self) -> Any:
        while True:
            self.budget[0] -= 1
            if self.budget[0] < 0:
                raise UnreadableEmbedding(f"the pickle has more than {MAX_OPCODES} instructions", "it is no embedding")
            code = self.take(1)
            if code == b".":
                return self.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise damaged(f"the pickle has the unknown instruction {code!r}")
            operation(self)

    # -- bytes ---------------------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.position + count
        if count < 0 or end > self.limit:
            raise damaged("the pickle is cut off")
        raw = self.data[self.position : end]
        self.position = end
        return raw

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> bytes:
        """The bytes up to the next newline; a line longer than 64 KiB is no name and no number."""
        end = self.data.find(b"\n", self.position, min(self.limit, self.position + 65536))
        if end < 0:
            raise damaged("the pickle is cut off")
        raw = self.data[self.position : end]
        self.position = end + 1
        return raw

    def spend(self, amount: int) -> None:
        """Charge copied bytes or items."""
        self.copies -= amount
        if self.copies < 0:
            raise UnreadableEmbedding("the pickle unpacks to far more than an embedding", "do not trust it")

    # -- stack ---------------------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise damaged("the pickle's marks do not match")
        return value

    def top(self) -> Any:
        if self.stack[-1] is _MARK:
            raise damaged("the pickle's marks do not match")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """The values above the last MARK, which goes too."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise damaged("the pickle's marks do not match")

    def remember(self, index: int) -> None:
        if len(self.memo) >= MAX_MEMO and index not in self.memo:
            raise UnreadableEmbedding(f"the pickle remembers more than {MAX_MEMO} values", "it is no embedding")
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise damaged("the pickle recalls a value it never had")
        self.push(self.memo[index])

    # -- building ------------------------------------------------------------------------------------------------

    def name(self, module: str, name: str) -> None:
        wanted = Global(module, name)
        if not is_allowed(wanted):
            raise refuse(wanted)
        self.push(wanted)

    def reduce(self, function: Any, arguments: Any) -> None:
        self.push(call(function, arguments, self.spend))

    def persistent(self, identity: Any) -> None:
        if self.load is None:
            raise damaged("the pickle refers to data that is not there")
        self.push(self.load(identity))

    def set_items(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise damaged("the pickle fills something that is no mapping")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain_key(key)] = value

    def append(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, list):
            raise damaged("the pickle appends to something that is no list")
        target.extend(items)

    def add(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, set):
            raise damaged("the pickle adds to something that is no set")
        target.update(plain_key(item) for item in items)


def _text_int(machine: _Interpreter) -> Any:
    raw = machine.line()
    if raw in (b"00", b"01"):
        return raw == b"01"
    if len(raw) > 64:
        raise damaged("the pickle holds a number with too many digits")
    return int(raw.rstrip(b"L"))


def _long(machine: _Interpreter, size: int) -> int:
    if not 0 <= size <= 64:
        raise damaged("the pickle holds a number with too many digits")
    return int.from_bytes(machine.take(size), "little", signed=True)


def _quoted(machine: _Interpreter) -> str:
    raw = machine.line().strip()
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
        raise damaged("the pickle holds text without quotes")
    return bytes(codecs.escape_decode(raw[1:-1])[0]).decode("latin-1")


def _global(m: _Interpreter) -> None:
    m.name(m.line().decode("utf-8"), m.line().decode("utf-8"))


def _stack_global(m: _Interpreter) -> None:
    name, module = m.pop(), m.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise damaged("the pickle asks for a global that has no name")
    m.name(module, name)


def _inst(m: _Interpreter) -> None:
    _global(m)
    function = m.pop()
    m.reduce(function, tuple(m.pop_mark()))


def _obj(m: _Interpreter) -> None:
    items = m.pop_mark()
    m.reduce(items[0], tuple(items[1:]))


def _reduce(m: _Interpreter) -> None:
    arguments, function = m.pop(), m.pop()
    m.reduce(function, arguments)


def _newobj_ex(m: _Interpreter) -> None:
    keywords, arguments, function = m.pop(), m.pop(), m.pop()
    if keywords:
        raise damaged("the pickle makes an object with keyword arguments")
    m.reduce(function, arguments)


def _build(m: _Interpreter) -> None:
    state = m.pop()
    build(m.top(), state)


def _set_item(m: _Interpreter) -> None:
    value, key = m.pop(), m.pop()
    m.set_items(m.top(), [key, value])


def _set_items(m: _Interpreter) -> None:
    items = m.pop_mark()
    m.set_items(m.top(), items)


def _append(m: _Interpreter) -> None:
    value = m.pop()
    m.append(m.top(), [value])


def _appends(m: _Interpreter) -> None:
    items = m.pop_mark()
    m.append(m.top(), items)


def _add_items(m: _Interpreter) -> None:
    items = m.pop_mark()
    m.add(m.top(), items)


def _dict(m: _Interpreter) -> None:
    items = m.pop_mark()
    result: dict[Any, Any] = {}
    m.set_items(result, items)
    m.push(result)


def _frozen_set(m: _Interpreter) -> None:
    m.push({plain_key(item) for item in m.pop_mark()})


def _tuple_of(count: int) -> Callable[[_Interpreter], None]:
    def make(m: _Interpreter) -> None:
        items = [m.pop() for _ in range(count)]
        m.push(tuple(reversed(items)))

    return make


def _protocol(m: _Interpreter) -> None:
    version = m.take(1)[0]
    if version > 5:
        raise damaged(f"pickle protocol {version} does not exist")


def _extension(m: _Interpreter) -> None:
    raise UnreadableEmbedding(
        "the pickle asks for a registered extension, which could run code; it was not run", "do not load this file"
    )


def _out_of_band(m: _Interpreter) -> None:
    raise damaged("the pickle refers to buffers that are not in the file")


_OPERATIONS: dict[bytes, Callable[[_Interpreter], Any]] = {
    b"\x80": _protocol,
    b"\x95": lambda m: m.take(8),
    b"(": lambda m: m.push(_MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.pop_mark(),
    b"2": lambda m: m.push(m.top()),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.push(_text_int(m)),
    b"L": lambda m: m.push(_text_int(m)),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.push(_long(m, m.number("<B"))),
    b"\x8b": lambda m: m.push(_long(m, m.number("<i"))),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(m.number(">d")),
    b"S": lambda m: m.push(_quoted(m)),
    b"T": lambda m: m.push(m.take(m.number("<i")).decode("latin-1")),
    b"U": lambda m: m.push(m.take(m.number("<B")).decode("latin-1")),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"\x96": lambda m: m.push(m.take(m.number("<Q"))),
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"X": lambda m: m.push(m.take(m.number("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": lambda m: m.push(m.take(m.number("<B")).decode("utf-8", "surrogatepass")),
    b"\x8d": lambda m: m.push(m.take(m.number("<Q")).decode("utf-8", "surrogatepass")),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_mark()),
    b"a": _append,
    b"e": _appends,
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_mark())),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"}": lambda m: m.push({}),
    b"d": _dict,
    b"s": _set_item,
    b"u": _set_items,
    b"\x8f": lambda m: m.push(set()),
    b"\x90": _add_items,
    b"\x91": _frozen_set,
    b"g": lambda m: m.recall(_text_int(m)),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"p": lambda m: m.remember(_text_int(m)),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"c": _global,
    b"\x93": _stack_global,
    b"i": _inst,
    b"o": _obj,
    b"R": _reduce,
    b"\x81": _reduce,
    b"\x92": _newobj_ex,
    b"b": _build,
    b"P": lambda m: m.persistent(m.line().decode("ascii")),
    b"Q": lambda m: m.persistent(m.pop()),
    b"\x82": _extension,
    b"\x83": _extension,
    b"\x84": _extension,
    b"\x97": _out_of_band,
    b"\x98": lambda m: None,
}
"""Every opcode of pickle protocols 0 to 5."""
