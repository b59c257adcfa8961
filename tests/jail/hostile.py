"""Hostile programs: what a model, or whoever writes for one, might run.

`SECRET` stands for the path of a file with the canary, `MADE` for a path where nothing may appear; the caller's
environment has the canary as `JAIL_CANARY`. A program in one line is an expression that is returned. Two sets of
reasons say how each is refused: by every layer together, and without the allow-list of syntax ("bare").
"""

from typing import NamedTuple

from domain_tokens.jail.outcomes import Reason

Reasons = frozenset[Reason]

SYNTAX, NAME = frozenset({Reason.SYNTAX}), frozenset({Reason.NAME})
ATTRIBUTE, IMPORT = frozenset({Reason.ATTRIBUTE}), frozenset({Reason.IMPORT})
ANY_SYNTAX = SYNTAX | NAME | ATTRIBUTE | IMPORT
CALL, RAISED, NUMBER = (frozenset({r}) for r in (Reason.FORBIDDEN_CALL, Reason.RAISED, Reason.NOT_A_NUMBER))
REFUSED_FILE = CALL | RAISED  # opening a file is an error, any other call is the end
TIME = frozenset({Reason.CPU_TIME, Reason.WALL_TIME})
MEMORY, DEEP = frozenset({Reason.MEMORY}), frozenset({Reason.RECURSION})
BOMB = TIME | MEMORY | {Reason.CRASHED}
NOT_PYTHON, NOT_FINITE = frozenset({Reason.NOT_PYTHON}), frozenset({Reason.NOT_FINITE})
NOTHING, MALFORMED, CRASHED = (frozenset({r}) for r in (Reason.NO_RESULT, Reason.MALFORMED, Reason.CRASHED))
FLOOD = frozenset({Reason.TOO_MUCH_OUTPUT})


class Hostile(NamedTuple):
    """A hostile program.

    Attributes:
        kind (`str`): what it tries. Those that begin with `reads` return the canary in plain Python, and those that
            begin with `makes` leave `MADE` behind.
        guarded (`Reasons`): how the jail refuses it.
        bare (`Reasons`): how it is refused without the allow-list of syntax.
        source (`str`): the program.
    """

    kind: str
    guarded: Reasons
    bare: Reasons
    source: str


def group(kind: str, guarded: Reasons, bare: Reasons, *sources: str) -> list[Hostile]:
    return [Hostile(kind, guarded, bare, _program(source)) for source in sources]


def _program(source: str) -> str:
    return source if "\n" in source else f"def simple_math_problem():\n    return {source}\n"


LIBC = "import ctypes\nlibc = ctypes.CDLL(None)\n"
# From nothing to the globals of the module `os`, through the classes that inherit from `object`.
WALK = "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__"
CANARY = "environ['JAIL_CANARY'])"

READS_FILES = [
    *group(
        "reads a file", ANY_SYNTAX, REFUSED_FILE,
        "int(open(SECRET).read())",
        "int(__import__('os').popen('cat ' + SECRET).read())",
        "int(__import__('io').open(SECRET).read())",
        "int(__import__('io').FileIO(SECRET).readall())",
        "int(__import__('codecs').open(SECRET, encoding='ascii').read())",
        "int(__import__('pathlib').Path(SECRET).read_text())",
        "int(__import__('sys').modules['builtins'].open(SECRET).read())",
        "int(__import__('linecache').getline(SECRET, 1))",
        "int(__builtins__['open'](SECRET).read())",
        "int(eval('op' + 'en')(SECRET).read())",
        "int(getattr(__import__('builtins'), 'open')(SECRET).read())",
        "int(vars(__import__('io'))['open'](SECRET).read())",
        "int(globals()['__builtins__']['open'](SECRET).read())",
        "int(ｏｐｅｎ(SECRET).read())",
    ),
    *group(
        "reads a file with imports", IMPORT, REFUSED_FILE,
        "import os\nresult = int(os.read(os.open(SECRET, os.O_RDONLY), 99))\n",
        "from os import open as get, read\nresult = int(read(get(SECRET, 0), 99))\n",
        "import math, io\nresult = int(io.open(SECRET).read())\n",
        "import fileinput\nresult = int(next(fileinput.input(SECRET)))\n",
        "from importlib.machinery import SourceFileLoader as L\nresult = int(L('x', SECRET).get_data(SECRET))\n",
        "import mmap, os\nresult = int(mmap.mmap(os.open(SECRET, 0), 0, prot=mmap.PROT_READ)[:])\n",
        LIBC + "libc.fopen.restype = ctypes.c_void_p\nroom = ctypes.create_string_buffer(99)\n"
        "file = libc.fopen(SECRET.encode(), b'r') or 1 / 0\nlibc.fgets(room, 99, ctypes.c_void_p(file))\n"
        "result = int(room.value)\n",
        LIBC + "room = ctypes.create_string_buffer(99)\n"
        "libc.read(libc.open(SECRET.encode(), 0), room, 98)\nresult = int(room.value)\n",
    ),
    *group(
        "reads a file by a walk", ATTRIBUTE, REFUSED_FILE,
        "int([c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'FileLoader'][0]('x', SECRET)"
        ".get_data(SECRET))",
        "int(len.__self__.open(SECRET).read())",
        "int((x for x in [1]).gi_frame.f_builtins['open'](SECRET).read())",
        "int((lambda: 0).__builtins__['open'](SECRET).read())",
        "int(len.__self__.__loader__.load_module('_io').open(SECRET).read())",
        "try:\n    1 / 0\nexcept Exception as error:\n"
        "    result = int(error.__traceback__.tb_frame.f_builtins['open'](SECRET).read())\n",
    ),
    *group(
        "reads /proc", ANY_SYNTAX, REFUSED_FILE,
        "int(open('/proc/self/environ').read().split('JAIL_CANARY=')[1].split('\\0')[0])",
        "int(open('/proc/thread-self/environ').read().split('JAIL_CANARY=')[1].split('\\0')[0])",
        "int(open('/proc/self/root' + SECRET).read())",
        "int(open('/proc/self/cwd/../../../../../../../../..' + SECRET).read())",
    ),
]  # fmt: skip

READS_ENVIRONMENT = [
    *group(
        "reads the environment", IMPORT, RAISED,
        f"import os\nresult = int(os.{CANARY}\n",
        f"from os import environ\nresult = int({CANARY}\n",
        "import os\nresult = int(os.getenv('JAIL_CANARY'))\n",
        "import os\nresult = int(os.environb[b'JAIL_CANARY'])\n",
        "import posix as math\nresult = int(math.environ[b'JAIL_CANARY'])\n",
        LIBC + "libc.getenv.restype = ctypes.c_char_p\nresult = int(libc.getenv(b'JAIL_CANARY'))\n",
        "import gc\nos = [m for m in gc.get_objects() if type(m) is dict and 'environ' in m and 'execv' in m][0]\n"
        "result = int(os['environ']['JAIL_CANARY'])\n",
        f"import sys\nresult = int(sys._getframe().f_builtins['__import__']('os').{CANARY}\n",
    ),
    *group(
        "reads the environment through a codec", IMPORT, CALL,
        "import codecs\nexec(codecs.decode('erfhyg = vag(__vzcbeg__(\"bf\").raiveba[\"WNVY_PNANEL\"])', 'rot13'))\n",
    ),
    *group(
        "reads the environment by a walk", ANY_SYNTAX, RAISED,
        f"int({WALK}['environ']['JAIL_CANARY'])",
        f"int(__import__('os').{CANARY}",
        f'int(eval("__import__(\'os\').{CANARY[:-1]}"))',
        "int(getattr(__import__('os'), 'environ')['JAIL_CANARY'])",
        f"int((lambda f=__import__: f('os').{CANARY[:-1]})())",
        "int(__import__('os').__getattribute__('environ')['JAIL_CANARY'])",
        f"int(type('X', (), {{'v': property(lambda s: __import__('os').{CANARY[:-1]})}})().v)",
        "exec('import os\\nresult = int(os.environ[\"JAIL_CANARY\"])')\nresult = result\n",
        "exec(b'\\x72esult = int(__import__(\"os\").environ[\"JAIL_CANARY\"])')\n",
        f"@lambda f: int(__import__('os').{CANARY}\ndef result(x):\n    pass\n",
        f"class M(type):\n    def __new__(*_):\n        return int(__import__('os').{CANARY}\n"
        "class result(metaclass=M):\n    pass\n",
        f"async def f():\n    return int(__import__('os').{CANARY}\n"
        "try:\n    f().send(None)\nexcept StopIteration as end:\n    result = end.value\n",
        f"def f():\n    yield int(__import__('os').{CANARY}\nresult = next(f())\n",
        f"with __import__('contextlib').nullcontext(__import__('os')) as o:\n    result = int(o.{CANARY}\n",
        "match __import__('os').environ:\n    case {'JAIL_CANARY': value}:\n        result = int(value)\n"
        "    case _:\n        raise KeyError\n",
    ),
]  # fmt: skip

MAKES = [
    *group(
        "makes a file", ANY_SYNTAX, REFUSED_FILE,
        "open(MADE, 'w').write('1')",
        "__import__('os').mkdir(MADE)",
        "__import__('os').symlink('/', MADE)",
        "__import__('os').link(SECRET, MADE)",
        "__import__('os').mkfifo(MADE)",
        "__import__('os').mknod(MADE)",
        "__import__('os').system('touch ' + MADE)",
        "__import__('os').posix_spawn('/bin/mkdir', ['mkdir', MADE], {}) and __import__('time').sleep(0.2)",
        "__import__('os').execv('/bin/mkdir', ['mkdir', MADE])",
        "__import__('subprocess').run(['mkdir', MADE])",
        "import os\nif os.fork() == 0:\n    os.mkdir(MADE)\n    os._exit(0)\nos.wait()\n",
        "import _thread, os, time\n_thread.start_new_thread(os.mkdir, (MADE,))\ntime.sleep(0.2)\n",
        "import threading, os\nt = threading.Thread(target=os.mkdir, args=(MADE,))\nt.start()\nt.join()\n",
        "import atexit, os\natexit.register(os.mkdir, MADE)\natexit._run_exitfuncs()\n",
        "import signal, os\nsignal.signal(signal.SIGUSR1, lambda *_: os.mkdir(MADE))\nos.kill(os.getpid(), 10)\n",
        "import sys, os\nsys.settrace(lambda *_: os.path.exists(MADE) or os.mkdir(MADE))\ndef f(): 0\nf()\n",
        LIBC + "libc.creat(MADE.encode(), 0o600)\n",
        LIBC + "libc.mkdir(MADE.encode(), 0o700)\n",
        LIBC + "if libc.fork() == 0:\n    libc.mkdir(MADE.encode(), 0o700)\n    libc._exit(0)\nlibc.wait(None)\n",
    ),
]  # fmt: skip

CALLS = [
    *group(
        "another process", ANY_SYNTAX, CALL,
        "__import__('os').fork()",
        "__import__('os').spawnl(0, '/bin/true', 'true')",
        "__import__('os').kill(__import__('os').getppid(), 0)",
        "__import__('os').setsid()",
        "__import__('os').pidfd_open(1)",
        "__import__('multiprocessing').Process(target=print).start()",
        LIBC + "result = libc.vfork()\n",
        LIBC + "result = libc.ptrace(16, libc.getppid(), 0, 0)\n",
        LIBC + "result = libc.syscall(56, 17, 0, 0, 0, 0)\n",
        LIBC + "result = libc.process_vm_readv(1, None, 0, None, 0, 0)\n",
    ),
    *group(
        "the network", ANY_SYNTAX, CALL,
        "__import__('socket').create_connection(('127.0.0.1', 80))",
        "__import__('_socket').socket()",
        "__import__('urllib.request').request.urlopen('http://127.0.0.1/')",
        LIBC + "result = libc.socket(2, 1, 0)\n",
        LIBC + "result = libc.socketpair(1, 1, 0, (ctypes.c_int * 2)())\n",
    ),
    *group(
        "out of the confinement", ANY_SYNTAX, CALL,
        "__import__('signal').signal(24, __import__('signal').SIG_IGN)",
        "__import__('signal').setitimer(2, 0)",
        "__import__('signal').alarm(0)",
        "__import__('signal').pthread_sigmask(0, [27])",
        "__import__('signal').pause()",
        "__import__('resource').setrlimit(0, (-1, -1))",
        "__import__('time').sleep(1000)",
        "__import__('select').select([], [], [], 1000)",
        "__import__('os').dup2(3, 1)",
        "__import__('os').close(3)",
        "__import__('os').read(0, 1)",
        "__import__('os').read(3, 1)",
        "__import__('os').write(1, b'1')",
        "__import__('os').write(2, b'1')",
        "__import__('os').pipe()[0]",
        "__import__('os').memfd_create('x')",
        "__import__('os').setuid(65534)",
        "__import__('os').chroot('/')",
        "__import__('os').getrandom(8)[0]",
        "__import__('os').urandom(8)[0]",
        "__import__('os').abort()",
        "__import__('_thread').start_new_thread(print, ())",
        "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()\n",
        LIBC + "result = libc.prctl(22, 0, 0, 0, 0)\n",
        LIBC + "result = libc.unshare(0x10000000)\n",
        LIBC + "result = libc.mmap(0, 4096, 7, 0x22, -1, 0)\n",
        LIBC + "result = libc.mmap(0, 4096, 1, 2, 3, 0)\n",
        LIBC + "room = ctypes.create_string_buffer(9999)\n"
        "result = libc.mprotect(ctypes.c_void_p(ctypes.addressof(room) & ~4095), 4096, 7)\n",
        LIBC + "result = libc.syscall(0x40000000 + 39)\n",
        LIBC + "result = libc.syscall(425, 1, 0)\n",
        LIBC + "result = libc.syscall(321, 0, 0, 0)\n",
        LIBC + "result = libc.syscall(1, ctypes.c_ulong((1 << 32) + 3), b'', 0)\n",
        "import os\nfrom domain_tokens.jail import confinement, seccomp\nconfinement.confine = print\nos.getppid()\n",
    ),
    *group(
        "native code", ANY_SYNTAX, CRASHED | CALL,
        "__import__('ctypes').string_at(0)",
        "__import__('ctypes').cast(id(1), __import__('ctypes').CFUNCTYPE(int))()",
        "import ctypes\nctypes.memset(id(print), 0, 64)\nprint(1)\n",
    ),
]  # fmt: skip
