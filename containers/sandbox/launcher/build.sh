#!/bin/sh
# Builds the launcher from its source: build.sh [OUTPUT]. The committed binary was made by this, for linux/amd64.
set -eu
here=$(dirname "$0")
exec gcc -std=c11 -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pic -no-pie \
    -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident -fcf-protection=none -fno-tree-loop-distribute-patterns \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack -s -o "${1:-$here/launcher}" "$here/launcher.c"
