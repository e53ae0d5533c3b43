#!/bin/sh
# Makes what a release of the kubectl plugin consists of: the archive that krew fetches, and its
# manifest with the archive's address and checksum.
#   tools/build-krew.sh ADDRESS [DIR]     ADDRESS: where the archive will lie; DIR: default dist/krew
set -eu
address=${1:?where the archive will lie: https://.../kubectl-lxcfs.tar.gz}
here=$(cd "$(dirname "$0")/.." && pwd)
out=${2:-$here/dist/krew}
mkdir -p "$out"
# The same bytes from the same files, whoever makes it and when.
tar -C "$here" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - bin/kubectl-lxcfs LICENSE |
	gzip -n >"$out/kubectl-lxcfs.tar.gz"
sum=$(sha256sum "$out/kubectl-lxcfs.tar.gz" | cut -d' ' -f1)
version=$(sed -n 's/^ *"version": "\(.*\)",$/\1/p' "$here/package.json")
sed -e "s|RELEASE_URI|$address|" -e "s|RELEASE_SHA256|$sum|" -e "s|RELEASE_VERSION|v$version|" \
	-e '/^#/d' "$here/share/krew/lxcfs.yaml" >"$out/lxcfs.yaml"
echo "$out/lxcfs.yaml"
