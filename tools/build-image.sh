#!/bin/sh
# Builds a container image of this checkout from Debian's packages, without a registry and without a
# container runtime: an OCI image layout in a tar file, which `podman load`, `ctr images import`,
# `skopeo` and Kubernetes nodes take.
#
#     tools/build-image.sh [--name NAME:TAG] [--arch amd64|arm64] [--node FILE] [--suite SUITE] [--mirror URL] [--output FILE]
#
# Needs root, debootstrap and what tools/build-deb.sh needs. Another architecture than this machine's
# needs its emulation (binfmt), since Debian's packages are set up by programs of theirs.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
arch=$(dpkg --print-architecture)
name=lxcfs-ts:latest suite=bookworm mirror=http://deb.debian.org/debian
output=$PWD/lxcfs-ts-image.tar node=''

fail() { echo "build-image: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || fail "$1 needs a value"
	case $1 in
	--name) name=$2 ;;
	--arch) arch=$2 ;;
	--node) node=$2 ;;
	--suite) suite=$2 ;;
	--mirror) mirror=$2 ;;
	--output) output=$2 ;;
	*) fail "unknown option $1" ;;
	esac
	shift 2
done
[ "$(id -u)" = 0 ] || fail "only root may: debootstrap makes a root filesystem"
command -v debootstrap >/dev/null || fail "debootstrap is not installed: apt-get install debootstrap"
[ -d "$(dirname "$output")" ] || fail "$(dirname "$output") is no directory"

# Setting up hundreds of packages is hundreds of syncs: in memory, in a mount namespace of its own, they
# cost nothing, and nothing is left however this ends. BUILD_IMAGE_ON_DISK=1 for hosts with little memory.
if [ -z "${BUILD_IMAGE_ON_DISK:-}" ] && [ -z "${BUILD_IMAGE_IN_MEMORY:-}" ]; then
	exec env BUILD_IMAGE_IN_MEMORY=1 unshare --mount --propagation private sh "$0" \
		--name "$name" --arch "$arch" --suite "$suite" --mirror "$mirror" --output "$output" ${node:+--node "$node"}
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP
if [ -n "${BUILD_IMAGE_IN_MEMORY:-}" ]; then
	trap 'umount -l "$work"; rmdir "$work"' EXIT
	mount -t tmpfs -o size=3g build-image "$work"
fi
root=$work/root
mkdir "$root"
chmod 755 "$work" "$root"

package=$("$here/build-deb.sh" --arch "$arch" --output "$work" ${node:+--node "$node"})
debootstrap --arch "$arch" --variant=minbase --include=libstdc++6,util-linux,mount "$suite" "$root" "$mirror" >"$work/log" 2>&1 ||
	{ tail -n 5 "$work/log" >&2; fail "debootstrap failed"; }
# Nothing is started in here, and the postinst finds no systemd.
cp "$package" "$root/tmp/lxcfs-ts.deb"
chroot "$root" dpkg -i /tmp/lxcfs-ts.deb >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "the package cannot be installed"; }
ln -s ../lib/lxcfs-ts/bin/node "$root/usr/bin/node"
dpkg-query --admindir "$root/var/lib/dpkg" --show -f '${Package} ${Version} ${Architecture}\n' >"$work/packages"
node "$here/../dist/tools/sbom.js" --debian "$suite=$work/packages" \
	<"$root/usr/lib/lxcfs-ts/sbom.cdx.json" >"${output%.tar}.cdx.json"
# What no container needs.
rm -rf "$root"/tmp/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/doc/* \
	"$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/dev/*

# The OCI image layout: a layer, a configuration, a manifest, an index, each by its digest.
layout=$work/layout
blobs=$layout/blobs/sha256
mkdir -p "$blobs"
tar -C "$root" --numeric-owner --sort=name --one-file-system -cf "$work/layer.tar" .
diff_id=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
gzip -6n "$work/layer.tar"

# blob FILE: moves it to its place; prints "digest size"
blob() {
	digest=$(sha256sum "$1" | cut -d' ' -f1)
	size=$(stat -c %s "$1")
	mv "$1" "$blobs/$digest"
	echo "$digest $size"
}

layer=$(blob "$work/layer.tar.gz")
created=$(date -u +%Y-%m-%dT%H:%M:%SZ)
printf '{"created":"%s","architecture":"%s","os":"linux","config":{"Entrypoint":["/usr/bin/node","/usr/lib/lxcfs-ts/bin/lxcfs"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"tools/build-image.sh"}]}' \
	"$created" "$arch" "$diff_id" "$created" >"$work/config.json"
config=$(blob "$work/config.json")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
	"${config% *}" "${config#* }" "${layer% *}" "${layer#* }" >"$work/manifest.json"
manifest=$(blob "$work/manifest.json")
# A name without a registry is one of Docker's, as everywhere.
case $name in
*.*/* | *:*/* | localhost/*) full=$name ;;
*/*) full=docker.io/$name ;;
*) full=docker.io/library/$name ;;
esac
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"architecture":"%s","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"%s","io.containerd.image.name":"%s"}}]}' \
	"${manifest% *}" "${manifest#* }" "$arch" "${name##*:}" "$full" >"$layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
tar -C "$layout" --numeric-owner -cf "$output" oci-layout index.json blobs
echo "$output"
