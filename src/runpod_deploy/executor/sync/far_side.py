"""The far side of an upload: one POSIX script that takes frames from stdin and answers each.

A frame is a line of words, the last of which is the number of bytes that follow. An answer is a
word, the number of bytes that follow, and those. The script ends when its input does. Whatever it
is sent lies in a hidden folder beside the destination until `commit`; that folder outlives a broken
connection, and the next upload with the same tag goes on from what is in it.
"""

from runpod_deploy.executor.sync.names import UPLOAD_PREFIX
from runpod_deploy.executor.sync.remote import call, digests

# $1 destination, $2 its parent, $3 tag, $4 whether the payload is a `tree` or a `file`.
_SETUP = rf"""
umask 022
case $1 in /*) D=$1 P=$2 ;; *) D=$PWD/$1 P=$PWD/$2 ;; esac
H=$P
if [ "$4" = tree ] && [ -d "$D" ]; then H=$D; fi
T=$H/{UPLOAD_PREFIX}$3
S=
"""

_FRAMES = r"""
die() { printf '%s\n' "$2" >&2; exit "$1"; }
answer() { printf '%s %s\n' "$1" "${2:-0}"; }
trap '[ -z "$S" ] || rm -rf -- "$S"' EXIT
trap 'exit 129' HUP INT TERM PIPE

# Exactly $1 bytes of the input: what follows them is not ours to read.
if head --version 2>/dev/null | grep -q GNU; then
  take() { head -c "$1"; }
else
  take() {
    python3 -c '
import os, sys
left = int(sys.argv[1])
while left:
    block = os.read(0, min(left, 1 << 20))
    if not block:
        break
    left -= len(block)
    sys.stdout.buffer.write(block)
' "$1"
  }
fi
expand() {
  case $1 in zstd) zstd -dcq ;; gzip) gzip -dc ;; *) cat ;; esac
}
room() {
  [ -d "$T/tree" ] && return 0
  mkdir -p -- "$H" && mkdir -p -m 700 -- "$T" && mkdir -p -- "$T/large" "$T/tree" || exit 44
}

# Of each name in $S/names that is there below $1: type, mode, target and name; then digests.
section() {
  if cd -- "$1" 2>/dev/null; then
    stats <"$S/names"
    printf '\0'
    stats -type f <"$S/names" | digests 2>/dev/null
    [ $? -ne 43 ] || die 43 'the image has neither sha256sum of GNU coreutils 8.25 nor python3'
  else
    printf '\0'
  fi
  printf '\0'
}
stats() {
  if find / -maxdepth 0 -printf '' 2>/dev/null; then
    if [ $# = 0 ]; then how='-printf %y\0%m\0%l\0%p\0'; else how='-type f -print0'; fi
    xargs -0 -r sh -c 'how=$1; shift; exec find "$@" -maxdepth 0 $how' rd "$how" 2>/dev/null
  elif command -v python3 >/dev/null 2>&1; then
    told "$@"
  else
    die 43 'the image has neither GNU find nor python3'
  fi
}
told() {
  python3 -c '
import os, stat, sys
out = sys.stdout.buffer
for name in sys.stdin.buffer.read().split(b"\0")[:-1]:
    try:
        status = os.lstat(name)
        link = stat.S_ISLNK(status.st_mode)
        target = os.readlink(name) if link else b""
    except OSError:
        continue
    kind = b"l" if link else b"f" if stat.S_ISREG(status.st_mode) else b"d"
    mode = b"%o" % stat.S_IMODE(status.st_mode)
    if len(sys.argv) == 1:
        out.write(b"\0".join((kind, mode, target, name, b"")))
    elif kind == b"f":
        out.write(name + b"\0")
' "$@"
}

# have SHA256 LENGTH: which of these names are there, in the destination and in our folder.
look() {
  S=$(mktemp -d) || exit 44
  take "$2" >"$S/names" || exit 44
  for tool in zstd gzip; do
    if command -v $tool >/dev/null 2>&1; then printf '%s ' $tool; fi
  done >"$S/answer"
  if [ -d "$D" ]; then kind=d; elif [ -e "$D" ] || [ -L "$D" ]; then kind=o; else kind=m; fi
  printf '\0%s\0' $kind >>"$S/answer"
  cd -- "$P" 2>/dev/null || cd /
  where=$D
  if [ "$SINGLE" ]; then where=$P; fi
  section "$where" >"$S/here" || exit $?
  if [ "$(sha256sum <"$S/here")" = "$1  -" ]; then
    printf 'same\0' >>"$S/answer"
  else
    { printf 'other\0'; cat "$S/here"; } >>"$S/answer"
  fi
  section "$T/tree" >>"$S/answer" || exit $?
  (cd -- "$T/large" 2>/dev/null && stat -c '%n %s' -- *) >>"$S/answer" 2>/dev/null
  answer have "$(wc -c <"$S/answer" | tr -d ' ')"
  cat "$S/answer"
  rm -rf -- "$S"
  S=
}

# blocks SHA256 SIZE 0: the digest of each whole or last block of SIZE bytes of a partial file.
blocks() {
  S=$(mktemp -d) || exit 44
  if command -v python3 >/dev/null 2>&1; then
    python3 -c '
import concurrent.futures, hashlib, os, sys
handle, size = os.open(sys.argv[1], os.O_RDONLY), int(sys.argv[2])
def line(start):
    return hashlib.sha256(os.pread(handle, size, start)).hexdigest() + "\n"
with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    for text in pool.map(line, range(0, os.fstat(handle).st_size, size)):
        sys.stdout.write(text)
' "$T/large/$1" "$2"
  else
    n=0 all=$(($(wc -c <"$T/large/$1")))
    while [ $((n * $2)) -lt $all ]; do
      dd if="$T/large/$1" bs="$2" skip=$n count=1 2>/dev/null | sha256sum | cut -c 1-64
      n=$((n + 1))
    done
  fi >"$S/answer" || exit 44
  answer blocks "$(wc -c <"$S/answer" | tr -d ' ')"
  cat "$S/answer"
  rm -rf -- "$S"
  S=
}

# part CODEC SHA256 OFFSET LENGTH: a piece of a large file.
part() {
  room
  to=$T/large/$2
  if [ "$1" = none ] && [ $GNU_DD = 1 ]; then
    dd of="$to" bs=256K count="$4" iflag=fullblock,count_bytes oflag=seek_bytes seek="$3" \
      conv=notrunc status=none || exit 44
  elif [ $GNU_DD = 1 ]; then
    take "$4" | expand "$1" |
      dd of="$to" bs=256K iflag=fullblock oflag=seek_bytes seek="$3" conv=notrunc status=none ||
      exit 44
  else
    take "$4" | expand "$1" | python3 -c '
import os, shutil, sys
with open(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644), "wb", closefd=True) as file:
    file.seek(int(sys.argv[2]))
    shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
' "$to" "$3" || exit 44
  fi
  answer ok
}
GNU_DD=0
if dd --version 2>/dev/null | grep -q GNU; then GNU_DD=1; fi

big() {
  mkdir -p -- "$T/tree/$2" && chmod "$4" "$T/large/$1" && touch -d "@$5" -- "$T/large/$1" &&
    $6 -- "$T/large/$1" "$T/tree/$2/$3" || exit 44
}

# What is needed to judge and to move lies in T beside the tree.
commit() {
  room
  cd /
  take "$2" | expand "$1" | tar -xpof - -C "$T" || exit 45
  [ -f "$T/complete" ] || die 46 'the archive ended before it was complete'
  . "$T/big"
  (cd "$T/tree" && digests <../names >../actual) || exit $?
  if [ "$(sha256sum <"$T/expected")" != "$(sha256sum <"$T/actual")" ]; then
    sort -z "$T/expected" >"$T/e" && sort -z "$T/actual" >"$T/a"
    printf 'other content on arrival: ' >&2
    comm -z -23 "$T/e" "$T/a" | head -z -n 5 | cut -z -c 67- | tr '\n\0' '? ' >&2
    exit 42
  fi
  did=merged
  put
  rm -rf -- "$T"
  find "$H" -maxdepth 1 -name '.rd-upload-*' -mtime +1 -exec rm -rf -- {} + 2>/dev/null
  answer $did
}

serve() {
  while read -r verb one two three four; do
    case $verb in
      have) look "$one" "$two" ;;
      tar)
        room
        take "$two" | expand "$one" | tar -xpof - -C "$T/tree" || exit 45
        answer ok
        ;;
      part) part "$one" "$two" "$three" "$four" ;;
      blocks) blocks "$one" "$two" ;;
      commit) commit "$one" "$two" ;;
      drop) rm -rf -- "$T"; answer ok ;;
      *) die 46 'the frames came out of step' ;;
    esac
  done
}
"""

_PUT_FILE = r"""
SINGLE=1
put() {
  [ ! -d "$D" ] || die 41 "$D is a folder on the pod, a file was to go there"
  mv -f -- "$T/tree/$(basename -- "$D")" "$D" || exit 44
}
"""

# `move` runs twice: every conflict is found before the first file is touched. Renaming the whole
# tree at once is possible only where nothing is there yet.
_PUT_TREE = r"""
SINGLE=
look_at() {
  F=$D/$1
  if [ -e "$F" ] || [ -L "$F" ]; then
    [ -d "$F" ] || die 41 "$F is there on the pod and is not a folder"
  fi
  shift
  for x do
    if [ -d "$F/$x" ] && [ ! -L "$F/$x" ]; then
      die 41 "$F/$x is a folder on the pod, a file was to go there"
    fi
  done
}
move_to() {
  F=$D/$1
  [ -d "$F" ] || mkdir -- "$F" || exit 44
  [ $# -gt 1 ] || return 0
  cd "$T/tree/$1" || exit 44
  shift
  mv -f -- "$@" "$F/" || exit 44
}
put() {
  if [ -d "$D" ]; then
    [ "$H" = "$D" ] || die 41 "$D appeared on the pod meanwhile"
    at() { look_at "$@"; }
    . "$T/move"
    at() { move_to "$@"; }
    . "$T/move"
    cd /
    return
  fi
  if [ -e "$D" ] || [ -L "$D" ]; then die 41 "$D is there on the pod and is not a folder"; fi
  echo 'Written by runpod-deploy, which may delete in this folder.' \
    >"$T/tree/.runpod-deploy-owned" || exit 44
  mv -- "$T/tree" "$D" || exit 44
  did=created
}
"""


def receiver(target: str, parent: str, tag: str, *, single: bool, files: int, size: int) -> str:
    """Return the command that takes an upload for `target`.

    Args:
        target: The destination on the pod.
        parent: The folder that holds it.
        tag: Names the hidden folder; the same tag goes on where an earlier upload broke off.
        single: Whether the payload is one file that becomes `target`.
        files: How many files the payload has, and
        size: how many bytes, which decides how they are hashed there.
    """
    body = _SETUP + digests(files, size) + _FRAMES + (_PUT_FILE if single else _PUT_TREE)
    return call(body + "serve\n", target, parent, tag, "file" if single else "tree")
