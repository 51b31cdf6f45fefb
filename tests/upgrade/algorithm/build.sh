#!/bin/sh
# Builds the algorithm from its source: build.sh [OUTPUT]. The committed binary was made by this, for linux/amd64.
set -eu
here=$(dirname "$0")
exec gcc -std=c11 -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pic -no-pie -fno-strict-aliasing \
    -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident -fcf-protection=none \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack -s -o "${1:-$here/algorithm}" "$here/algorithm.c"
