#!/bin/sh
# Installs what the tests and the benchmark use and this Debian machine lacks, and nothing else:
# Debian's lxcfs to compare with, container runtimes, and the tools people run in containers.
# Does nothing, at once, where all is there. Services of what it installs are not started.
set -eu

missing=
need() { # PROGRAM PACKAGE...
  program=$1
  shift
  command -v "$program" >/dev/null 2>&1 || missing="$missing $*"
}

need lxcfs lxcfs
need runc runc
need crun crun
need lxc-start lxc
need dockerd docker.io
need podman podman
need containerd containerd
need systemd-nspawn systemd-container
need busybox busybox-static
need free procps
need mpstat sysstat
need htop htop
need tmux tmux
need java default-jdk-headless
need javac default-jdk-headless
need strace strace
need curl curl
need wget wget
need debootstrap debootstrap
need qemu-aarch64 qemu-user libc6-arm64-cross libstdc++6-arm64-cross
need newuidmap uidmap
need go golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev
need zsh zsh
need fish fish
need man man-db
need mandoc mandoc
need cc gcc libc6-dev
need unshare util-linux
need mount mount
need nsenter util-linux
need getconf libc-bin
# What a single-node Kubernetes cluster is made of, besides Kubernetes itself.
need etcd etcd-server
need conntrack conntrack
need socat socat
need iptables iptables
need openssl openssl
[ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
[ -e /usr/lib/python3/dist-packages/prometheus_client/parser.py ] ||
  missing="$missing python3-prometheus-client"

[ -n "$missing" ] || exit 0

say() { echo "setup-debian: $*" >&2; }

if ! command -v apt-get >/dev/null 2>&1; then
  say "missing:$missing; this machine has no apt-get, so the tests that need them will be skipped"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  say "missing:$missing; not root, so the tests that need them will be skipped"
  exit 0
fi

# invoke-rc.d and deb-systemd-invoke ask this program before they start a service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
fi

export DEBIAN_FRONTEND=noninteractive
say "installing$missing"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
