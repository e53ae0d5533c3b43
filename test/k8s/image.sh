#!/bin/sh
# Builds the image of this checkout and puts it into the lab's containerd as NAME (TAG included).
#   LAB_DIR=... LAB=/path/to/lab/k8s test/k8s/image.sh NAME
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
"$here/make_rootfs.sh" "$root"
"$LAB/image.sh" dir "$1" "$root" --entrypoint '["node","/usr/lib/lxcfs-ts/bin/lxcfs"]' >/dev/null
