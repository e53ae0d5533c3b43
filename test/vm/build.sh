#!/bin/bash
# Builds the virtual machine of the in-guest suites: a Debian 12 system with its kernel.
#
#   test/vm/build.sh          build what is missing, print the folder of the images on stdout
#   test/vm/build.sh --key    print that folder without building anything
#
# Everything lies under $LXCFS_VM_CACHE (default $XDG_CACHE_HOME/lxcfs-ts-vm or
# /var/cache/lxcfs-ts-vm), outside the repository. Two keys: the root folder is made again when
# the packages change, the images when a program of the guest, this script or Node.js changes.
#
# The first build downloads some 200 MB and takes some minutes; a later one with the same keys
# takes no time. Needs root and the Debian tools that it installs when they are missing.
# Exit status: 0 built, 77 this machine cannot build it (reason on stderr), else a failure.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${LXCFS_VM_CACHE:-${XDG_CACHE_HOME:-/var/cache}/lxcfs-ts-vm}
suite=bookworm
# What a container gets: enough for systemd, and for a look at what it sees.
container_packages=systemd,systemd-sysv,dbus,procps
# What the machine gets beside it.
guest_packages=(
  udev kmod iproute2 fuse3 util-linux uuid-runtime ca-certificates libpam-systemd
  lxc lxcfs runc crun systemd-container uidmap dbus-user-session
  sysstat htop strace stress-ng busybox-static psmisc tmux gcc libc6-dev
)
mirror=$(sed -n 's/^URIs: *//p;s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -1 || true)
mirror=${LXCFS_VM_MIRROR:-${mirror:-http://deb.debian.org/debian}}

say() { echo "vm build: $*" >&2; }
cannot() { say "$*"; exit 77; }
hash_of() { sha256sum | cut -c1-12; }

node=$(command -v node) || cannot "no node program in PATH"
root_key=$(echo "$suite $container_packages ${guest_packages[*]}" | hash_of)
image_key=$({ echo "$root_key"; "$node" --version; cat "$here/build.sh" "$here"/guest/*; } | hash_of)
root=$cache/root-$root_key
kernel=$cache/kernel-$root_key
images=$cache/images-$image_key

[ "${1:-}" = --key ] && { echo "$images"; exit 0; }
[ -e "$images/.done" ] && command -v qemu-system-x86_64 >/dev/null && { echo "$images"; exit 0; }
[ "$(uname -m)" = x86_64 ] || cannot "the guest is x86_64, this machine is $(uname -m)"
[ "$(id -u)" = 0 ] || cannot "needs root: debootstrap makes device nodes and files of other users"

install_tools() {
  local want=() pair
  for pair in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils debootstrap:debootstrap \
    cpio:cpio mke2fs:e2fsprogs depmod:kmod xz:xz-utils mkswap:util-linux; do
    command -v "${pair%%:*}" >/dev/null || want+=("${pair##*:}")
  done
  [ ${#want[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || cannot "missing ${want[*]}, and there is no apt-get to install them"
  say "installing ${want[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${want[@]}" >&2 ||
    { apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "${want[@]}" >&2; } ||
    cannot "cannot install ${want[*]} (see above)"
}

# The guest's root folder: a small Debian first, a copy of it as the containers' root, then the rest.
build_root() {
  if [ -e "$root/.done" ]; then return; fi
  say "making the root folder $root"
  rm -rf --one-file-system "$root" "$kernel" && mkdir -p "$root"
  debootstrap --variant=minbase --include="$container_packages" "$suite" "$root" "$mirror" >&2 ||
    cannot "debootstrap failed (see above)"
  make_container_root
  printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d" # no service starts in the folder
  chmod 755 "$root/usr/sbin/policy-rc.d"
  DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -q --no-install-recommends \
    "${guest_packages[@]}" >&2 || cannot "cannot install the guest's packages (see above)"
  fetch_kernel
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
  rm -f "$root/usr/sbin/policy-rc.d"
  : > "$root/.done"
}

# One root for LXC and nspawn. Owned by root: ids are shifted by idmapped mounts, not by chown.
make_container_root() {
  local ct=$root/srv/container
  mkdir -p "$ct"
  (cd "$root" && find . -xdev \( -path ./srv -o -path ./var/cache/apt -o -path ./var/lib/apt/lists \
    -o -path './usr/share/doc' -o -path './usr/share/locale' -o -path './usr/share/man' \) -prune \
    -o -print0 | cpio -0pdm --quiet "$ct")
  mkdir -p "$ct"/{proc,sys,dev,run,tmp}
  echo container > "$ct/etc/hostname"
  : > "$ct/etc/machine-id"
  : > "$ct/etc/fstab"
  # A container boots to its target with next to nothing on the way: each process is dear here.
  ln -sfn /lib/systemd/system/multi-user.target "$ct/etc/systemd/system/default.target"
  local unit
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
    e2scrub_all.timer e2scrub_reap.service systemd-timesyncd.service getty@tty1.service getty.target \
    console-getty.service container-getty@.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-logind.service systemd-user-sessions.service \
    systemd-journal-flush.service systemd-journal-catalog-update.service ldconfig.service \
    systemd-sysusers.service systemd-update-done.service systemd-firstboot.service systemd-udevd.service; do
    ln -sfn /dev/null "$ct/etc/systemd/system/$unit"
  done
}

# The kernel comes as a package that is unpacked, not installed: no initramfs tools, no hooks.
fetch_kernel() {
  local package
  package=$(chroot "$root" apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -1)
  [ -n "$package" ] || { say "apt knows no kernel behind linux-image-amd64"; return 1; }
  say "unpacking $package"
  mkdir -p "$kernel" "$root/kernel"
  chroot "$root" sh -c "cd /kernel && apt-get download -q $package" >&2
  dpkg-deb --fsys-tarfile "$root"/kernel/*.deb | tar -x -C "$kernel" ./boot ./lib/modules
  rm -rf "$root/kernel"
}

# The uncompressed kernel: QEMU boots it by its PVH note, which saves most of the boot time
# (no BIOS, and no decompression in emulated code).
extract_kernel() {
  local image=$1 offset
  offset=$(LC_ALL=C grep -abom1 $'\xfd7zXZ' "$image" | head -1 | cut -d: -f1)
  [ -n "$offset" ] || { say "no xz stream in $image"; return 1; }
  # the stream is followed by other bytes, where xz ends with a complaint: what it wrote decides
  tail -c "+$((offset + 1))" "$image" 2>/dev/null | xz -dc --single-stream > "$2" 2>/dev/null || true
  [ "$(head -c4 "$2" | tail -c3)" = ELF ] || { say "what $image holds is no kernel"; return 1; }
}

build_images() {
  local new=$images.new version tree n f module
  say "making the images $images"
  rm -rf "$new" && mkdir -p "$new"
  version=$(ls "$kernel/lib/modules")
  extract_kernel "$kernel/boot/vmlinuz-$version" "$new/vmlinux"

  # the modules, without the drivers of hardware that no guest has
  rm -rf "$root/lib/modules" && mkdir -p "$root/lib/modules/$version/kernel"
  cp "$kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$version/"
  (cd "$kernel/lib/modules/$version/kernel" && {
    find arch block crypto fs lib mm net virt drivers/{block,char,virtio,dax,md} -name '*.ko'
    find drivers/net -maxdepth 1 -name '*.ko'
  } | cpio -pdm --quiet "$root/lib/modules/$version/kernel")
  depmod -b "$root" "$version"

  # an initrd that can mount the root disk and no more
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,mods,proc,dev,root,sys}
  cp "$root/bin/busybox" "$tree/bin/busybox"
  cp "$here/guest/initrd-init" "$tree/init" && chmod 755 "$tree/init"
  n=10
  for module in virtio_pci virtio_blk crc32c_generic ext4; do
    modprobe -d "$root" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++' | while read -r f; do
    cp "$f" "$tree/mods/$n-${f##*/}"
    n=$((n + 1))
  done
  (cd "$tree" && find . | cpio -o -H newc --quiet) > "$new/initrd"
  rm -rf "$tree"

  configure_guest

  truncate -s 6G "$new/root.ext4"
  mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -E lazy_itable_init=1,nodiscard -L root \
    -d "$root" "$new/root.ext4"
  truncate -s 1G "$new/swap.raw" && mkswap -q "$new/swap.raw"
  chmod 444 "$new"/{root.ext4,swap.raw,vmlinux,initrd}
  echo "$version" > "$new/kernel-version"
  : > "$new/.done"
  rm -rf "$images" && mv "$new" "$images"
}

configure_guest() {
  local etc=$root/etc system=$root/etc/systemd/system unit lib
  mkdir -p "$root/vm/ctl" "$system/multi-user.target.wants"
  cp "$here"/guest/{prepare,agent} "$root/vm/" && chmod 755 "$root"/vm/{prepare,agent}
  cp "$here/guest/vm-agent.service" "$system/"
  ln -sfn ../vm-agent.service "$system/multi-user.target.wants/vm-agent.service"
  ln -sfn /lib/systemd/system/multi-user.target "$system/default.target"
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service systemd-timesyncd.service systemd-random-seed.service getty@tty1.service \
    systemd-update-utmp.service systemd-hwdb-update.service systemd-pstore.service lxc-monitord.service \
    sysstat.service sysstat-collect.timer sysstat-summary.timer; do
    ln -sfn /dev/null "$system/$unit"
  done
  # startable by hand, but not at boot
  find "$system" -path '*wants/*' \( -name 'lxc*.service' -o -name 'containerd.service' \) -delete
  echo vm > "$etc/hostname"
  : > "$etc/fstab"
  printf '127.0.0.1 localhost vm\n::1 localhost\n' > "$etc/hosts"
  echo 0123456789abcdef0123456789abcdef > "$etc/machine-id"
  grep -q '^root:1000000:' "$etc/subuid" || echo root:1000000:65536 | tee -a "$etc/subuid" >> "$etc/subgid"
  # this machine's Node.js, with the libraries that Debian's base does not bring
  cp "$node" "$root/usr/bin/node"
  ldd "$node" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | while read -r lib; do
    [ -e "$root$lib" ] || [ -e "$root/usr$lib" ] || cp -L --parents "$lib" "$root"
  done
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
install_tools
if [ ! -e "$images/.done" ]; then
  build_root
  build_images
fi
# what older versions of the scripts left
for old in "$cache"/root-* "$cache"/kernel-* "$cache"/images-*; do
  case $old in "$root" | "$kernel" | "$images") ;; *) rm -rf --one-file-system "$old" ;; esac
done
echo "$images"
